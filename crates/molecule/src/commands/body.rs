//! A request's body from a file and from `--set`, for what no flag is made for.

use std::{
    fs,
    io::{self, Read},
};

use anyhow::{Context, Result};
use clap::Args;
use molecule_client::Client;
use serde_json::{Map, Value};

use crate::{exit::CliError, output::Output, schema::Schemas};

/// Where more of a body comes from. Flags go before `--set`, and that before the file.
#[derive(Debug, Default, Args)]
pub(super) struct BodyArgs {
    /// Take fields of the API from this YAML or JSON file; - reads standard input
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// Set one field of the API, such as canvas.x=40; may be given several times
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
}

impl BodyArgs {
    /// Reads it, warns of what the API would ignore, and refuses what is of the wrong type.
    pub(super) async fn read(&self, schema: &str, client: &Client, out: &mut Output) -> Result<Map<String, Value>> {
        if self.file.is_none() && self.set.is_empty() {
            return Ok(Map::new());
        }
        let schemas = Schemas::of(client).await?;
        let mut body = match &self.file {
            Some(file) => read_object(file)?,
            None => Map::new(),
        };
        for assignment in &self.set {
            let Some((path, text)) = assignment.split_once('=') else {
                return Err(CliError::Usage(format!("{assignment:?} is no FIELD=VALUE")).into());
            };
            if path == "secrets" || path.starts_with("secrets.") {
                // Everybody on a machine can read arguments.
                return Err(CliError::Usage("secrets are no arguments: use --secret-from-env or --file".into()).into());
            }
            put(&mut body, path, schemas.value(schema, path, text)?)?;
        }
        let body = Value::Object(body);
        let findings = schemas.check(schema, &body);
        if !findings.wrong.is_empty() {
            return Err(CliError::Usage(findings.wrong.join("\n")).into());
        }
        for member in findings.unknown {
            out.note(format_args!("warning: the API knows no {member}; it is ignored"))?;
        }
        let Value::Object(body) = body else {
            return Ok(Map::new());
        };
        Ok(body)
    }
}

fn read_object(file: &str) -> Result<Map<String, Value>> {
    let text = if file == "-" {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("reading standard input")?;
        text
    } else {
        fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?
    };
    match yaml_serde::from_str(&text).with_context(|| format!("{file} is not YAML or JSON"))? {
        Value::Object(body) => Ok(body),
        Value::Null => Ok(Map::new()),
        _ => Err(CliError::Usage(format!("{file} does not hold fields and values")).into()),
    }
}

/// Puts a value at a path of members.
fn put(body: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), CliError> {
    match path.split_once('.') {
        None => {
            body.insert(path.to_owned(), value);
            Ok(())
        }
        Some((member, rest)) => {
            let below = body.entry(member).or_insert_with(|| Map::new().into());
            let below = below.as_object_mut();
            let below = below.ok_or_else(|| CliError::Usage(format!("{member} is no object that has a {rest}")))?;
            put(below, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_into_objects() {
        let mut body = Map::new();
        put(&mut body, "canvas.x", json!(1)).unwrap();
        put(&mut body, "canvas.y", json!(2)).unwrap();
        put(&mut body, "name", json!("a")).unwrap();
        assert_eq!(
            Value::Object(body.clone()),
            json!({"canvas": {"x": 1, "y": 2}, "name": "a"})
        );
        assert!(put(&mut body, "name.first", json!("a")).is_err());
    }
}
