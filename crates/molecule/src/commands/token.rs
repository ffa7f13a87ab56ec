//! `molecule token`: tokens of a workspace or of the organisation.

use anyhow::Result;
use clap::{Args, Subcommand};
use molecule_client::Client;
use molecule_core::{Timestamp, WorkspaceId};

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
    },
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
        TokenCommand::Create { owner, name } => create(owner.resolve(client).await?, name, client, out).await,
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
    let row = |token: molecule_wire::auth::OrgTokenView| -> [Cell; 5] {
        [
            token.id.to_string().into(),
            token.name.unwrap_or_default().into(),
            format!("{}…", token.prefix).into(),
            out.when(token.created_at).into(),
            used(token.last_used_at, out).into(),
        ]
    };
    let rows: Vec<_> = list.tokens.into_iter().map(row).collect();
    let columns = [
        Column::whole("ID"),
        Column::text("NAME"),
        Column::whole("TOKEN"),
        Column::whole("CREATED"),
        Column::whole("LAST USED"),
    ];
    Ok(out.table(&columns, &rows)?)
}

async fn create(owner: Option<WorkspaceId>, name: Option<String>, client: &Client, out: &mut Output) -> Result<()> {
    // The token alone goes to standard output, so that `$(molecule token create …)` is the token.
    if let Some(id) = owner {
        let minted = client.mint_token(id).await?;
        if out.is_json() {
            return Ok(out.json(&minted)?);
        }
        out.line(&minted.auth_token)?;
        return Ok(out.note(&minted.message)?);
    }
    let minted = client.mint_org_token(name.as_deref()).await?;
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
