//! `molecule session`: browsers that are signed in.

use anyhow::Result;
use clap::Subcommand;
use molecule_client::Client;
use molecule_wire::auth::SessionView;

use crate::{
    exit::CliError,
    output::{Cell, Column, Output},
};

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List the browsers that are signed in
    #[command(alias = "list")]
    Ls,
    /// Sign a browser out
    #[command(alias = "revoke")]
    End {
        /// Id of the session, as `ls` shows it
        id: String,
    },
}

pub(super) async fn run(command: SessionCommand, client: &Client, out: &mut Output) -> Result<()> {
    match command {
        SessionCommand::Ls => list(client, out).await,
        SessionCommand::End { id } => {
            let not_an_id = || {
                CliError::Usage(format!(
                    "{id:?} is not the id of a session; `molecule session ls` shows the ids"
                ))
            };
            let session = id.parse().map_err(|_| not_an_id())?;
            let ended = client.end_session(session).await?;
            if out.is_json() {
                return Ok(out.json(&ended)?);
            }
            Ok(out.line("signed out")?)
        }
    }
}

async fn list(client: &Client, out: &mut Output) -> Result<()> {
    let list = client.list_sessions().await?;
    if out.is_json() {
        return Ok(out.json(&list)?);
    }
    let row = |session: SessionView| -> [Cell; 5] {
        let seen = session.last_used_at.unwrap_or(session.created_at);
        [
            session.id.to_string().into(),
            out.when(session.created_at).into(),
            out.when(seen).into(),
            session.address.unwrap_or_else(|| "-".to_owned()).into(),
            session.user_agent.unwrap_or_else(|| "-".to_owned()).into(),
        ]
    };
    let rows: Vec<_> = list.sessions.into_iter().map(row).collect();
    let columns = [
        Column::whole("ID"),
        Column::whole("BEGAN"),
        Column::whole("LAST SEEN"),
        Column::whole("ADDRESS"),
        Column::text("BROWSER"),
    ];
    Ok(out.table(&columns, &rows)?)
}
