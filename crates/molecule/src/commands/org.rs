//! `molecule org`: org templates and their import.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use molecule_client::{Client, ClientError, StatusError};
use molecule_core::Word;
use molecule_wire::orgs::{ImportOrg, ImportedOrg, MissingEnv};
use serde_json::Value;

use crate::{
    commands::{
        runtime::{self, Runtimes},
        ws,
    },
    exit::CliError,
    output::Output,
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
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    template: Option<String>,
    /// Take the template from a YAML or JSON file on this machine
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Run every managed workspace on this runtime instead
    #[arg(long)]
    runtime: Option<String>,
    /// Give every managed workspace this model instead
    #[arg(long)]
    model: Option<String>,
    /// Return only when every workspace is online or has failed
    #[arg(long)]
    wait: bool,
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
    let rows: Vec<_> = templates
        .into_iter()
        .map(|template| {
            let needs: Vec<String> = template.required_env.iter().map(requirement).collect();
            [
                template.dir,
                template.name,
                template.workspaces.to_string(),
                needs.join(", "),
                template.description,
            ]
        })
        .collect();
    Ok(out.table(["TEMPLATE", "NAME", "WORKSPACES", "NEEDS", "DESCRIPTION"], &rows)?)
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
    let template = args.file.as_deref().map(read_template).transpose()?;
    let wait = args.wait;
    match args.runtime.as_deref() {
        Some(name) => {
            Runtimes::of(client).await?.named(name)?;
        }
        None if runtime::has_model(client, &[]).await? => {}
        None => out.note(format_args!(
            "note: there is no model key, and agents on native do not start without; --runtime echo does, or {}",
            runtime::GET_A_MODEL
        ))?,
    }
    let request = ImportOrg {
        dir: args.template,
        template,
        runtime: args.runtime.map(Word::from),
        model: args.model,
        ..ImportOrg::default()
    };
    let answer = progress::run(out, "creating the workspaces", |_| client.import_org(&request)).await;
    let imported = match answer {
        Ok(imported) => imported,
        Err(error) => return Err(explain_missing(error)),
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
    let row = |workspace: &molecule_wire::orgs::ImportedWorkspace| [workspace.name.clone(), workspace.id.to_string()];
    let rows: Vec<_> = imported.workspaces.iter().map(row).collect();
    out.table(["NAME", "ID"], &rows)?;
    Ok(out.note(format_args!("{}: {} workspaces", imported.org, imported.count))?)
}

/// 412: the template needs environment that no global secret provides.
fn explain_missing(error: ClientError) -> anyhow::Error {
    let missing = error
        .as_status()
        .filter(|error| error.status == 412)
        .and_then(StatusError::body_as::<MissingEnv>);
    let Some(missing) = missing else { return error.into() };
    let names: Vec<String> = missing.missing_env.iter().map(requirement).collect();
    CliError::Failed(format!(
        "the template {:?} needs {}; provide it with: molecule secret set NAME --global",
        missing.template,
        names.join(", ")
    ))
    .into()
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

fn read_template(path: &std::path::Path) -> Result<Value> {
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
    if value.is_object() {
        Ok(value)
    } else {
        Err(CliError::Usage(format!("{} does not hold an org template", path.display())).into())
    }
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

    #[test]
    fn missing_environment_says_how_to_provide_it() {
        // PROV-133, PROV-134
        let body = json!({
            "error": "missing required environment variables", "missing_env": ["A", {"any_of": ["B", "C"]}],
            "required_env": [], "template": "software-company", "suggestion": "",
        });
        let error = StatusError {
            status: 412,
            upstream_status: None,
            message: String::new(),
            detail: None,
            code: None,
            retry_after: None,
            body: body.to_string(),
        };
        let text = explain_missing(error.into()).to_string();
        assert_eq!(
            text,
            "the template \"software-company\" needs A, B or C; provide it with: molecule secret set NAME --global"
        );
    }
}
