//! Registry: register, heartbeat, cards, discovery (`a2a.md` §2–6).

use molecule_core::WorkspaceId;
use molecule_wire::{
    StatusBody,
    registry::{AccessAnswer, CheckAccess, Discovered, Heartbeat, HeartbeatOk, Peer, Register, Registered, UpdateCard},
};

use crate::{Client, ClientError};

impl Client {
    /// `POST /registry/register` (REG §3).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn register(&self, registration: &Register) -> Result<Registered, ClientError> {
        self.post(&["registry", "register"])
            .body(registration)?
            .private()
            .json()
            .await
    }

    /// `POST /registry/heartbeat` (REG §4).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<HeartbeatOk, ClientError> {
        self.post(&["registry", "heartbeat"]).body(beat)?.private().json().await
    }

    /// `POST /registry/update-card` (REG-70).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn update_card(&self, card: &UpdateCard) -> Result<StatusBody, ClientError> {
        self.post(&["registry", "update-card"]).body(card)?.json().await
    }

    /// `GET /registry/discover/:id` as the client's workspace (REG-83…85).
    ///
    /// # Errors
    /// [`ClientError`]; 400 if the client speaks for no workspace.
    pub async fn discover(&self, target: WorkspaceId) -> Result<Discovered, ClientError> {
        self.get(&["registry", "discover", &target.to_string()]).json().await
    }

    /// `GET /registry/:id/peers?q=` (REG-86, REG-87).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn peers(&self, id: WorkspaceId, search: Option<&str>) -> Result<Vec<Peer>, ClientError> {
        self.get(&["registry", &id.to_string(), "peers"])
            .query_opt("q", search)
            .json()
            .await
    }

    /// `POST /registry/check-access` (REG-81): may `caller` talk to `target`?
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn check_access(&self, caller: WorkspaceId, target: WorkspaceId) -> Result<bool, ClientError> {
        let question = CheckAccess {
            caller_id: caller.to_string(),
            target_id: target.to_string(),
        };
        let answer: AccessAnswer = self.post(&["registry", "check-access"]).body(&question)?.json().await?;
        Ok(answer.allowed)
    }
}
