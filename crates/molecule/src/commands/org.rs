//! `molecule org`: org templates and their import.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use molecule_agent::runtimes::native::endpoint;
use molecule_client::{Client, ClientError, StatusError};
use molecule_core::Word;
use molecule_templates::orgs::OrgDocument;
use molecule_wire::{
    orgs::{IfExists, ImportOrg, ImportedOrg, MissingEnv},
    registry::raw,
};
use serde_json::Value;

use crate::{
    commands::{ask, runtime::Runtimes, ws},
    completing,
    exit::CliError,
    output::{Cell, Column, Output},
    progress,
};

/// What to do with organisations.
#[derive(Debug, Subcommand)]
pub enum OrgCommand {
    /// List the org templates
    Templates,
    /// Create the workspaces of an org template
    Import(ImportArgs),
}

/// Arguments of `org import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Template, as `org templates` lists it
    #[arg(required_unless_present = "file", conflicts_with = "file", add = completing::org_templates())]
    template: Option<String>,
    /// Take the template from a YAML or JSON file on this machine
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Run every managed workspace on this runtime instead; its keys are needed then
    #[arg(long, add = completing::runtimes())]
    runtime: Option<String>,
    /// Give every managed workspace this model instead
    #[arg(long)]
    model: Option<String>,
    /// What becomes of it if workspaces of those names are at the top already [default: asked on a terminal, else refuse]
    #[arg(long, value_enum, value_name = "WHAT")]
    if_exists: Option<Repetition>,
    /// Return only when every workspace is online or has failed
    #[arg(long)]
    wait: bool,
}

/// What becomes of an organisation that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Repetition {
    /// Nothing is created
    Refuse,
    /// Another one is created, told apart by a number
    Number,
    /// Another one of the same names is created
    Create,
}

impl From<Repetition> for IfExists {
    fn from(repetition: Repetition) -> Self {
        match repetition {
            Repetition::Refuse => Self::Refuse,
            Repetition::Number => Self::Number,
            Repetition::Create => Self::Create,
        }
    }
}

pub(super) async fn run(command: OrgCommand, client: &Client, out: &mut Output) -> Result<()> {
    match command {
        OrgCommand::Templates => templates(client, out).await,
        OrgCommand::Import(args) => import(args, client, out).await,
    }
}

async fn templates(client: &Client, out: &mut Output) -> Result<()> {
    let templates = client.list_org_templates().await?;
    if out.is_json() {
        return Ok(out.json(&templates)?);
    }
    let rows: Vec<[Cell; 5]> = templates
        .into_iter()
        .map(|template| {
            let needs: Vec<String> = template.required_env.iter().map(requirement).collect();
            [
                template.dir.into(),
                template.name.into(),
                template.workspaces.to_string().into(),
                needs.join(", ").into(),
                template.description.into(),
            ]
        })
        .collect();
    let columns = [
        Column::whole("TEMPLATE"),
        Column::text("NAME"),
        Column::whole("WORKSPACES"),
        Column::text("NEEDS"),
        Column::text("DESCRIPTION"),
    ];
    Ok(out.table(&columns, &rows)?)
}

/// A name, or `{any_of: [...]}`.
fn requirement(value: &Value) -> String {
    let names = value.get("any_of").and_then(Value::as_array).map(|names| {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        names.join(" or ")
    });
    names
        .or_else(|| value.as_str().map(str::to_owned))
        .unwrap_or_else(|| value.to_string())
}

async fn import(args: ImportArgs, client: &Client, out: &mut Output) -> Result<()> {
    let template = match &args.file {
        Some(path) => Some(read_template(path, out)?),
        None => None,
    };
    let wait = args.wait;
    if let Some(name) = args.runtime.as_deref() {
        Runtimes::of(client).await?.named(name)?;
    }
    let mut request = ImportOrg {
        dir: args.template,
        template: template.as_ref().map(raw),
        runtime: args.runtime.map(Word::from),
        model: args.model,
        // Nobody makes a second one by accident: who wants one says so, before or when asked.
        if_exists: args.if_exists.map_or(IfExists::Refuse, IfExists::from),
    };
    let mut answer = create(&request, client, out).await;
    if args.if_exists.is_none()
        && let Err(error) = &answer
        && let Some(there) = already_there(error)
    {
        request.if_exists = ask_to_repeat(&there, out)?;
        answer = create(&request, client, out).await;
    }
    let imported = match answer {
        Ok(imported) => imported,
        Err(error) => return Err(explain(error)),
    };
    show(&imported, out)?;
    let mut problems = Vec::new();
    // 207: what was created stays, the rest is missing.
    problems.extend(
        imported
            .error
            .iter()
            .map(|error| format!("the import stopped early: {error}")),
    );
    if imported.workspaces.is_empty() && problems.is_empty() {
        problems.push("the template holds no workspace; nothing was created".to_owned());
    }
    if wait {
        problems.extend(not_started(&imported, client, out).await?);
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(CliError::Failed(problems.join("\n")).into())
}

async fn create(request: &ImportOrg, client: &Client, out: &Output) -> Result<ImportedOrg, ClientError> {
    progress::run(out, "creating the workspaces", |_| client.import_org(request)).await
}

/// The root workspaces that a refused import would have made a second time.
fn already_there(error: &ClientError) -> Option<Vec<String>> {
    let answer = error.as_status().filter(|error| error.status == 409)?;
    let body: Value = answer.body_as()?;
    let names = body.get("workspaces")?.as_array()?;
    Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Asks on a terminal; elsewhere it is refused.
fn ask_to_repeat(there: &[String], out: &mut Output) -> Result<IfExists> {
    let there = there.join(", ");
    if !ask::possible(out) {
        return Err(CliError::Failed(repeated(&there)).into());
    }
    let question = format!("{there} is there already. Create another one beside it, told apart by a number? [yes/no]");
    match ask::answer(question, out)?.as_str() {
        "y" | "yes" => Ok(IfExists::Number),
        _ => Err(CliError::Failed("nothing was imported".into()).into()),
    }
}

fn repeated(there: &str) -> String {
    format!(
        "{there} is there already; nothing was imported. --if-exists number creates another one beside it, told apart by \
         a number"
    )
}

/// Waits for every workspace, so that one that fails hides none of the others.
async fn not_started(imported: &ImportedOrg, client: &Client, out: &Output) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for workspace in &imported.workspaces {
        if let Err(error) = ws::wait_online(workspace.id, &workspace.name, client, out).await {
            match error.downcast::<CliError>()? {
                CliError::Failed(text) => problems.push(text),
                other => return Err(other.into()),
            }
        }
    }
    Ok(problems)
}

fn show(imported: &ImportedOrg, out: &mut Output) -> Result<()> {
    if out.is_json() {
        return Ok(out.json(imported)?);
    }
    let row = |workspace: &molecule_wire::orgs::ImportedWorkspace| -> [Cell; 2] {
        [workspace.name.as_str().into(), workspace.id.to_string().into()]
    };
    let rows: Vec<_> = imported.workspaces.iter().map(row).collect();
    out.table(&[Column::text("NAME"), Column::whole("ID")], &rows)?;
    Ok(out.note(format_args!("{}: {} workspaces", imported.org, imported.count))?)
}

/// What a refusal asks a person to type.
fn explain(error: ClientError) -> anyhow::Error {
    if let Some(there) = already_there(&error) {
        return CliError::Failed(repeated(&there.join(", "))).into();
    }
    // The template needs environment that no global secret provides.
    let missing = error
        .as_status()
        .filter(|error| error.status == 412)
        .and_then(StatusError::body_as::<MissingEnv>);
    let Some(missing) = missing else { return error.into() };
    let names: Vec<String> = missing.missing_env.iter().map(requirement).collect();
    let typed = missing.missing_env.iter().map(|need| {
        let name = first_name(need);
        format!("\n  molecule secret set {name} --global")
    });
    let mut text = format!(
        "nothing was imported: {:?} needs {}; store what is missing, then import again:{}",
        missing.template,
        names.join(", "),
        typed.collect::<String>()
    );
    if missing.missing_env.iter().all(is_model) {
        text.push_str("\nOr try it without a model: --runtime echo");
    }
    CliError::Failed(text).into()
}

/// Of alternatives the first.
fn first_name(need: &Value) -> &str {
    let first = need.get("any_of").and_then(|names| names.get(0));
    first.unwrap_or(need).as_str().unwrap_or("NAME")
}

/// A choice among all credentials of models: what a runtime needs. A template's own choice is shorter.
fn is_model(need: &Value) -> bool {
    let names = need.get("any_of").and_then(Value::as_array);
    names.is_some_and(|names| endpoint::credentials().all(|known| names.iter().any(|name| name == known)))
}

/// A tag such as `!include`, which JSON, and so the API, cannot carry.
fn tag_in(value: &yaml_serde::Value) -> Option<String> {
    match value {
        yaml_serde::Value::Tagged(tagged) => Some(tagged.tag.to_string()),
        yaml_serde::Value::Sequence(items) => items.iter().find_map(tag_in),
        yaml_serde::Value::Mapping(members) => members.values().find_map(tag_in),
        _ => None,
    }
}

fn read_template(path: &Path, out: &mut Output) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: yaml_serde::Value =
        yaml_serde::from_str(&text).with_context(|| format!("{} is not YAML or JSON", path.display()))?;
    if let Some(tag) = tag_in(&value) {
        return Err(CliError::Usage(format!(
            "{} uses {tag}: other files can be included only by a template in a directory of the server, \
             orgs/<name>/org.yaml below CONFIGS_DIR, which is imported by that name",
            path.display()
        ))
        .into());
    }
    let value: Value =
        yaml_serde::from_value(value).with_context(|| format!("{} is not an org template", path.display()))?;
    if !value.is_object() {
        return Err(CliError::Usage(format!("{} does not hold an org template", path.display())).into());
    }
    for member in unread(&value) {
        out.note(format_args!(
            "warning: {}: org templates have no {member}; it is ignored",
            path.display()
        ))?;
    }
    Ok(value)
}

/// Paths of the members of a template that nobody reads. What is wrong with the rest is the server's to say.
fn unread(template: &Value) -> Vec<String> {
    let mut unread = Vec::new();
    let mut note = |path: serde_ignored::Path<'_>| unread.push(path.to_string().replace(".?", ""));
    let read: Result<OrgDocument, _> = serde_ignored::deserialize(template, &mut note);
    if read.is_err() {
        // It broke off somewhere.
        return Vec::new();
    }
    unread
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tags_are_found_at_any_depth() {
        // PROV-127: an inline template cannot include files
        let parse = |text: &str| yaml_serde::from_str::<yaml_serde::Value>(text).unwrap();
        let tagged = parse("name: x\nworkspaces: [{name: a, children: !include b.yaml}]");
        assert_eq!(tag_in(&tagged).as_deref(), Some("!include"));
        assert_eq!(tag_in(&parse("name: '!include'\nworkspaces: []")), None);
    }

    fn refused(status: u16, body: &Value) -> ClientError {
        let error = StatusError {
            status,
            upstream_status: None,
            message: String::new(),
            detail: None,
            code: None,
            retry_after: None,
            body: body.to_string(),
        };
        error.into()
    }

    fn missing(needs: &Value) -> String {
        let body = json!({
            "error": "missing required environment variables", "missing_env": needs,
            "required_env": [], "template": "software-company", "suggestion": "POST /settings/secrets",
        });
        explain(refused(412, &body)).to_string()
    }

    #[test]
    fn missing_environment_says_what_to_type() {
        // PROV-133, PROV-134, PROV-165
        let text = missing(&json!(["A", {"any_of": ["B", "C"]}]));
        assert_eq!(
            text,
            "nothing was imported: \"software-company\" needs A, B or C; store what is missing, then import again:\n  \
             molecule secret set A --global\n  molecule secret set B --global"
        );
        let all: Vec<&str> = endpoint::credentials().collect();
        let model = missing(&json!([{ "any_of": all }]));
        assert!(
            model.contains("--runtime echo") && !model.contains("/settings"),
            "{model}"
        );
        let own = missing(&json!([{"any_of": ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"]}]));
        assert!(!own.contains("--runtime"), "no flag skips it: {own}");
    }

    #[test]
    fn a_repetition_is_named() {
        let body = json!({"error": "the organisation is already there", "workspaces": ["Lead", "Ops"]});
        let text = explain(refused(409, &body)).to_string();
        assert!(
            text.starts_with("Lead, Ops is there already; nothing was imported"),
            "{text}"
        );
        assert!(already_there(&refused(409, &json!({"error": "taken"}))).is_none());
    }

    #[test]
    fn members_that_nobody_reads_are_found_at_any_depth() {
        // SEC-196
        let template = json!({
            "name": "x", "descripton": "", "defaults": {"runtime": "echo", "mdel": "m"},
            "workspaces": [{"name": "a", "children": [{"name": "b", "rol": "c", "canvas": {"x": 1, "z": 2}}]}],
        });
        let mut found = unread(&template);
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "defaults.mdel",
                "descripton",
                "workspaces.0.children.0.canvas.z",
                "workspaces.0.children.0.rol"
            ]
        );
        assert!(unread(&json!({"workspaces": 3})).is_empty());
    }
}
