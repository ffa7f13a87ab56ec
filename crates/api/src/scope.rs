//! How far an org token reaches, for handlers that keep it to its part of the org.

use axum::extract::FromRequestParts;
use http::request::Parts;
use molecule_core::WorkspaceId;
use molecule_platform::credentials::{Identity, Principal};

use crate::{error::ApiError, extract::Who, matrix::ELSEWHERE, state::ApiState};

/// What a caller reaches: everything, or a workspace and what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope(Option<WorkspaceId>);

impl Scope {
    /// Of whoever asks.
    pub(crate) fn of(identity: &Identity) -> Self {
        Self(match &identity.principal {
            Some(Principal::Org(org)) => org.org,
            _ => None,
        })
    }

    /// A workspace and what is below it.
    pub(crate) fn to(top: WorkspaceId) -> Self {
        Self(Some(top))
    }

    /// The top of what it reaches; `None`: everything.
    pub(crate) fn top(self) -> Option<WorkspaceId> {
        self.0
    }

    /// Does it reach the workspace?
    pub(crate) async fn reaches(self, state: &ApiState, id: WorkspaceId) -> Result<bool, ApiError> {
        let Some(top) = self.0 else { return Ok(true) };
        let within = state.platform().is_within(top, id).await;
        within.map_err(|error| ApiError::platform_unavailable("scope", &error))
    }

    /// Does it reach what belongs to a workspace, or to the whole org if to none?
    pub(crate) async fn covers(self, state: &ApiState, owner: Option<WorkspaceId>) -> Result<bool, ApiError> {
        match owner {
            Some(id) => self.reaches(state, id).await,
            None => Ok(self.0.is_none()),
        }
    }

    /// Refuses what is out of reach. No workspace at all is the whole org.
    pub(crate) async fn require(self, state: &ApiState, id: Option<WorkspaceId>) -> Result<(), ApiError> {
        let reached = self.covers(state, id).await?;
        reached.then_some(()).ok_or_else(|| ApiError::from(&ELSEWHERE))
    }

    /// What it reaches of a list.
    pub(crate) async fn keep<T>(
        self,
        state: &ApiState,
        items: Vec<T>,
        owner: impl Fn(&T) -> Option<WorkspaceId>,
    ) -> Result<Vec<T>, ApiError> {
        if self.0.is_none() {
            return Ok(items);
        }
        let mut kept = Vec::new();
        for item in items {
            if self.covers(state, owner(&item)).await? {
                kept.push(item);
            }
        }
        Ok(kept)
    }
}

impl FromRequestParts<ApiState> for Scope {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let Who(identity) = Who::from_request_parts(parts, state).await?;
        Ok(Self::of(&identity))
    }
}
