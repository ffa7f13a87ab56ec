//! `GET /transcript` (RUN-65, RUN-66): the built-in engines keep none, and say so.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
};
use molecule_core::credential::parse_bearer;
use serde_json::{Value, json};

use super::Server;

/// Answers the holder of the workspace's own token.
pub(super) async fn show(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| parse_bearer(value.to_str().ok()?));
    if !bearer.is_some_and(|bearer| server.platform.is_own_token(bearer)) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "unauthorized"})));
    }
    let integer = |name: &str| query.get(name).is_none_or(|text| text.parse::<i64>().is_ok());
    if !integer("since") || !integer("limit") {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": "since and limit must be integers"})),
        );
    }
    let body = json!({
        "runtime": server.runtime, "supported": false, "lines": [], "cursor": 0, "more": false, "source": null
    });
    (StatusCode::OK, Json(body))
}
