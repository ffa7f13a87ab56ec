//! What a workspace may spend (`activity.md` §8). USD cents throughout.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Patch;

/// 200 of `GET` and `PATCH /workspaces/:id/budget` (ACT-199).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Budget {
    /// USD cents a month; null for no limit. Once so much is spent the workspace gets no messages: with 0 never.
    #[schema(required = true)]
    pub budget_limit: Option<i64>,
    /// USD cents that it reported for this month.
    pub monthly_spend: i64,
    /// What is left, below zero if more was spent; null without a limit.
    #[schema(required = true)]
    pub budget_remaining: Option<i64>,
}

/// Body of `PATCH /workspaces/:id/budget` (ACT-200).
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct SetBudget {
    /// USD cents a month; null lifts the limit. A fraction of a cent is left out.
    #[serde(default)]
    #[schema(value_type = Option<f64>, required = true, minimum = 0)]
    pub budget_limit: Patch<Value>,
}
