use std::sync::Arc;

use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_store::StoreError;
use molecule_wire::{
    Patch,
    workspaces::{Budget, SetBudget},
};
use serde_json::{Number, Value};

use super::Workspaces;
use crate::directory::Route;

/// 2^63, the first number of cents that has no room.
const NO_ROOM: f64 = 9_223_372_036_854_775_808.0;

/// Why a budget was not shown or changed (ACT-199, ACT-200). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The limit is not in the request: an empty one must not lift it.
    #[error("budget_limit field is required")]
    Missing,
    /// Below zero.
    #[error("budget_limit must be >= 0 (USD cents)")]
    Negative,
    /// No number, or one that is too large.
    #[error("budget_limit must be an integer (USD cents) or null")]
    NoAmount,
    /// Unknown or removed.
    #[error("workspace not found")]
    NotFound,
    /// The store could not be read.
    #[error("query failed")]
    Read(#[source] StoreError),
    /// The store failed; nothing changed.
    #[error("update failed")]
    Store(#[source] StoreError),
}

impl Workspaces {
    /// What a workspace may spend, and has spent (ACT-199).
    ///
    /// # Errors
    /// [`BudgetError::NotFound`], [`BudgetError::Read`].
    pub async fn budget(&self, id: WorkspaceId) -> Result<Budget, BudgetError> {
        let route = self.live_route(id).await?;
        Ok(self.budget_of(&route, route.budget_limit))
    }

    /// Changes what a workspace may spend (ACT-200). For admins: agents must not lift their own ceiling (SEC-87). The
    /// next message is judged by it.
    ///
    /// # Errors
    /// [`BudgetError`]; nothing changed.
    pub async fn set_budget(&self, id: WorkspaceId, request: SetBudget) -> Result<Budget, BudgetError> {
        let limit = limit_of(request)?;
        // Read ahead, so that nothing can fail once it is changed.
        let route = self.live_route(id).await?;
        let stored = self.inner.store.set_budget(id, limit).await;
        if !stored.map_err(BudgetError::Store)? {
            return Err(BudgetError::NotFound);
        }
        Ok(self.budget_of(&route, limit))
    }

    async fn live_route(&self, id: WorkspaceId) -> Result<Arc<Route>, BudgetError> {
        let route = self.inner.directory.route(id).await.map_err(BudgetError::Read)?;
        route
            .filter(|route| route.status != WorkspaceStatus::Removed)
            .ok_or(BudgetError::NotFound)
    }

    fn budget_of(&self, route: &Route, limit: Option<i64>) -> Budget {
        let spent = route.spent(self.inner.pulses.latest(route.id).as_ref());
        Budget {
            budget_limit: limit,
            monthly_spend: spent,
            budget_remaining: limit.map(|limit| limit.saturating_sub(spent)),
        }
    }
}

fn limit_of(SetBudget { budget_limit }: SetBudget) -> Result<Option<i64>, BudgetError> {
    match budget_limit {
        Patch::Absent => Err(BudgetError::Missing),
        Patch::Null => Ok(None),
        Patch::Value(Value::Number(number)) => cents(&number).map(Some),
        Patch::Value(_) => Err(BudgetError::NoAmount),
    }
}

/// Whole cents; what is behind the point is cut off.
fn cents(number: &Number) -> Result<i64, BudgetError> {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) if whole >= 0 => Ok(whole),
        (_, Some(amount)) if amount < 0.0 => Err(BudgetError::Negative),
        #[allow(clippy::cast_possible_truncation, reason = "that it has room was just asked")]
        (_, Some(amount)) if amount < NO_ROOM => Ok(amount as i64),
        _ => Err(BudgetError::NoAmount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_an_amount_or_none() {
        // ACT-200
        let read = |text: &str| {
            let request = serde_json::from_str(text).unwrap();
            limit_of(request).map_err(|error| error.to_string())
        };
        let limit = |value: &str| read(&format!(r#"{{"budget_limit":{value}}}"#));
        for (value, cents) in [
            ("null", None),
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("0.99", Some(0)),
            ("12.7", Some(12)),
            ("1e3", Some(1_000)),
            ("9223372036854775807", Some(i64::MAX)),
        ] {
            assert_eq!(limit(value), Ok(cents), "{value}");
        }
        for value in ["-1", "-0.5", "-1e300"] {
            assert_eq!(
                limit(value).unwrap_err(),
                "budget_limit must be >= 0 (USD cents)",
                "{value}"
            );
        }
        for value in [
            "9223372036854775808",
            "18446744073709551615",
            "1e300",
            r#""5""#,
            "true",
            "[]",
            "{}",
        ] {
            let refused = limit(value).unwrap_err();
            assert_eq!(
                refused, "budget_limit must be an integer (USD cents) or null",
                "{value}"
            );
        }
        assert_eq!(read("{}").unwrap_err(), "budget_limit field is required");
        assert_eq!(read(r#"{"limit":5}"#).unwrap_err(), "budget_limit field is required");
    }
}
