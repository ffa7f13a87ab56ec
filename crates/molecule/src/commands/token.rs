//! `molecule token`: tokens of a workspace or of the organisation.

use anyhow::Result;
use clap::{Args, Subcommand};
use molecule_client::Client;
use molecule_core::{Timestamp, WorkspaceId};
use molecule_wire::auth::MintOrgToken;

use crate::{
    completing,
    exit::CliError,
    output::{Cell, Column, Output},
    resolve,
};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// List the live tokens
    #[command(alias = "list")]
    Ls(Owner),
    /// Create a token and print it; it is shown only this once
    Create {
        /// Whose token.
        #[command(flatten)]
        owner: Owner,
        /// Name of an organisation token
        #[arg(long, requires = "org")]
        name: Option<String>,
        /// Limit an organisation token to this workspace (id or name) and what is below it
        #[arg(long, requires = "org", value_name = "WORKSPACE", add = completing::workspaces())]
        anchor: Option<String>,
        /// Let an organisation token end by itself, after a time such as 30d, 12h or 45m
        #[arg(long, requires = "org", value_name = "TIME", value_parser = lifetime)]
        expires: Option<u64>,
        /// Let an organisation token change nothing
        #[arg(long, requires = "org")]
        read_only: bool,
    },
    /// Make another admin token; the old one is dead at once
    RotateAdmin,
    /// Revoke a token
    Revoke {
        /// Id of the token, as `ls` shows it
        id: String,
        /// Whose token.
        #[command(flatten)]
        owner: Owner,
    },
}

/// Whose tokens.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Owner {
    /// Tokens of this workspace (id or name)
    #[arg(short, long, value_name = "WORKSPACE", add = completing::workspaces())]
    workspace: Option<String>,
    /// Tokens of the organisation
    #[arg(long)]
    org: bool,
}

impl Owner {
    /// `None` is the organisation.
    async fn resolve(&self, client: &Client) -> Result<Option<WorkspaceId>> {
        match &self.workspace {
            Some(name) => resolve::workspace(client, name).await.map(Some),
            None => Ok(None),
        }
    }
}

pub(super) async fn run(command: TokenCommand, client: &Client, out: &mut Output) -> Result<()> {
    match command {
        TokenCommand::Ls(owner) => list(owner.resolve(client).await?, client, out).await,
        TokenCommand::Create {
            owner,
            name,
            anchor,
            expires,
            read_only,
        } => {
            let org_id = match &anchor {
                Some(anchor) => Some(resolve::workspace(client, anchor).await?),
                None => None,
            };
            let wanted = MintOrgToken {
                name,
                org_id,
                expires_in: expires,
                read_only,
            };
            create(owner.resolve(client).await?, &wanted, client, out).await
        }
        TokenCommand::RotateAdmin => rotate_admin(client, out).await,
        TokenCommand::Revoke { id, owner } => revoke(&id, owner.resolve(client).await?, client, out).await,
    }
}

async fn list(owner: Option<WorkspaceId>, client: &Client, out: &mut Output) -> Result<()> {
    let used = |at: Option<Timestamp>, out: &Output| at.map_or_else(|| "never".to_owned(), |at| out.when(at));
    if let Some(id) = owner {
        let list = client.list_tokens(id).await?;
        if out.is_json() {
            return Ok(out.json(&list)?);
        }
        let row = |token: molecule_wire::auth::TokenView| -> [Cell; 4] {
            [
                token.id.to_string().into(),
                format!("{}…", token.prefix).into(),
                out.when(token.created_at).into(),
                used(token.last_used_at, out).into(),
            ]
        };
        let rows: Vec<_> = list.tokens.into_iter().map(row).collect();
        let columns = ["ID", "TOKEN", "CREATED", "LAST USED"].map(Column::whole);
        return Ok(out.table(&columns, &rows)?);
    }
    let list = client.list_org_tokens().await?;
    if out.is_json() {
        return Ok(out.json(&list)?);
    }
    let row = |token: molecule_wire::auth::OrgTokenView| -> [Cell; 8] {
        [
            token.id.to_string().into(),
            token.name.unwrap_or_default().into(),
            format!("{}…", token.prefix).into(),
            token
                .org_id
                .map_or_else(|| "everything".to_owned(), |id| id.to_string())
                .into(),
            if token.read_only { "read" } else { "admin" }.to_owned().into(),
            out.when(token.created_at).into(),
            used(token.last_used_at, out).into(),
            token
                .expires_at
                .map_or_else(|| "never".to_owned(), |at| at.to_string())
                .into(),
        ]
    };
    let rows: Vec<_> = list.tokens.into_iter().map(row).collect();
    let columns = [
        Column::whole("ID"),
        Column::text("NAME"),
        Column::whole("TOKEN"),
        Column::whole("REACHES"),
        Column::whole("MAY"),
        Column::whole("CREATED"),
        Column::whole("LAST USED"),
        Column::whole("ENDS"),
    ];
    Ok(out.table(&columns, &rows)?)
}

/// A number and `d`, `h`, `m` or `s`, as seconds.
fn lifetime(text: &str) -> Result<u64, String> {
    let wrong = || "expected a time such as 30d, 12h or 45m".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        "d" => 24 * 3_600,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(seconds)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(wrong)
}

async fn rotate_admin(client: &Client, out: &mut Output) -> Result<()> {
    let rotated = client.rotate_admin_token().await?;
    if out.is_json() {
        return Ok(out.json(&rotated)?);
    }
    out.line(&rotated.auth_token)?;
    Ok(out.note(&rotated.message)?)
}

async fn create(owner: Option<WorkspaceId>, wanted: &MintOrgToken, client: &Client, out: &mut Output) -> Result<()> {
    // The token alone goes to standard output, so that `$(molecule token create …)` is the token.
    if let Some(id) = owner {
        let minted = client.mint_token(id).await?;
        if out.is_json() {
            return Ok(out.json(&minted)?);
        }
        out.line(&minted.auth_token)?;
        return Ok(out.note(&minted.message)?);
    }
    let minted = client.mint_org_token(wanted).await?;
    if out.is_json() {
        return Ok(out.json(&minted)?);
    }
    out.line(&minted.auth_token)?;
    Ok(out.note(&minted.warning)?)
}

async fn revoke(id: &str, owner: Option<WorkspaceId>, client: &Client, out: &mut Output) -> Result<()> {
    let not_an_id = || {
        CliError::Usage(format!(
            "{id:?} is not the id of a token; `molecule token ls` shows the ids"
        ))
    };
    let answer = match owner {
        Some(workspace) => {
            let token = id.parse().map_err(|_| not_an_id())?;
            serde_json::to_value(client.revoke_token(workspace, token).await?)?
        }
        None => {
            let token = id.parse().map_err(|_| not_an_id())?;
            serde_json::to_value(client.revoke_org_token(token).await?)?
        }
    };
    if out.is_json() {
        return Ok(out.json(&answer)?);
    }
    Ok(out.line("revoked")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        for (text, seconds) in [("30d", 2_592_000), ("12h", 43_200), ("45m", 2_700), ("1s", 1)] {
            assert_eq!(lifetime(text), Ok(seconds), "{text}");
        }
        for bad in [
            "",
            "d",
            "0d",
            "-1d",
            "1.5h",
            "3",
            "3w",
            "99999999999999999999d",
            "18446744073709551615d",
            "3é",
        ] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }
}
