//! `ListTasks`: the tasks there are, page by page.

use molecule_a2a::jsonrpc::{ListParams, RpcError, TaskList, TaskState};
use molecule_core::Timestamp;

use super::{Server, caller::Caller, shape};
use crate::turns::{Filter, Place};

/// Tasks on a page, if nobody says.
const PAGE: i64 = 50;
/// Tasks on a page at most.
const LONGEST_PAGE: i64 = 100;

pub(super) async fn page(server: &Server, caller: &Caller, params: &ListParams) -> Result<TaskList, RpcError> {
    let page_size = params.page_size.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&page_size) {
        return Err(RpcError::invalid_member("pageSize", "must be from 1 to 100"));
    }
    let filter = Filter {
        context_id: params.context_id.clone().filter(|id| !id.is_empty()),
        // The protocol's word for not caring.
        state: params.status.filter(|state| *state != TaskState::Unknown),
        since: since(params)?,
    };
    let token = params.page_token.as_deref().filter(|token| !token.is_empty());
    let after = token
        .map(|token| {
            Place::parse(token).ok_or_else(|| RpcError::invalid_member("pageToken", "is not one of this agent"))
        })
        .transpose()?;
    let room = usize::try_from(page_size).unwrap_or_default();
    let page = server
        .turns
        .list(&filter, after.as_ref(), room)
        .await
        .map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the journal cannot be read");
            RpcError::internal("the tasks could not be listed")
        })?;
    let history = shape::History::of(caller, params.history_length);
    let tasks = page.tasks.iter().map(|task| {
        let mut task = shape::task(task, history);
        if params.include_artifacts != Some(true) {
            task.artifacts = None;
        }
        task
    });
    Ok(TaskList {
        tasks: tasks.collect(),
        next_page_token: page.next.map(|place| place.to_string()).unwrap_or_default(),
        page_size,
        total_size: page.total,
    })
}

fn since(params: &ListParams) -> Result<Option<Timestamp>, RpcError> {
    let Some(text) = &params.status_timestamp_after else {
        return Ok(None);
    };
    Timestamp::parse_rfc3339(text)
        .map(Some)
        .map_err(|_| RpcError::invalid_member("statusTimestampAfter", "must be a time in RFC 3339 form"))
}
