use molecule_core::{
    DeliveryMode, Facts, Timestamp, TokenId, Trigger, WorkspaceId, WorkspaceStatus,
    event::{self, Event},
    limits, status,
};
use molecule_store::{StoreError, pulse::Pulse, workspaces::Change};
use molecule_wire::registry::Heartbeat;
use secrecy::SecretString;

use super::Registry;
use crate::{
    credentials::{ClaimError, GateRefusal, Identity},
    directory::Route,
    lifecycle::{Ask, Cause},
};

/// Why a beat was refused (REG-50).
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// No or no valid `workspace_id`.
    #[error("invalid request body")]
    BadRequest,
    /// The gate (REG-10…12).
    #[error(transparent)]
    Refused(#[from] GateRefusal),
    /// No such workspace; nothing happened.
    #[error("workspace not found")]
    NotFound,
    /// The status could not be written.
    #[error("failed to update")]
    Store(#[from] StoreError),
}

impl From<ClaimError> for HeartbeatError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Refused(refusal) => refusal.into(),
            ClaimError::Store(cause) => cause.into(),
        }
    }
}

/// A beat that was taken.
#[derive(Debug)]
pub struct HeartbeatReply {
    /// Redelivered on every beat (REG-55).
    pub inbound_secret: Option<SecretString>,
}

impl Registry {
    /// Takes a beat. Only a change does work: the beat itself goes into the pulse batcher (architecture §3).
    ///
    /// # Errors
    /// [`HeartbeatError`].
    pub async fn heartbeat(&self, identity: &Identity, beat: Heartbeat) -> Result<HeartbeatReply, HeartbeatError> {
        let id: WorkspaceId = beat.workspace_id.parse().map_err(|_| HeartbeatError::BadRequest)?;
        let route = self.inner.directory.route(id).await?;
        self.admit(id, route.as_ref().map(|route| route.status), identity)
            .await?;
        let route = route.ok_or(HeartbeatError::NotFound)?;
        let overrides = self.inner.overrides.of(id);
        let wedged = beat.runtime_state == "wedged";
        let pulse = pulse_of(id, &beat, self.inner.clock().now());
        let facts = Facts {
            wedged,
            error_rate: pulse.error_rate,
            native_status: overrides.status_mgmt,
            active_tasks: pulse.active_tasks,
            external: route.is_external(),
            ..Facts::default()
        };
        self.take(&route, pulse);
        if status::next(route.status, Trigger::Heartbeat, facts).is_some() {
            self.transition(&route, identity.token(), facts, &beat.sample_error)
                .await?;
        }
        // New declarations apply after this beat's transitions (REG-57).
        if let Some(metadata) = &beat.runtime_metadata {
            self.inner.overrides.declare(id, metadata);
        }
        Ok(HeartbeatReply {
            inbound_secret: self.deliver_inbound(id).await,
        })
    }

    fn take(&self, route: &Route, pulse: Pulse) {
        let (id, active_tasks, uptime_seconds) = (route.id, pulse.active_tasks, pulse.uptime_seconds);
        let current_task = pulse.current_task.clone();
        let difference = self.inner.pulses.take(pulse, &route.current_task);
        if difference.task_changed {
            let said = event::TaskUpdated {
                current_task,
                active_tasks,
            };
            self.inner.events.live(id, || Event::TaskUpdated(said));
        }
        // On every beat: it keeps the idle timer of calls in flight alive (REG-54).
        self.inner.events.beat(
            id,
            event::Beat {
                active_tasks,
                uptime_seconds,
            },
        );
    }

    async fn transition(
        &self,
        route: &Route,
        token: Option<TokenId>,
        facts: Facts,
        sample_error: &str,
    ) -> Result<(), HeartbeatError> {
        if route.status == WorkspaceStatus::Provisioning {
            self.inner.provisioner.start_settled(route.id).await;
        }
        let ask = Ask::from(Trigger::Heartbeat)
            .facts(facts)
            .change(Change {
                beat: true,
                // Nobody can call it, and it has not said that it asks: it is taken to (REG-24).
                delivery_mode: pollable(route).then_some(DeliveryMode::Poll),
                ..Change::default()
            })
            .generation(route.generation)
            // The route may be younger than the proof: a restart in between revoked the token that was shown (D17).
            .token(token)
            .cause(Cause::Beat {
                sample_error: sample_error.to_owned(),
            });
        let applied = self.inner.lifecycle.apply(route.id, ask).await?;
        match token {
            Some(token) if applied.is_none() && !self.inner.store.is_unrevoked(token).await? => {
                Err(GateRefusal::Invalid.into())
            }
            _ => Ok(()),
        }
    }
}

/// An external workspace that has neither an address nor a mode.
fn pollable(route: &Route) -> bool {
    route.is_external() && route.delivery_mode.is_none() && route.url.is_empty()
}

fn pulse_of(id: WorkspaceId, beat: &Heartbeat, at: Timestamp) -> Pulse {
    let spend = (beat.monthly_spend != 0).then(|| beat.monthly_spend.clamp(0, limits::MONTHLY_SPEND_CENTS));
    let text = |text: &str| molecule_core::text::storable(text).into_owned();
    Pulse {
        workspace: id,
        last_beat_at: at,
        uptime_seconds: beat.uptime_seconds,
        error_rate: if beat.error_rate.is_finite() {
            beat.error_rate
        } else {
            0.0
        },
        sample_error: text(&beat.sample_error),
        active_tasks: beat.active_tasks,
        current_task: text(&beat.current_task),
        monthly_spend: spend,
        active_at: None,
    }
}
