//! The one door through which a workspace changes its status.

mod announce;
mod ask;

pub use ask::{Ask, Cause};

use molecule_core::{Facts, Runtime, Trigger, Word, WorkspaceId, WorkspaceStatus, status};
use molecule_store::{
    StoreError,
    workspaces::{Change, Moved, Transition, Workspace},
};

use crate::{ground::Ground, pulses::Pulses};

/// How often a transition is tried again when the row moved between read and write.
const RACES: usize = 4;

/// Applies triggers to workspaces. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    ground: Ground,
    pulses: Pulses,
}

/// A transition that took place.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The row as it was before.
    pub before: Workspace,
    /// Status after.
    pub to: WorkspaceStatus,
    /// Generation after, and position of the event.
    pub moved: Moved,
}

impl Lifecycle {
    /// Over a store and the bus its events go to.
    #[must_use]
    pub fn new(ground: Ground, pulses: Pulses) -> Self {
        Self { ground, pulses }
    }

    /// Applies `ask.trigger` to a workspace: reads it, decides with [`status::next`], and writes with a
    /// compare-and-set together with the events that follow from it. `None`: the trigger changes nothing here, or the
    /// workspace is unknown; then no event was recorded (LIFE-36). Returns once the event was published.
    ///
    /// # Errors
    /// The transition could not be stored. It is logged and counted here (LIFE-8, LIFE-8a); callers must not report
    /// success.
    pub async fn apply(&self, id: WorkspaceId, ask: Ask) -> Result<Option<Applied>, StoreError> {
        let mut to = None;
        match self.attempt(id, &ask, &mut to).await {
            Ok(applied) => {
                if let Some(applied) = &applied {
                    self.settle(id, &ask.change, applied).await;
                }
                Ok(applied)
            }
            Err(error) => {
                not_stored(id, to, &error);
                Err(error)
            }
        }
    }

    /// `target` is where it was to go, as soon as that is known.
    async fn attempt(
        &self,
        id: WorkspaceId,
        ask: &Ask,
        target: &mut Option<WorkspaceStatus>,
    ) -> Result<Option<Applied>, StoreError> {
        for _ in 0..RACES {
            let Some(before) = self.ground.store.workspace(id).await? else {
                return Ok(None);
            };
            let facts = Facts {
                external: is_external(&before.runtime),
                ..ask.facts
            };
            let to = match status::next(before.status, ask.trigger, facts) {
                Some(to) => to,
                // A repeated registration refreshes the row and is announced, though the status stays (REG-31).
                None if ask.trigger == Trigger::Registered && before.status == WorkspaceStatus::Online => before.status,
                None => return Ok(None),
            };
            if ask
                .guard
                .generation
                .is_some_and(|generation| generation != before.generation)
            {
                return Ok(None);
            }
            *target = Some(to);
            let transition = Transition {
                id,
                from: vec![before.status],
                to,
                change: ask.change.clone(),
                guard: ask.guard,
                events: announce::events(ask, &before, to),
            };
            if let Some(moved) = self.ground.store.transition(transition).await? {
                return Ok(Some(Applied { before, to, moved }));
            }
            if ask.guard.judges() {
                // The guard may have refused; a sweep looks again by itself.
                return Ok(None);
            }
            if let Some(token) = ask.guard.token
                && !self.ground.store.is_unrevoked(token).await?
            {
                return Ok(None);
            }
        }
        tracing::warn!(workspace = %id, trigger = ?ask.trigger, "gave up: the status keeps moving");
        Ok(None)
    }

    async fn settle(&self, id: WorkspaceId, change: &Change, applied: &Applied) {
        self.pulses.changed(id, change);
        metrics::counter!("molecule_workspace_transitions_total", "to" => applied.to.as_str()).increment(1);
        tracing::info!(
            workspace = %id, from = %applied.before.status, to = %applied.to, generation = applied.moved.generation,
            "workspace status"
        );
        self.ground.events.passed(applied.moved.seq).await;
    }
}

/// Counts and logs a change of status that could not be stored (LIFE-8, LIFE-8a).
pub(crate) fn not_stored(id: WorkspaceId, to: Option<WorkspaceStatus>, error: &StoreError) {
    metrics::counter!("molecule_status_write_failures_total").increment(1);
    tracing::error!(workspace = %id, to = to.map(tracing::field::display), %error, "status not stored");
}

/// Nothing is provisioned for this runtime.
#[must_use]
pub fn is_external(runtime: &Word<Runtime>) -> bool {
    *runtime == Runtime::External
}
