use molecule_core::{
    Facts, TokenId, Trigger,
    event::{FailureDetail, FailureSource},
};
use molecule_store::workspaces::{Change, Guard};
use serde_json::Value;

/// What brought a transition about, as far as its event tells of it and neither trigger nor row do.
#[derive(Debug, Clone, Default)]
pub enum Cause {
    /// There is nothing more to tell.
    #[default]
    Plain,
    /// An agent registered, with this card.
    Registration(Value),
    /// A beat, with the agent's last error.
    Beat {
        /// Empty for none.
        sample_error: String,
    },
    /// An instance ended, for this reason.
    Ended(String),
    /// A start failed, or an agent ended for the last time; the text for people is the change's `sample_error`.
    Failure(FailureDetail),
    /// Whoever watches boots from outside reported one that failed (LIFE-173).
    BootReport {
        /// For people.
        error: String,
        /// End of its log.
        log_tail: String,
    },
}

impl Cause {
    /// An agent ended too often in a row (D30).
    #[must_use]
    pub fn crash_loop(ends: usize) -> Self {
        let source = FailureSource::CrashLoop;
        Self::Failure(FailureDetail::CrashLoop { source, ends })
    }
}

/// What is asked of the status machine: why, what is known, what changes with it, what else must hold, and what is told.
/// `facts.external` is filled in from the row.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Why the status might change.
    pub trigger: Trigger,
    /// What the decision depends on.
    pub facts: Facts,
    /// Columns that change with it.
    pub change: Change,
    /// Conditions beside the status.
    pub guard: Guard,
    /// What its event tells beside trigger and row.
    pub cause: Cause,
}

/// What a change that leads nowhere carries.
impl From<Trigger> for Ask {
    fn from(trigger: Trigger) -> Self {
        Self {
            trigger,
            facts: Facts::default(),
            change: Change::default(),
            guard: Guard::default(),
            cause: Cause::Plain,
        }
    }
}

impl Ask {
    /// With facts.
    #[must_use]
    pub fn facts(mut self, facts: Facts) -> Self {
        self.facts = facts;
        self
    }

    /// With a change.
    #[must_use]
    pub fn change(mut self, change: Change) -> Self {
        self.change = change;
        self
    }

    /// With a guard.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// With what its event tells.
    #[must_use]
    pub fn cause(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// Only while the token that was shown, if one was, is not revoked.
    #[must_use]
    pub fn token(mut self, token: Option<TokenId>) -> Self {
        self.guard.token = token;
        self
    }

    /// Only for this incarnation.
    #[must_use]
    pub fn generation(mut self, generation: i64) -> Self {
        self.guard.generation = Some(generation);
        self
    }
}
