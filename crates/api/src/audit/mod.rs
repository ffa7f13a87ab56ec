//! The audit of changes, by construction: a row of the table says how its change is recorded, and the guard records it.
//! The record is begun before the handler runs, or the handler does not run; so what was interrupted is in it too.

mod routes;
mod state;

pub(crate) use routes::{__path_list, __path_verify, list, verify};

use axum::{
    extract::{FromRequestParts, RawPathParams},
    response::Response,
};
use http::{StatusCode, request::Parts};
use molecule_core::WorkspaceId;
use molecule_platform::{
    audit::{Begun, New, Outcome, difference},
    trace,
};
use serde_json::Value;

use crate::{
    error::ApiError,
    guard::Actor,
    request::{Caller, Subject},
    route::{Audited, Class, Route},
    state::ApiState,
};

/// Left with an answer by a handler that made something: its id, for the record.
#[derive(Debug, Clone)]
pub(crate) struct Made(pub(crate) String);

/// What the path names besides the workspace: a token, a key, a session.
async fn named_in_path(parts: &mut Parts) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let named: Vec<_> = params
        .iter()
        .filter(|(name, _)| *name != "id")
        .map(|(_, text)| text)
        .collect();
    (!named.is_empty()).then(|| named.join("/"))
}

/// What an answer tells of the change.
pub(crate) struct Ended {
    status: StatusCode,
    made: Option<Made>,
}

impl Ended {
    pub(crate) fn of(response: &Response) -> Self {
        Self {
            status: response.status(),
            made: response.extensions().get().cloned(),
        }
    }
}

/// A change that is being recorded.
pub(crate) struct Recording {
    state: ApiState,
    audited: Audited,
    subject: Option<WorkspaceId>,
    before: Option<Value>,
    stage: Stage,
}

enum Stage {
    /// Recorded, and to be completed.
    Begun(Box<Begun>),
    /// Of whoever need not prove anything: attempts are not recorded, or anybody could fill the record.
    OnSuccess(Box<New>),
}

impl Recording {
    /// Begins the record of a request that is about to be handled; `None`: its row has none.
    ///
    /// # Errors
    /// The change must not be made.
    pub(crate) async fn begin(
        state: &ApiState,
        route: &'static Route,
        parts: &mut Parts,
    ) -> Result<Option<Self>, ApiError> {
        let Some(audited) = route.audit else { return Ok(None) };
        let target = named_in_path(parts).await;
        let Subject(subject) = parts.extensions.get().copied().unwrap_or(Subject(None));
        let identity = parts.extensions.get().cloned().unwrap_or_default();
        let caller = parts.extensions.get::<Caller>().and_then(|caller| caller.address);
        let before = state::read(state, audited.thing, subject).await;
        let new = New {
            actor: Actor(&identity).to_string(),
            action: audited.action.to_owned(),
            route: format!("{} {}", route.verb.as_str(), route.path),
            workspace_id: subject,
            target,
            address: caller.map(|address| address.to_string()),
            trace_id: trace::current().map(|context| context.trace_id().to_string()),
        };
        let stage = if route.class == Class::Public {
            Stage::OnSuccess(Box::new(new))
        } else {
            let begun = state.platform().audit.begin(new).await;
            Stage::Begun(Box::new(begun.map_err(|error| {
                ApiError::store(
                    "the change could not be recorded in the audit; nothing was changed",
                    &error,
                )
            })?))
        };
        Ok(Some(Self {
            state: state.clone(),
            audited,
            subject,
            before,
            stage,
        }))
    }

    /// Completes the record. If that fails the change is made nevertheless, and the record says that it was begun.
    pub(crate) async fn end(self, Ended { status, made }: Ended) {
        let audit = &self.state.platform().audit;
        let succeeded = status.is_success();
        let begun = match self.stage {
            Stage::Begun(begun) => *begun,
            Stage::OnSuccess(_) if !succeeded => return,
            Stage::OnSuccess(new) => match audit.begin(*new).await {
                Ok(begun) => begun,
                Err(error) => {
                    return tracing::error!(%error, action = self.audited.action, "a change is not in the audit");
                }
            },
        };
        let after = if succeeded {
            state::read(&self.state, self.audited.thing, self.subject).await
        } else {
            self.before.clone()
        };
        let (before, after) = difference(self.before, after);
        let outcome = Outcome {
            status: status.as_u16(),
            made: made.map(|Made(id)| id),
            before,
            after,
        };
        if let Err(error) = audit.end(begun, outcome).await {
            metrics::counter!("molecule_audit_unfinished_total").increment(1);
            tracing::error!(%error, action = self.audited.action, "the end of a change is not in the audit");
        }
    }
}
