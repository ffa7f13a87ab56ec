use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use molecule_a2a::{Normalised, ProtocolVersion, normalise};
use molecule_core::{DeliveryMode, WorkspaceId};

use super::{Caller, CallerRefusal, FrameStream, MessagingError, Messenger};
use crate::{config::AuthMode, credentials::Identity, dial::Endpoint, directory::Route};

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

/// How a message was delivered.
#[derive(Debug)]
pub enum Delivered {
    /// The agent's reply, in the caller's version.
    Reply {
        /// The agent's 2xx status.
        status: u16,
        /// JSON.
        body: Bytes,
    },
    /// The agent's event stream, relayed frame by frame (D15).
    Stream(FrameStream),
    /// Durable in the feed of a poll-mode target (A2A-40).
    Polled {
        /// Method of the message.
        method: String,
    },
}

/// A message on its way, all decisions but the dial made.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) route: Arc<Route>,
    pub(super) endpoint: Endpoint,
    pub(super) request: Arc<Normalised>,
    pub(super) target_version: ProtocolVersion,
    pub(super) ceiling: Option<Duration>,
}

impl Messenger {
    /// Delivers a message (A2A-1): caller, access, budget, normalise, delivery mode, dispatch. First failure wins.
    ///
    /// The dispatch runs to its end and is recorded even if the returned future is dropped (A2A-68).
    ///
    /// # Errors
    /// [`MessagingError`].
    pub async fn deliver(
        &self,
        mode: AuthMode,
        identity: &Identity,
        message: Message,
    ) -> Result<Delivered, MessagingError> {
        let target = message.target;
        let caller = Caller::resolve(mode, identity, message.caller_header.as_deref(), target)?;
        self.check_claim(identity, caller, target).await?;
        self.check_access(caller, target).await?;
        let route = self.inner.directory.route(target).await?;
        if let Some(route) = &route {
            self.check_budget(route)?;
        }
        let request = Arc::new(normalise(&message.body, message.version_header.as_deref())?);
        let route = route.filter(|route| route.status != molecule_core::WorkspaceStatus::Removed);
        let route = route.ok_or(MessagingError::NotFound)?;
        // Only exactly `poll` waits; NULL and unknown mean push: loud and recoverable (A2A-43).
        if route.delivery_mode == Some(DeliveryMode::Poll) {
            return self.queue_for_poll(caller, &route, &request).await;
        }
        if route.url.is_empty() {
            return Err(MessagingError::NoUrl { status: route.status });
        }
        let endpoint = self.inner.dialer.endpoint(&route)?;
        let ceiling = match (message.timeout, caller) {
            (Some(asked), _) => asked,
            (None, Caller::Canvas) => None,
            (None, Caller::Workspace(_)) => Some(molecule_core::limits::A2A_CALLER_CEILING),
        };
        let target_version = route.announced.choose(request.version);
        self.dispatch(Call {
            caller,
            route,
            endpoint,
            request,
            target_version,
            ceiling,
        })
        .await
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
        if claimed != target && self.inner.store.has_live_token(claimed).await? {
            return Err(CallerRefusal::Missing.into());
        }
        Ok(())
    }

    async fn check_access(&self, caller: Caller, target: WorkspaceId) -> Result<(), MessagingError> {
        let Caller::Workspace(from) = caller else { return Ok(()) };
        if from == target || self.inner.directory.can_communicate(from, target).await {
            return Ok(());
        }
        tracing::info!(caller = %from, %target, "message refused by the hierarchy");
        Err(MessagingError::AccessDenied)
    }

    /// Limit 0 always blocks (A2A-11). A spend that was reported but not flushed counts.
    fn check_budget(&self, route: &Route) -> Result<(), MessagingError> {
        let Some(limit) = route.budget_limit else { return Ok(()) };
        let reported = self.inner.pulses.latest(route.id).and_then(|pulse| pulse.monthly_spend);
        let spent = reported.unwrap_or(route.monthly_spend).max(route.monthly_spend);
        if spent >= limit {
            Err(MessagingError::OverBudget)
        } else {
            Ok(())
        }
    }

    /// The row is the message: it is durable before the answer (A2A-42, ACT-39).
    async fn queue_for_poll(
        &self,
        caller: Caller,
        route: &Route,
        request: &Normalised,
    ) -> Result<Delivered, MessagingError> {
        self.record_polled(caller, route, request).await.map_err(|error| {
            tracing::error!(target = %route.id, %error, "poll message not stored");
            MessagingError::NotStored(error)
        })?;
        Ok(Delivered::Polled {
            method: request.method.clone(),
        })
    }
}
