//! `molecule backup` and `molecule restore`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use molecule_platform::secrets::Keyring;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    backup::{self, BackupError, Database, Found, Manifest, Source},
    boot::{DataDir, SECRETS_KEY_FILE, retired_keys, stored_secrets_key},
    cli::{BackupArgs, Global, Place, RestoreArgs, ServerArgs},
    config::{ServerConfig, Sources, load},
    exit::CliError,
    output::Output,
    progress,
};

/// How many files that could not be read are named.
const NAMED: usize = 10;

impl Place {
    fn load(&self, global: &Global) -> Result<(ServerConfig, Database)> {
        let flags = ServerArgs::default().flags(global);
        let config = load(&Sources::of_process(flags, self.config.as_deref()))?.config;
        let database = Database::of(config.database_url.expose_secret());
        Ok((config, database))
    }
}

pub(super) async fn back_up(args: BackupArgs, global: &Global, out: &mut Output) -> Result<()> {
    let (config, database) = args.place.load(global)?;
    let dir = DataDir::at(&config.data_dir);
    let key = stored_secrets_key(&dir, &config)?;
    let source = Source {
        dir: &dir,
        database: &database,
        secrets_key_id: key.map(|key| Keyring::of(key.expose_secret()).id().to_owned()),
        keys: args.with_keys,
    };
    let written = progress::run(out, "backing up", |_| backup::write(&source, &args.file))
        .await
        .map_err(as_usage)?;
    if out.is_json() {
        out.json(&json!({
            "file": args.file,
            "bytes": written.bytes,
            "manifest": written.manifest,
            "skipped": written.skipped.iter().map(|(path, reason)| json!({"path": path, "reason": reason})).collect::<Vec<_>>(),
        }))?;
    } else {
        out.line(format_args!("{}  {} bytes", args.file.display(), written.bytes))?;
        out.note(keys_of(&written.manifest, &config, &dir))?;
        if config.configs_dir.is_some() {
            out.note("Templates in CONFIGS_DIR are yours to back up: they lie outside the data directory.")?;
        }
    }
    incomplete(&written.skipped)
}

/// What the backup says of keys.
fn keys_of(manifest: &Manifest, config: &ServerConfig, dir: &DataDir) -> String {
    let id = manifest.secrets_key_id.as_deref().unwrap_or("none");
    if config.secrets_key.is_some() {
        return format!(
            "Keep SECRETS_ENCRYPTION_KEY (key {id}) elsewhere: it is not in the backup, and stored secrets cannot be read without it."
        );
    }
    if manifest.keys.is_empty() {
        let file = dir.server_file(SECRETS_KEY_FILE);
        return format!(
            "No keys are in it. Keep {} (key {id}) elsewhere: stored secrets cannot be read without it. --with-keys puts \
             it into the backup.",
            file.display()
        );
    }
    format!(
        "It holds {}: keep it as you would keep a password.",
        manifest.keys.join(" and ")
    )
}

/// Nothing is left out silently.
fn incomplete(skipped: &[(PathBuf, String)]) -> Result<()> {
    if skipped.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> = skipped
        .iter()
        .take(NAMED)
        .map(|(path, reason)| format!("\n  {}: {reason}", path.display()))
        .collect();
    if let Some(more) = skipped.len().checked_sub(NAMED).filter(|more| *more > 0) {
        named.push(format!("\n  and {more} more"));
    }
    Err(CliError::Failed(format!(
        "the backup was written, but {} of the agents' files could not be read:{}",
        skipped.len(),
        named.concat()
    ))
    .into())
}

pub(super) async fn restore(args: RestoreArgs, global: &Global, out: &mut Output) -> Result<()> {
    let (config, database) = args.place.load(global)?;
    let found = Found {
        dir: &config.data_dir,
        database: &database,
        replace: args.replace,
    };
    let restored = progress::run(out, "restoring", |_| backup::restore(&args.file, &found))
        .await
        .map_err(as_usage)?;
    let dir = DataDir::at(&config.data_dir);
    let missing = missing_key(&restored.manifest, &config, &dir)?;
    if out.is_json() {
        return Ok(out.json(&json!({
            "data_dir": config.data_dir,
            "manifest": restored.manifest,
            "workspaces": restored.workspaces,
            "set_aside": restored.set_aside,
            "missing_secrets_key": missing,
        }))?);
    }
    out.pairs(&[
        ("restored", config.data_dir.display().to_string().into()),
        ("written", restored.manifest.created_at.clone().into()),
        ("workspaces", format!("{} with files", restored.workspaces).into()),
    ])?;
    if let Some(aside) = &restored.set_aside {
        out.note(format_args!(
            "What was there before is in {}; remove it when you need it no more.",
            aside.display()
        ))?;
    }
    if let Some(id) = missing {
        out.note(format_args!(
            "The secrets in it were sealed with the key {id}, which is not here. Before you start the server, put that key into {} \
             or SECRETS_ENCRYPTION_KEY.",
            dir.server_file(SECRETS_KEY_FILE).display()
        ))?;
    }
    Ok(())
}

/// Id of the key that is needed and not there.
fn missing_key(manifest: &Manifest, config: &ServerConfig, dir: &DataDir) -> Result<Option<String>> {
    let Some(needed) = &manifest.secrets_key_id else {
        return Ok(None);
    };
    let current = stored_secrets_key(dir, config).context("the key of stored secrets")?;
    let retired = retired_keys(dir, config).context("earlier keys of stored secrets")?;
    let has = current
        .iter()
        .chain(&retired)
        .any(|key| Keyring::of(key.expose_secret()).id() == needed);
    Ok((!has).then(|| needed.clone()))
}

/// What the caller can mend by asking otherwise is wrong usage.
fn as_usage(error: BackupError) -> anyhow::Error {
    match error {
        BackupError::Exists(_)
        | BackupError::Occupied(_)
        | BackupError::OccupiedDatabase
        | BackupError::OtherEngine { .. } => CliError::Usage(error.to_string()).into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;
    use crate::config::Flags;

    #[test]
    fn a_key_that_was_generated_before_is_not_missing() {
        // D5
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let config = load(&Sources::of(Flags::default(), [("HOME", "/home/u")]))
            .unwrap()
            .config;
        let manifest = Manifest {
            format: 1,
            version: "0.1.0".into(),
            created_at: String::new(),
            engine: "sqlite".into(),
            secrets_key_id: Some(Keyring::of(&[7; 32]).id().to_owned()),
            keys: Vec::new(),
        };
        let missing = || missing_key(&manifest, &config, &dir).unwrap();
        std::fs::write(dir.server_file(SECRETS_KEY_FILE), STANDARD.encode([8; 32])).unwrap();
        assert_eq!(missing(), manifest.secrets_key_id);
        std::fs::write(dir.server_file("secrets_keys_retired"), STANDARD.encode([7; 32])).unwrap();
        assert_eq!(missing(), None);
    }
}
