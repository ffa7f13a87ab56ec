//! `/workspaces/:id/activity` and `notify` (`activity.md` §1).

use std::{
    num::IntErrorKind,
    time::{Duration, SystemTime},
};

use axum::{Json as Answer, extract::State};
use molecule_core::{
    ActivityId, Timestamp, Word, WorkspaceId,
    activity::{ActivityFilter, SourceFilter},
    limits,
};
use molecule_platform::activity::FeedError;
use molecule_wire::{
    ErrorBody, StatusBody,
    activity::{ActivityRow, Notify, ReportActivity},
    words::ActivitySource,
};

use crate::{
    error::ApiError,
    extract::{Json, Query, WorkspacePath},
    state::ApiState,
};

/// The feed of a workspace. For an agent that polls it is the queue of its messages.
///
/// Newest first; with `since_id` oldest first, beginning behind that row. A page is cut short where its rows get long: only
/// an empty one is the end.
#[utoipa::path(
    get, path = "/workspaces/{id}/activity", operation_id = "list_activity", tag = "activity",
    params(
        ("id" = WorkspaceId, Path, description = "Whose feed."),
        ("type" = Option<String>, Query, description = "Exact kind."),
        ("source" = Option<ActivitySource>, Query, description = "Only messages of people, or only of agents."),
        ("peer_id" = Option<WorkspaceId>, Query, description = "From or to this workspace."),
        ("since_secs" = Option<i64>, Query, minimum = 1, description = "Not older, seconds; more than 2592000 counts as that."),
        ("before_ts" = Option<Timestamp>, Query, description = "Strictly before, RFC 3339."),
        ("since_id" = Option<ActivityId>, Query, description = "Strictly after that row, oldest first."),
        ("limit" = Option<u32>, Query, minimum = 1, description = "At most so many; default 100, more than 500 counts as that."),
    ),
    responses(
        (status = 200, description = "Rows.", body = Vec<ActivityRow>),
        (status = 400, description = "A parameter is malformed.", body = ErrorBody),
        (status = 410, description = "The cursor row is gone: begin anew without it.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    query: Query,
) -> Result<Answer<Vec<ActivityRow>>, ApiError> {
    let filter = filter_of(&query, SystemTime::now().into())?;
    Ok(Answer(state.platform().activity.feed(id, &filter).await?))
}

/// Reads the parameters; every 400 comes before the cursor is looked at (ACT-29).
fn filter_of(query: &Query, now: Timestamp) -> Result<ActivityFilter, ApiError> {
    let source = match query.get("source") {
        None => None,
        Some("canvas") => Some(SourceFilter::Canvas),
        Some("agent") => Some(SourceFilter::Agent),
        Some(_) => return Err(ApiError::bad_request("source must be 'canvas' or 'agent'")),
    };
    let peer = query.get("peer_id").map(str::parse).transpose();
    let peer = peer.map_err(|_| ApiError::bad_request("peer_id must be a UUID"))?;
    let since = query.get("since_secs").map(since_secs).transpose()?;
    let before = query.get("before_ts").map(Timestamp::parse_rfc3339).transpose();
    let before = before.map_err(|_| ApiError::bad_request("before_ts must be an RFC3339 timestamp"))?;
    // A malformed cursor is answered like a pruned one (ACT-26).
    let after: Option<ActivityId> = query
        .get("since_id")
        .map(str::parse)
        .transpose()
        .map_err(|_| FeedError::CursorGone)?;
    Ok(ActivityFilter {
        activity_type: query.get("type").map(Word::from),
        source,
        peer,
        since: since.map(|span| now.minus(span)),
        before,
        after,
        limit: limit_of(query.get("limit")),
    })
}

/// A base-10 integer ≥ 1, clamped to 30 days (ACT-17, ACT-18).
fn since_secs(text: &str) -> Result<Duration, ApiError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse::<i64>().ok().filter(|seconds| digits && *seconds >= 1);
    let seconds = seconds.ok_or_else(|| ApiError::bad_request("since_secs must be a positive integer"))?;
    Ok(Duration::from_secs(
        seconds.min(limits::ACTIVITY_SINCE_SECS).unsigned_abs(),
    ))
}

/// 1…500; more is 500, anything else 100.
fn limit_of(text: Option<&str>) -> u64 {
    match text.map(str::parse::<i64>) {
        Some(Ok(limit)) if limit > 0 => limit.unsigned_abs().min(limits::ACTIVITY_PAGE),
        Some(Err(error)) if *error.kind() == IntErrorKind::PosOverflow => limits::ACTIVITY_PAGE,
        _ => limits::ACTIVITY_PAGE_DEFAULT,
    }
}

/// A workspace reports what it did.
#[utoipa::path(
    post, path = "/workspaces/{id}/activity", operation_id = "report_activity", tag = "activity",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = ReportActivity,
    responses(
        (status = 200, description = "Taken.", body = StatusBody),
        (status = 400, description = "No kind, or one that cannot be reported.", body = ErrorBody),
        (status = 403, description = "`source_id` names another workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn report(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    Json(report): Json<ReportActivity>,
) -> Result<Answer<StatusBody>, ApiError> {
    state.platform().activity.report(id, report).await?;
    Ok(Answer(StatusBody {
        status: "logged".to_owned(),
    }))
}

/// An agent says something to its user.
#[utoipa::path(
    post, path = "/workspaces/{id}/notify", operation_id = "notify_user", tag = "activity",
    params(("id" = WorkspaceId, Path, description = "The workspace that speaks.")),
    request_body = Notify,
    responses(
        (status = 200, description = "Shown and kept.", body = StatusBody),
        (status = 400, description = "No message, or a bad attachment.", body = ErrorBody),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
    )
)]
pub(crate) async fn notify(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    Json(notify): Json<Notify>,
) -> Result<Answer<StatusBody>, ApiError> {
    state.platform().activity.notify(id, notify).await?;
    Ok(Answer(StatusBody {
        status: "sent".to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http::StatusCode;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    async fn read(query: &str) -> Result<ActivityFilter, (StatusCode, String)> {
        let query = Query::parse(Some(query));
        match filter_of(&query, NOW) {
            Ok(filter) => Ok(filter),
            Err(error) => {
                let response = error.into_response();
                let status = response.status();
                let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
                Err((status, String::from_utf8(body.to_vec()).unwrap()))
            }
        }
    }

    #[tokio::test]
    async fn parameters() {
        // ACT-15, ACT-18
        let plain = ActivityFilter {
            limit: 100,
            ..ActivityFilter::default()
        };
        assert_eq!(read("").await.unwrap(), plain);
        assert_eq!(
            read("source=&peer_id=&since_secs=&before_ts=&since_id=&limit=")
                .await
                .unwrap(),
            plain
        );
        for (text, limit) in [
            ("5", 5),
            ("0", 100),
            ("-1", 100),
            ("x", 100),
            ("501", 500),
            ("99999999999999999999", 500),
        ] {
            assert_eq!(read(&format!("limit={text}")).await.unwrap().limit, limit, "{text}");
        }
        let month = Some(NOW.minus(Duration::from_secs(2_592_000)));
        assert_eq!(read("since_secs=2592001").await.unwrap().since, month);
        assert_eq!(
            read("since_secs=1").await.unwrap().since,
            Some(NOW.minus(Duration::from_secs(1)))
        );
        assert_eq!(read("source=agent").await.unwrap().source, Some(SourceFilter::Agent));
        assert_eq!(read("before_ts=2023-11-14T22:13:20Z").await.unwrap().before, Some(NOW));
    }

    #[tokio::test]
    async fn refusals() {
        // ACT-17, ACT-20, ACT-21, ACT-26, ACT-29
        for bad in ["0", "-5", "1.5", "x", "+5", "99999999999999999999", "%205"] {
            let (status, body) = read(&format!("since_secs={bad}")).await.unwrap_err();
            assert_eq!(
                (status, body.contains("since_secs must be a positive integer")),
                (StatusCode::BAD_REQUEST, true)
            );
        }
        for bad in ["x", "6fa459eaee8a3ca4894edb77e160355e", "'%20OR%201=1", "../.."] {
            assert_eq!(
                read(&format!("peer_id={bad}")).await.unwrap_err().0,
                StatusCode::BAD_REQUEST
            );
        }
        for bad in ["2024-01-01", "1700000000", "2024-01-01T00:00:00"] {
            assert_eq!(
                read(&format!("before_ts={bad}")).await.unwrap_err().0,
                StatusCode::BAD_REQUEST
            );
        }
        assert_eq!(read("source=x").await.unwrap_err().0, StatusCode::BAD_REQUEST);
        let gone = (StatusCode::GONE, r#"{"error":"since_id cursor not found"}"#.to_owned());
        assert_eq!(read("since_id=garbage").await.unwrap_err(), gone);
        assert_eq!(
            read("since_id=garbage&source=x").await.unwrap_err().0,
            StatusCode::BAD_REQUEST
        );
    }
}
