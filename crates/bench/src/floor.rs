//! A server that takes a beat apart and does nothing with it: what the machine, HTTP and JSON cost by themselves.

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};

use crate::proxy::on_every_core;

/// Serves until standard input ends.
pub(crate) async fn serve() -> anyhow::Result<()> {
    on_every_core(|| Router::new().route("/registry/heartbeat", post(beat))).await
}

async fn beat(Json(_beat): Json<Value>) -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
