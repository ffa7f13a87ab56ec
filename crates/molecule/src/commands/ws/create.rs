//! `molecule ws create`.

use std::{env, path::PathBuf};

use anyhow::Result;
use clap::Args;
use molecule_client::Client;
use molecule_core::{Runtime, Word, validate::WorkspaceAccess};
use molecule_wire::workspaces::{Connection, CreateWorkspace, CreatedWorkspace};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::wait_online;
use crate::{
    commands::{
        body::BodyArgs,
        runtime::{self, Runtimes},
    },
    completing,
    exit::CliError,
    output::Output,
    progress, resolve,
};

/// What the API calls the body.
const SCHEMA: &str = "CreateWorkspace";
/// What stands for the token in the server's blocks (LIFE-81).
const PASTE: &str = "<paste from create response>";

/// Arguments of `ws create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Its name in the org chart
    #[arg(required_unless_present_any = ["file", "set"])]
    name: Option<String>,
    /// What it is there for
    #[arg(long)]
    role: Option<String>,
    /// native, exec or echo [default: the template's, else native if there is a model key]
    #[arg(long, add = completing::runtimes())]
    runtime: Option<String>,
    /// Model its agent uses
    #[arg(long)]
    model: Option<String>,
    /// Workspace template
    #[arg(long, add = completing::templates())]
    template: Option<String>,
    /// Privilege and size class, 1 to 4
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=4))]
    tier: Option<i32>,
    /// Parent in the org chart (id or name) [default: none, a root]
    #[arg(long, value_name = "WORKSPACE", add = completing::workspaces())]
    parent: Option<String>,
    /// The agent runs elsewhere and connects by itself; prints what it needs
    #[arg(long)]
    external: bool,
    /// Address of the external agent; without one it fetches its messages
    #[arg(long, value_name = "URL", requires = "external")]
    agent_url: Option<String>,
    /// Directory of the host to work in
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How it may use that directory: read_only or read_write [default: read_write]
    #[arg(long, value_name = "ACCESS", requires = "dir")]
    access: Option<String>,
    /// Spending limit, USD cents a month
    #[arg(long, value_name = "CENTS")]
    budget: Option<i64>,
    /// Store this variable of your environment as its secret; may be given several times
    #[arg(long, value_name = "VARIABLE")]
    secret_from_env: Vec<String>,
    /// Return only when its agent is online
    #[arg(long, conflicts_with = "external")]
    wait: bool,
    /// More of it.
    #[command(flatten)]
    body: BodyArgs,
}

pub(super) async fn run(args: CreateArgs, client: &Client, out: &mut Output) -> Result<()> {
    let wait = args.wait;
    let body = args.body.read(SCHEMA, client, out).await?;
    let mut request = request(args, body, client).await?;
    if let Some(runtime) = runtime(&request, client).await? {
        request.runtime = Some(runtime.into());
    }
    let mut created = progress::run(out, "creating", |_| client.create_workspace(&request)).await?;
    if wait {
        created.status = wait_online(created.id, &request.name, client, out).await?;
    }
    if out.is_json() {
        return Ok(out.json(&created)?);
    }
    show_created(&created, out)
}

/// The runtime to ask for, decided before anything is created: the wire would take an unknown one for `claude-code`
/// (LIFE-4), which not every server can run. `None` leaves it to the template.
async fn runtime(request: &CreateWorkspace, client: &Client) -> Result<Option<Runtime>> {
    let asked = request.runtime.as_ref().map(|runtime| runtime.as_str().trim());
    let asked = asked.filter(|name| !name.is_empty());
    if request.external || asked == Some(Runtime::External.as_str()) {
        return Ok(None);
    }
    let runtimes = Runtimes::of(client).await?;
    if let Some(template) = &request.template {
        let of_template = runtime::of_template(template, client).await?;
        if asked.is_none() {
            of_template.map(|runtime| runtimes.runnable(runtime)).transpose()?;
            return Ok(None);
        }
    }
    let own: Vec<String> = request.secrets.iter().flatten().map(|(key, _)| key.clone()).collect();
    match asked.map(|name| runtimes.named(name)).transpose()? {
        Some(Runtime::Exec) if request.template.is_none() => Err(CliError::Usage(
            "runtime exec needs a template that names its command; docs/cli.md shows one".into(),
        )
        .into()),
        Some(runtime) => Ok(Some(runtime)),
        None if runtime::has_model(client, &own).await? => Ok(Some(Runtime::Native)),
        None => Err(CliError::Usage(format!(
            "there is no model key, so say which runtime: --runtime echo only repeats; for native, {}",
            runtime::GET_A_MODEL
        ))
        .into()),
    }
}

/// What the flags say, over what the body says.
async fn request(args: CreateArgs, body: Map<String, Value>, client: &Client) -> Result<CreateWorkspace> {
    let body = CreateWorkspace::deserialize(Value::Object(body)).map_err(|error| CliError::Usage(error.to_string()))?;
    let parent_id = match &args.parent {
        Some(parent) => Some(resolve::workspace(client, parent).await?.to_string()),
        None => body.parent_id,
    };
    let mut secrets = body.secrets.unwrap_or_default();
    for name in args.secret_from_env {
        let value = env::var(&name).map_err(|_| CliError::Usage(format!("the variable {name} is not set")))?;
        secrets.insert(name, value);
    }
    // The server may work elsewhere than this shell.
    let dir = args.dir.map(std::path::absolute).transpose()?;
    // A directory that nobody may use would be as good as none.
    let access = args
        .access
        .map(Word::from)
        .or_else(|| dir.is_some().then(|| WorkspaceAccess::ReadWrite.into()));
    let name = args.name.unwrap_or(body.name);
    if name.trim().is_empty() {
        return Err(CliError::Usage("a workspace needs a name".into()).into());
    }
    Ok(CreateWorkspace {
        name,
        role: args.role.or(body.role),
        template: args.template.or(body.template),
        tier: args.tier.or(body.tier),
        model: args.model.or(body.model),
        runtime: args.runtime.map(Word::from).or(body.runtime),
        external: args.external || body.external,
        url: args.agent_url.or(body.url),
        workspace_dir: dir
            .map(|path| path.to_string_lossy().into_owned())
            .or(body.workspace_dir),
        workspace_access: access.or(body.workspace_access),
        parent_id,
        budget_limit: args.budget.or(body.budget_limit),
        secrets: (!secrets.is_empty()).then_some(secrets),
        delivery_mode: body.delivery_mode,
        max_concurrent_tasks: body.max_concurrent_tasks,
        canvas: body.canvas,
    })
}

fn show_created(created: &CreatedWorkspace, out: &mut Output) -> Result<()> {
    out.line(created.id)?;
    let Some(connection) = &created.connection else {
        return Ok(out.note(format_args!("status: {}", created.status))?);
    };
    show_connection(connection, out)
}

/// What the operator of an external agent needs.
pub(super) fn show_connection(connection: &Connection, out: &mut Output) -> Result<()> {
    out.note("Its agent runs elsewhere and needs this; the token is shown only here:")?;
    out.pairs(&[
        ("workspace", connection.workspace_id.to_string().into()),
        ("platform", connection.platform_url.clone().into()),
        ("token", connection.auth_token.clone().into()),
    ])?;
    out.note("\nPaste one of these where it runs; docs/external-agents.md tells the rest.")?;
    for (name, snippet) in &connection.snippets {
        out.note(format_args!("\n# {}", title(name)))?;
        out.text(&snippet.replace(PASTE, &connection.auth_token))?;
    }
    Ok(())
}

/// What a block is for.
fn title(name: &str) -> String {
    match name {
        "curl_register_template" => "a shell: registers, beats, shows how to read and answer".to_owned(),
        "python_snippet" => {
            "Python: registers, beats, reads and answers (save it as agent.py; python3 agent.py)".to_owned()
        }
        other => other.trim_end_matches("_snippet").replace('_', " "),
    }
}
