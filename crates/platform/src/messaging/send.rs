//! The sending core: the one way of every message, whoever sends it (A2A-12).

use std::sync::Arc;

use molecule_a2a::{Normalised, normalise};
use molecule_core::{WorkspaceId, WorkspaceStatus};

use super::{
    Caller, Delivered, Envelope, MessagingError, Messenger,
    call::{Call, Clocks},
    outcome,
};
use crate::{directory::Route, numbers, pulses::Bounds, trace};

impl Messenger {
    /// Sends a message: access, budget, normalise, delivery mode, dispatch. First failure wins (A2A-1).
    ///
    /// The dispatch runs to its end and is recorded even if the returned future is dropped (A2A-68).
    ///
    /// # Errors
    /// [`MessagingError`].
    pub async fn send(&self, envelope: Envelope) -> Result<Delivered, MessagingError> {
        let result = self.try_send(envelope).await;
        metrics::counter!(numbers::MESSAGES, "outcome" => outcome::of(&result)).increment(1);
        result
    }

    async fn try_send(&self, envelope: Envelope) -> Result<Delivered, MessagingError> {
        let Envelope { target, caller, .. } = envelope;
        self.check_access(caller, target).await?;
        let route = self.inner.directory.route(target).await?;
        if let Some(route) = &route {
            self.check_budget(route)?;
        }
        let message = &envelope.message;
        let request = normalise(&message.body, message.version.as_deref())?;
        let route = route.filter(|route| route.status != WorkspaceStatus::Removed);
        let route = route.ok_or(MessagingError::NotFound)?;
        let waking = self.wake(&route).await?;
        // Only exactly `poll` waits; NULL and unknown mean push: loud and recoverable (A2A-43).
        if route.polls() {
            return self.leave_for_poll(caller, &route, &request).await;
        }
        if waking {
            return Err(MessagingError::Waking);
        }
        let call = self.call(&envelope, route, request)?;
        // It may have been put to sleep between the look at its route and the begin of the call, which it waits for.
        if let Some(now) = self.inner.directory.route(target).await?
            && self.wake(&now).await?
        {
            return Err(MessagingError::Waking);
        }
        self.dispatch(call).await
    }

    /// Begins to wake an agent that sleeps or is about to (A2A-61, LIFE-162). `false`: it is awake, or cannot be woken.
    async fn wake(&self, route: &Route) -> Result<bool, MessagingError> {
        let asleep = matches!(route.status, WorkspaceStatus::Hibernating | WorkspaceStatus::Hibernated);
        Ok(asleep && !route.is_external() && self.inner.provisioner.wake(route.id).await?)
    }

    /// Where to, in which version, and how long: what is left to decide of a message to an agent that is dialled.
    fn call(&self, envelope: &Envelope, route: Arc<Route>, request: Normalised) -> Result<Call, MessagingError> {
        // The agent of a paused external workspace may go on, and say where it is (OP-3).
        if route.url.is_empty() || route.status == WorkspaceStatus::Paused {
            return Err(MessagingError::NoUrl { status: route.status });
        }
        let endpoint = self.inner.dialer.endpoint(&route)?;
        let bounds = Bounds {
            all: self.inner.config.a2a_in_flight,
            per_agent: self.inner.config.a2a_in_flight_per_agent,
        };
        let busy = self
            .inner
            .pulses
            .busy(route.id, bounds)
            .map_err(MessagingError::Crowded)?;
        let declared = self.inner.overrides.of(route.id).idle_timeout;
        let idle = declared.unwrap_or(self.inner.config.a2a_idle_timeout);
        Ok(Call {
            caller: envelope.caller,
            target_version: route.announced.choose(request.version),
            route,
            endpoint,
            request,
            clocks: Clocks::start(idle, envelope.ceiling),
            trace: trace::current().unwrap_or_else(|| trace::enter(None, None)),
            record: envelope.record,
            _busy: busy,
        })
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
        if route.spent(self.inner.pulses.latest(route.id).as_ref()) >= limit {
            Err(MessagingError::OverBudget)
        } else {
            Ok(())
        }
    }

    /// The row is the message: it is durable before the answer, whoever sent it (A2A-42, ACT-39).
    async fn leave_for_poll(
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
