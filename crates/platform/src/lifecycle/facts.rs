use molecule_core::{Facts, TokenId, Trigger};
use molecule_store::workspaces::{Change, Guard};

/// What is asked of the status machine: why, what is known, what changes with it, and what else must hold.
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
