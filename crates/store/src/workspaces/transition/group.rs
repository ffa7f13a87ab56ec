//! Transitions that wait for the disk at the same moment are committed together: after an outage thousands of workspaces
//! come back at once, and a commit of one costs as much as a commit of many.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Moved, Transition, apply_all};
use crate::{Store, StoreError};

/// Transitions of one commit: whoever else writes waits for it.
const BATCH: usize = 256;

type Outcome = Result<Option<Moved>, StoreError>;

/// Who waits to be committed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Job>,
    /// Somebody commits what waits, and goes on until nothing does.
    served: bool,
}

#[derive(Debug)]
struct Job {
    transition: Transition,
    done: oneshot::Sender<Outcome>,
}

/// Hands a transition over; returns once it is committed or refused.
pub(super) async fn submit(store: &Store, transition: Transition) -> Outcome {
    let (done, outcome) = oneshot::channel();
    if store.transitions.push(Job { transition, done }) {
        tokio::spawn(serve(store.clone()));
    }
    outcome.await.map_err(|_| StoreError::Interrupted)?
}

async fn serve(store: Store) {
    while let Some(batch) = store.transitions.next() {
        // In a task of its own: a panic costs one batch, whose callers are told.
        if let Err(error) = tokio::spawn(commit(store.clone(), batch)).await {
            tracing::error!(%error, "a commit of transitions was interrupted");
        }
    }
}

async fn commit(store: Store, batch: Vec<Job>) {
    // Told of when it is committed, and before who asked for it learns that it is.
    let told: Vec<_> = batch
        .iter()
        .map(|job| store.changes.telling(job.transition.id))
        .collect();
    let (transitions, callers): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.transition, job.done)).unzip();
    let transitions: Arc<[Transition]> = transitions.into();
    let outcomes = match write(&store, transitions.clone()).await {
        Ok(moved) => moved.into_iter().map(Ok).collect(),
        Err(error) if transitions.len() == 1 => vec![Err(error)],
        // One bad row must not fail its neighbours.
        Err(_) => one_by_one(&store, &transitions).await,
    };
    drop(told);
    for (done, outcome) in callers.into_iter().zip(outcomes) {
        // The caller may have gone away.
        done.send(outcome).ok();
    }
}

async fn one_by_one(store: &Store, transitions: &[Transition]) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(transitions.len());
    for transition in transitions {
        let alone = write(store, Arc::new([transition.clone()])).await;
        outcomes.push(alone.map(|moved| moved.into_iter().next().flatten()));
    }
    outcomes
}

async fn write(store: &Store, transitions: Arc<[Transition]>) -> Result<Vec<Option<Moved>>, StoreError> {
    let at = store.clock.now();
    let work = store
        .db
        .tx(|tx| Box::pin(async move { apply_all(tx, &transitions, at).await }));
    work.await
}

impl Group {
    /// Puts a job at the end of the line. Must the caller see to it that the line is served?
    fn push(&self, job: Job) -> bool {
        let mut line = self.0.lock();
        line.waiting.push_back(job);
        !std::mem::replace(&mut line.served, true)
    }

    /// What is committed next, in the order of ids: whoever locks the rows of several workspaces does so in that order, or
    /// two of them would wait for each other. Of one workspace, first come first served.
    fn next(&self) -> Option<Vec<Job>> {
        let mut line = self.0.lock();
        let count = line.waiting.len().min(BATCH);
        if count == 0 {
            line.served = false;
            return None;
        }
        let mut batch: Vec<Job> = line.waiting.drain(..count).collect();
        batch.sort_by_key(|job| job.transition.id);
        Some(batch)
    }
}
