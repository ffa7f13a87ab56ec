//! Messages that come over the API: who is calling, and then into the sending core.

use futures_util::future::BoxFuture;
use std::time::Duration;

use bytes::Bytes;
use molecule_core::WorkspaceId;

use super::{Caller, CallerRefusal, Delivered, Envelope, MessagingError, Messenger, Payload};
use crate::credentials::{ClaimError, Identity};

/// A message as it came in.
#[derive(Debug, Clone)]
pub struct Message {
    /// To whom.
    pub target: WorkspaceId,
    /// `X-Workspace-ID`.
    pub caller_header: Option<String>,
    /// `A2A-Version`.
    pub version_header: Option<String>,
    /// `X-Timeout`: replaces the ceiling of the call; `Some(None)` is no ceiling (A2A-67).
    pub timeout: Option<Option<Duration>>,
    /// The body.
    pub body: Bytes,
}

impl Messenger {
    /// Delivers a message of whoever is calling (A2A-1).
    ///
    /// # Errors
    /// [`MessagingError`].
    pub fn deliver<'a>(
        &'a self,
        identity: &'a Identity,
        message: Message,
    ) -> BoxFuture<'a, Result<Delivered, MessagingError>> {
        Box::pin(self.deliver_inner(identity, message))
    }

    async fn deliver_inner(&self, identity: &Identity, message: Message) -> Result<Delivered, MessagingError> {
        let target = message.target;
        let mode = self.inner.config.auth;
        let caller = Caller::resolve(mode, identity, message.caller_header.as_deref(), target)?;
        self.check_claim(identity, caller, target).await?;
        let payload = Payload {
            body: message.body,
            version: message.version_header,
        };
        let mut envelope = Envelope::new(target, caller, payload);
        if let Some(asked) = message.timeout {
            envelope.ceiling = asked;
        }
        self.send(envelope).await
    }

    /// A caller that is named but not proven, as open mode lets pass, must have no live token, or be the target itself
    /// (A2A-7, A2A-8).
    async fn check_claim(
        &self,
        identity: &Identity,
        caller: Caller,
        target: WorkspaceId,
    ) -> Result<(), MessagingError> {
        let (None, Caller::Workspace(claimed)) = (&identity.principal, caller) else {
            return Ok(());
        };
        if claimed == target {
            return Ok(());
        }
        match self.inner.credentials.admit_workspace(identity, claimed).await {
            Ok(()) => Ok(()),
            Err(ClaimError::Refused(refusal)) => Err(CallerRefusal::from(refusal).into()),
            Err(ClaimError::Store(error)) => Err(error.into()),
        }
    }
}
