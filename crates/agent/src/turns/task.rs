//! Tasks: one turn, or several that were sent to the same task one after the other.

use std::{fmt, sync::Arc};

use molecule_a2a::jsonrpc::TaskState;
use molecule_core::Timestamp;

use super::{Finished, Phase, State, Turn};

/// A task as it is at one moment.
pub struct Task {
    /// Its id.
    pub id: String,
    /// The conversation it belongs to.
    pub context_id: String,
    /// Its turns that are over, oldest first.
    pub ended: Vec<Finished>,
    /// Its turns that wait or run, oldest first.
    pub live: Vec<Arc<Turn>>,
}

impl Task {
    /// The turn that runs or is the next to run; `None` once the task is over.
    #[must_use]
    pub fn current(&self) -> Option<&Arc<Turn>> {
        self.live.first()
    }

    /// Where it is, and since when.
    #[must_use]
    pub fn status(&self) -> (TaskState, Timestamp) {
        let standing = self.live.iter().map(|turn| {
            let progress = turn.watch();
            let progress = progress.borrow();
            let state = match progress.phase {
                Phase::Working => TaskState::Working,
                _ => TaskState::Submitted,
            };
            (state, progress.since)
        });
        let mut standing: Vec<_> = standing.collect();
        if !self.ended.is_empty() {
            // What went on before goes on.
            for (state, _) in &mut standing {
                *state = TaskState::Working;
            }
        }
        if let Some(working) = standing.iter().find(|(state, _)| *state == TaskState::Working) {
            return *working;
        }
        let ended = self.ended.last().map(|end| (end.state.into(), end.ended));
        standing
            .first()
            .copied()
            .or(ended)
            .unwrap_or((TaskState::Unknown, Timestamp::default()))
    }
}

impl From<State> for TaskState {
    fn from(state: State) -> Self {
        match state {
            State::Completed => Self::Completed,
            State::Failed => Self::Failed,
            State::Canceled => Self::Canceled,
        }
    }
}

/// Which tasks are wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of this conversation.
    pub context_id: Option<String>,
    /// In this state.
    pub state: Option<TaskState>,
    /// Whose state is of this time or later.
    pub since: Option<Timestamp>,
}

impl Filter {
    pub(super) fn admits(&self, task: &Task) -> bool {
        let (state, since) = task.status();
        self.context_id.as_ref().is_none_or(|id| *id == task.context_id)
            && self.state.is_none_or(|wanted| wanted == state)
            && self.since.is_none_or(|earliest| since >= earliest)
    }
}

/// A place in the list of tasks, which is ordered by the time of their state, newest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub(super) at: Timestamp,
    pub(super) id: String,
}

impl Place {
    pub(super) fn of(task: &Task) -> Self {
        Self {
            at: task.status().1,
            id: task.id.clone(),
        }
    }

    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('.')?;
        Some(Self {
            at: Timestamp::from_micros(at.parse().ok()?),
            id: id.to_owned(),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.micros(), self.id)
    }
}

/// A part of the list.
pub struct Page {
    /// The tasks, newest first.
    pub tasks: Vec<Task>,
    /// Where it goes on, if it does.
    pub next: Option<Place>,
    /// How many tasks there are on all pages.
    pub total: usize,
}
