//! `molecule ws edit`, `move` and `rename`.

use anyhow::Result;
use clap::Args;
use molecule_client::Client;
use molecule_wire::{Patch, workspaces::UpdateWorkspace};
use serde_json::{Map, Value, json};

use crate::{
    commands::{body::BodyArgs, runtime::Runtimes},
    completing,
    exit::CliError,
    output::Output,
    resolve,
};

/// What the API calls the body.
const SCHEMA: &str = "UpdateWorkspace";
/// Fields that an agent sees at its next start only.
const AT_START: [&str; 4] = ["runtime", "tier", "workspace_dir", "workspace_access"];

/// Arguments of `ws edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// Id or name
    #[arg(add = completing::workspaces())]
    workspace: String,
    /// What it is there for; "" for nothing
    #[arg(long)]
    role: Option<String>,
    /// Runtime, from its next start on
    #[arg(long, add = completing::runtimes())]
    runtime: Option<String>,
    /// Model its agent uses; "" for the runtime's own choice. Its agent restarts
    #[arg(long)]
    model: Option<String>,
    /// Privilege and size class, 1 to 4
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=4))]
    tier: Option<i32>,
    /// Tasks its agent takes at once
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    max_tasks: Option<i32>,
    /// Directory of the host to work in; "" for none
    #[arg(long, value_name = "DIR")]
    dir: Option<String>,
    /// How it may use that directory: none, read_only or read_write
    #[arg(long, value_name = "ACCESS")]
    access: Option<String>,
    /// More of it.
    #[command(flatten)]
    body: BodyArgs,
}

/// Arguments of `ws move`.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// Id or name
    #[arg(add = completing::workspaces())]
    workspace: String,
    /// The workspace it reports to from now on (id or name)
    #[arg(
        long,
        value_name = "WORKSPACE",
        required_unless_present = "top",
        conflicts_with = "top",
        add = completing::workspaces()
    )]
    to: Option<String>,
    /// It reports to nobody
    #[arg(long)]
    top: bool,
}

/// Arguments of `ws rename`.
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// Id or name
    #[arg(add = completing::workspaces())]
    workspace: String,
    /// Its new name
    new_name: String,
}

pub(super) async fn edit(args: EditArgs, client: &Client, out: &mut Output) -> Result<()> {
    let mut fields = args.body.read(SCHEMA, client, out).await?;
    if let Some(runtime) = &args.runtime {
        Runtimes::of(client).await?.named(runtime)?;
    }
    fields.extend(typed(&args)?);
    if fields.is_empty() && args.model.is_none() {
        return Err(CliError::Usage("nothing to change: give a field, such as --role, --set or --file".into()).into());
    }
    let id = resolve::workspace(client, &args.workspace).await?;
    let needs_start = fields.keys().any(|name| AT_START.contains(&name.as_str()));
    let mut answer = json!({ "status": "updated" });
    if !fields.is_empty() {
        answer = serde_json::to_value(client.update_workspace(id, update(fields)?).await?)?;
    }
    let restarts = args.model.is_some();
    if let Some(model) = &args.model {
        client.set_model(id, model).await?;
    }
    if out.is_json() {
        return Ok(out.json(&answer)?);
    }
    out.line("updated")?;
    if restarts {
        out.note("its agent restarts with the model")?;
    } else if needs_start {
        out.note(format_args!(
            "its agent sees that at its next start: molecule ws restart {}",
            resolve::as_typed(&args.workspace)
        ))?;
    }
    Ok(())
}

pub(super) async fn r#move(args: MoveArgs, client: &Client, out: &mut Output) -> Result<()> {
    let id = resolve::workspace(client, &args.workspace).await?;
    let (parent_id, said) = match &args.to {
        Some(to) => {
            let parent = resolve::workspace(client, to).await?;
            (Patch::Value(parent.to_string()), format!("moved below {to}"))
        }
        None => (Patch::Null, "moved to the top".to_owned()),
    };
    let update = UpdateWorkspace {
        parent_id,
        ..UpdateWorkspace::default()
    };
    let answer = client.update_workspace(id, update).await?;
    if out.is_json() {
        return Ok(out.json(&answer)?);
    }
    Ok(out.line(said)?)
}

pub(super) async fn rename(args: RenameArgs, client: &Client, out: &mut Output) -> Result<()> {
    let id = resolve::workspace(client, &args.workspace).await?;
    let update = UpdateWorkspace {
        name: Patch::Value(args.new_name),
        ..UpdateWorkspace::default()
    };
    let answer = client.update_workspace(id, update).await?;
    if out.is_json() {
        return Ok(out.json(&answer)?);
    }
    Ok(out.line("renamed")?)
}

/// What the flags say.
fn typed(args: &EditArgs) -> Result<Map<String, Value>> {
    let clearing = |text: &str| match text {
        "" => Value::Null,
        text => text.into(),
    };
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    put("role", args.role.as_deref().map(clearing));
    put("runtime", args.runtime.as_deref().map(Value::from));
    put("tier", args.tier.map(Value::from));
    put("max_concurrent_tasks", args.max_tasks.map(Value::from));
    if let Some(dir) = &args.dir {
        // The server may work elsewhere than this shell.
        let dir = match dir.is_empty() {
            true => Value::Null,
            false => std::path::absolute(dir)?.to_string_lossy().into(),
        };
        put("workspace_dir", Some(dir));
    }
    put("workspace_access", args.access.as_deref().map(Value::from));
    Ok(fields)
}

fn update(fields: Map<String, Value>) -> Result<UpdateWorkspace, CliError> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| CliError::Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: EditArgs,
    }

    #[test]
    fn flags_become_fields_and_nothing_clears() {
        // LIFE-94
        let typed = |words: &[&str]| {
            let words = ["x", "Lead"].iter().chain(words);
            Value::Object(typed(&Typed::parse_from(words).args).unwrap())
        };
        assert_eq!(typed(&[]), json!({}));
        assert_eq!(
            typed(&["--role", "", "--tier", "2", "--dir", "", "--max-tasks", "4"]),
            json!({"role": null, "tier": 2, "max_concurrent_tasks": 4, "workspace_dir": null})
        );
        assert_eq!(typed(&["--dir", "/srv/x"]), json!({"workspace_dir": "/srv/x"}));
    }
}
