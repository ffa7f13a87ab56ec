//! Idle stops, asked for and by themselves (LIFE §11).

use std::time::Duration;

use futures_util::{StreamExt, stream};
use molecule_core::{Facts, Timestamp, Trigger, WorkspaceId, WorkspaceStatus, limits};
use molecule_store::{
    StoreError,
    workspaces::{Change, Guard, NewUrl},
};
use serde::Serialize;

use super::{Provisioner, stop::caught};
use crate::lifecycle::{Ask, is_external};

/// Stops that the monitor runs at once.
const PARALLEL: usize = 8;

/// What came of an idle stop.
#[derive(Debug)]
pub enum Hibernated {
    /// It sleeps.
    Done,
    /// It was not claimed: it is busy, or not online any more. Nothing changed.
    NotClaimed,
    /// It was claimed and could not be stopped; the monitor tries again.
    NotStopped,
    /// Somebody restarted, paused or removed it meanwhile, and has it now.
    Overtaken,
}

/// What the monitor did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Dozed {
    /// Workspaces that had been idle for long enough.
    pub idle: usize,
    /// Those that were put to sleep.
    pub hibernated: usize,
    /// Hibernations of earlier that were finished.
    pub finished: usize,
    /// Those that could not be put to sleep.
    pub failed: usize,
}

/// Under which condition a workspace is put to sleep.
#[derive(Debug, Clone, Copy)]
enum Unless {
    /// Whatever it does.
    Never,
    /// It runs a task.
    Busy,
    /// It runs a task, or has since then.
    ActiveSince(Timestamp),
}

impl Provisioner {
    /// Stops a workspace of which nothing is asked until a message wakes it (LIFE-160, LIFE-161). `force`: also if tasks
    /// run. Of concurrent calls one claims it.
    ///
    /// # Errors
    /// The row could not be written; the monitor finishes what was begun.
    pub async fn hibernate(&self, id: WorkspaceId, force: bool) -> Result<Hibernated, StoreError> {
        let unless = if force { Unless::Never } else { Unless::Busy };
        self.doze(id, unless).await
    }

    async fn doze(&self, id: WorkspaceId, unless: Unless) -> Result<Hibernated, StoreError> {
        let slot = self.inner.slots.of(id);
        let _turn = slot.operation().await;
        let busy = || self.inner.pulses.calls(id) > 0 || self.tasks(id) > 0;
        if !matches!(unless, Unless::Never) && busy() {
            return Ok(Hibernated::NotClaimed);
        }
        let facts = Facts {
            force: matches!(unless, Unless::Never),
            ..Facts::default()
        };
        let guard = Guard {
            idle: !matches!(unless, Unless::Never),
            inactive_since: match unless {
                Unless::ActiveSince(at) => Some(at),
                Unless::Never | Unless::Busy => None,
            },
            ..Guard::default()
        };
        // Without an address nobody reaches it any more (OP-7).
        let change = Change {
            url: Some(NewUrl::none()),
            ..Change::default()
        };
        let ask = Ask::from(Trigger::HibernateClaimed)
            .facts(facts)
            .change(change)
            .guard(guard);
        let Some(claimed) = self.inner.lifecycle.apply(id, ask).await? else {
            return Ok(Hibernated::NotClaimed);
        };
        if !matches!(unless, Unless::Never) {
            self.await_calls(id).await;
        }
        self.fall_asleep(id, claimed.moved.generation).await
    }

    /// Messages that were on their way when the workspace was claimed are answered; later ones find it asleep.
    async fn await_calls(&self, id: WorkspaceId) {
        let quiet = self.inner.pulses.quiet(id);
        if self
            .inner
            .clock()
            .within(limits::HIBERNATION_DRAIN, quiet)
            .await
            .is_none()
        {
            tracing::warn!(workspace = %id, "hibernated though a message is not answered yet");
        }
    }

    /// Stops what was claimed and says so; the caller holds the slot.
    async fn fall_asleep(&self, id: WorkspaceId, generation: i64) -> Result<Hibernated, StoreError> {
        if caught(self.stop_persistently(id)).await.is_err() {
            return Ok(Hibernated::NotStopped);
        }
        let ask = Ask::from(Trigger::HibernateDone).generation(generation);
        Ok(match self.inner.lifecycle.apply(id, ask).await? {
            Some(_) => Hibernated::Done,
            None => Hibernated::Overtaken,
        })
    }

    /// Finishes a hibernation that was claimed and not done, if there is one; the caller holds the slot.
    pub(super) async fn finish_hibernation(&self, id: WorkspaceId) -> Result<bool, StoreError> {
        let row = self.inner.store.workspace(id).await?;
        let Some(row) = row.filter(|row| row.status == WorkspaceStatus::Hibernating) else {
            return Ok(false);
        };
        tracing::warn!(workspace = %id, "finishing a hibernation that was given up");
        let outcome = self.fall_asleep(id, row.generation).await?;
        Ok(matches!(outcome, Hibernated::Done))
    }

    /// Tasks that run, as far as the agent has told.
    fn tasks(&self, id: WorkspaceId) -> i64 {
        self.inner.pulses.latest(id).map_or(0, |pulse| pulse.active_tasks)
    }

    /// One look of the monitor (LIFE-193, OP-6, OP-7): puts to sleep who has been idle for as long as it may be, and
    /// finishes what a crash or a failed stop left half done.
    ///
    /// # Errors
    /// The candidates could not be read.
    pub async fn hibernate_idle(&self, report: &mut Dozed) -> Result<(), StoreError> {
        let at = self.now();
        let idle = self.inner.store.idle_workspaces(at).await?;
        let idle: Vec<_> = idle
            .into_iter()
            .filter(|(id, allowed)| self.has_been_idle(*id, at.minus(*allowed)))
            .map(|(id, allowed)| (id, at.minus(allowed)))
            .collect();
        report.idle = idle.len();
        let dozing = stream::iter(idle).map(|(id, since)| async move {
            let outcome = self.doze(id, Unless::ActiveSince(since)).await;
            match &outcome {
                Ok(Hibernated::Done) => tracing::info!(workspace = %id, "idle, hibernated"),
                // Logged where it failed, or no matter.
                Ok(Hibernated::NotStopped | Hibernated::NotClaimed | Hibernated::Overtaken) => {}
                // One bad row never stops the rest (LIFE-176).
                Err(error) => tracing::error!(workspace = %id, %error, "not hibernated"),
            }
            outcome
        });
        let mut dozing = dozing.buffer_unordered(PARALLEL);
        while let Some(outcome) = dozing.next().await {
            match outcome {
                Ok(Hibernated::Done) => report.hibernated += 1,
                Ok(Hibernated::NotStopped) | Err(_) => report.failed += 1,
                Ok(Hibernated::NotClaimed | Hibernated::Overtaken) => {}
            }
        }
        self.finish_hibernations(limits::HIBERNATING_STUCK, report).await
    }

    /// Was it heard of by this server, and not busy since then?
    fn has_been_idle(&self, id: WorkspaceId, since: Timestamp) -> bool {
        let pulses = &self.inner.pulses;
        let heard = pulses.latest(id).is_some_and(|pulse| pulse.active_tasks == 0);
        heard && pulses.calls(id) == 0 && pulses.last_active(id).is_none_or(|at| at <= since)
    }

    /// Finishes the hibernations that were claimed so long ago (OP-7).
    pub(super) async fn finish_hibernations(&self, age: Duration, report: &mut Dozed) -> Result<(), StoreError> {
        let at = self.now();
        for row in self.inner.store.workspaces_in(&[WorkspaceStatus::Hibernating]).await? {
            if is_external(&row.runtime) || at.since(row.status_changed_at) < age {
                continue;
            }
            let slot = self.inner.slots.of(row.id);
            // Whoever has the slot is about to finish it.
            let Some(_turn) = slot.try_operation() else { continue };
            match self.finish_hibernation(row.id).await {
                Ok(done) => report.finished += usize::from(done),
                Err(error) => {
                    tracing::error!(workspace = %row.id, %error, "hibernation not finished");
                    report.failed += 1;
                }
            }
        }
        Ok(())
    }
}
