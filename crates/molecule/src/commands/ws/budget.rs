//! `molecule ws budget`: what a workspace may spend, and has spent.

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use molecule_client::Client;
use molecule_wire::workspaces::Budget;

use super::show::dollars;
use crate::{completing, output::Output, resolve};

/// Arguments of `ws budget`.
#[derive(Debug, Args)]
pub struct BudgetArgs {
    /// Id or name
    #[arg(add = completing::workspaces())]
    workspace: String,
    /// What it may spend from now on, in USD cents a month; `none`: as much as it likes
    #[arg(value_name = "CENTS|none")]
    limit: Option<Limit>,
}

/// A limit to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<i64>);

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        let cents = text.parse().ok().filter(|cents| *cents >= 0);
        cents
            .map(|cents| Self(Some(cents)))
            .ok_or("a whole number of USD cents, such as 1000 for 10 USD, or none")
    }
}

pub(super) async fn run(args: BudgetArgs, client: &Client, out: &mut Output) -> Result<()> {
    let id = resolve::workspace(client, &args.workspace).await?;
    let budget = match args.limit {
        None => client.workspace_budget(id).await?,
        Some(Limit(limit)) => client.set_workspace_budget(id, limit).await?,
    };
    if out.is_json() {
        return Ok(out.json(&budget)?);
    }
    Ok(out.line(in_words(&budget))?)
}

fn in_words(budget: &Budget) -> String {
    let spent = dollars(budget.monthly_spend);
    match (budget.budget_limit, budget.budget_remaining) {
        (Some(limit), Some(left)) if left > 0 => {
            format!("{spent} of {} a month, {} left", dollars(limit), dollars(left))
        }
        (Some(limit), _) => format!("{spent} of {} a month: it gets no messages", dollars(limit)),
        (None, _) => format!("{spent} this month, without a limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_cents() {
        assert_eq!("1000".parse(), Ok(Limit(Some(1_000))));
        assert_eq!("0".parse(), Ok(Limit(Some(0))));
        assert_eq!("none".parse(), Ok(Limit(None)));
        for bad in ["", "-1", "1.5", "10USD", "None"] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_left_is_said() {
        let budget = |budget_limit: Option<i64>, monthly_spend: i64| Budget {
            budget_limit,
            monthly_spend,
            budget_remaining: budget_limit.map(|limit| limit - monthly_spend),
        };
        for (budget, words) in [
            (budget(Some(1_005), 5), "0.05 USD of 10.05 USD a month, 10.00 USD left"),
            (
                budget(Some(100), 150),
                "1.50 USD of 1.00 USD a month: it gets no messages",
            ),
            (budget(Some(0), 0), "0.00 USD of 0.00 USD a month: it gets no messages"),
            (budget(None, 7), "0.07 USD this month, without a limit"),
        ] {
            assert_eq!(in_words(&budget), words);
        }
    }
}
