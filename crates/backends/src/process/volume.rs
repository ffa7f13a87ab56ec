//! Prepares a workspace's directories for a start (PROV-45, PROV-53, PROV-54, PROV-62).

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use molecule_core::{Runtime, WorkspaceId, contract::file, text::Quoted, validate};
use secrecy::{ExposeSecret, SecretString};

use super::{files::Dir, layout::Volume};
use crate::{BackendError, ConfigFile, WorkspaceSpec};

/// Sessions of Claude Code below its home: the store named by PROV-59 and the transcripts that it resumes from.
const CLAUDE_SESSIONS: [&str; 2] = ["sessions", "projects"];
const RESET_VARIABLE: &str = "WORKSPACE_RESET_SESSION";

/// What goes into a workspace's directories before its agent starts.
pub(super) struct Contents {
    id: WorkspaceId,
    volume: Volume,
    /// By path relative to the configuration directory.
    files: BTreeMap<PathBuf, ConfigFile>,
    auth_token: SecretString,
    inbound_secret: SecretString,
    reset_session: bool,
}

impl Contents {
    /// # Errors
    /// A file that would lie outside the configuration directory.
    pub(super) fn new(spec: &WorkspaceSpec, volume: Volume) -> Result<Self, BackendError> {
        let root = volume.configs();
        let mut files = BTreeMap::new();
        for (name, file) in &spec.files {
            let relative = validate::inside(&root, name)
                .and_then(|path| Some(path.strip_prefix(&root).ok()?.to_path_buf()))
                .filter(|relative| !relative.as_os_str().is_empty())
                .ok_or_else(|| BackendError::InvalidSpec(format!("configuration file {}", Quoted(name))))?;
            files.insert(relative, file.clone());
        }
        Ok(Self {
            id: spec.id,
            volume,
            files,
            auth_token: spec.auth_token.clone(),
            inbound_secret: spec.inbound_secret.clone(),
            reset_session: spec.runtime == Runtime::ClaudeCode && (spec.reset_session || asks_for_reset(spec)),
        })
    }

    /// Creates the directories and writes everything. Nothing of the workspace may run.
    pub(super) fn write(&self) -> io::Result<()> {
        let root = Dir::create(self.volume.root())?;
        let home = root.enter("home")?;
        root.enter("work")?;
        // A fresh container would start with an empty one as well.
        if let Err(error) = root.remove("tmp") {
            tracing::warn!(workspace = %self.id, %error, "the temporary directory could not be emptied");
        }
        root.enter("tmp")?;
        if self.reset_session {
            self.discard_sessions(&home);
        }
        let state = root.enter("state")?;
        let configs = root.enter("configs")?;
        self.restore_modes(&state);
        self.restore_modes(&configs);
        for stale in [file::ENDPOINT, file::EXIT] {
            state.remove(stale)?;
        }
        self.write_configs(&configs)
    }

    /// What an agent broke of its own must not keep it from starting for ever.
    fn restore_modes(&self, dir: &Dir) {
        match dir.restore_modes() {
            Ok(restored) if restored.is_empty() => {}
            Ok(restored) => tracing::warn!(
                workspace = %self.id, files = restored.join(", "),
                "files could not be used by their owner; their modes are restored"
            ),
            Err(error) => tracing::warn!(workspace = %self.id, %error, "the modes of files could not be looked at"),
        }
    }

    fn write_configs(&self, configs: &Dir) -> io::Result<()> {
        // What tells that a configuration is there at all comes last, so that an interrupted start does not pass for one.
        let is_config = |path: &Path| path == Path::new(file::CONFIG);
        let (last, first): (Vec<_>, Vec<_>) = self.files.iter().partition(|(path, _)| is_config(path));
        for (path, file) in first.into_iter().chain(last) {
            configs.write(path, &file.content, file.mode)?;
        }
        for (name, secret) in [
            (file::AUTH_TOKEN, &self.auth_token),
            (file::INBOUND_SECRET, &self.inbound_secret),
        ] {
            configs.write(name, secret.expose_secret().as_bytes(), 0o600)?;
        }
        Ok(())
    }

    fn discard_sessions(&self, home: &Dir) {
        let result = home
            .enter(".claude")
            .and_then(|claude| CLAUDE_SESSIONS.into_iter().try_for_each(|name| claude.remove(name)));
        if let Err(error) = result {
            // PROV-62
            tracing::warn!(workspace = %self.id, %error, "the session state could not be discarded");
        }
    }
}

/// PROV-62: the spellings of true that older clients send.
fn asks_for_reset(spec: &WorkspaceSpec) -> bool {
    let value = spec.env.get(RESET_VARIABLE).map(ExposeSecret::expose_secret);
    value.is_some_and(|value| matches!(value, "1" | "t" | "T" | "true" | "True" | "TRUE"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::process::tests::spec;

    fn write(data: &Path, spec: &WorkspaceSpec) -> Volume {
        let volume = Volume::new(data, spec.id);
        Contents::new(spec, volume.clone()).unwrap().write().unwrap();
        volume
    }

    #[test]
    fn reset_discards_sessions_of_claude_code_only() {
        // LIFE-126, PROV-62
        let data = tempfile::tempdir().unwrap();
        for (runtime, reset, variable, kept) in [
            (Runtime::ClaudeCode, false, "", true),
            (Runtime::ClaudeCode, true, "", false),
            (Runtime::ClaudeCode, false, "true", false),
            (Runtime::ClaudeCode, false, "yes", true),
            (Runtime::Codex, true, "1", true),
        ] {
            let mut spec = WorkspaceSpec {
                runtime,
                ..spec(WorkspaceId::random())
            };
            let volume = write(data.path(), &spec);
            let session = volume.home().join(".claude/projects/-work/1.jsonl");
            let settings = volume.home().join(".claude/settings.json");
            fs::create_dir_all(session.parent().unwrap()).unwrap();
            fs::write(&session, "").unwrap();
            fs::write(&settings, "").unwrap();
            spec.reset_session = reset;
            spec.env.insert(RESET_VARIABLE.into(), variable.into());
            write(data.path(), &spec);
            assert_eq!(session.exists(), kept, "{runtime} {reset} {variable}");
            assert!(settings.exists());
        }
    }

    #[test]
    fn only_tmp_and_stale_state_go() {
        let data = tempfile::tempdir().unwrap();
        let spec = spec(WorkspaceId::random());
        let volume = write(data.path(), &spec);
        let kept = [
            volume.work().join("f"),
            volume.configs().join("notes.md"),
            volume.state().join("journal"),
        ];
        let gone = [
            volume.tmp().join("f"),
            volume.state().join(file::ENDPOINT),
            volume.state().join(file::EXIT).join("sub"),
        ];
        for path in kept.iter().chain(&gone) {
            fs::create_dir_all(path).unwrap();
        }
        write(data.path(), &spec);
        assert!(kept.iter().all(|path| path.exists()));
        assert!(!gone.iter().any(|path| path.exists()));
    }

    #[test]
    fn files_outside_are_refused() {
        // PROV-40
        for bad in ["../x", "/etc/passwd", "a/../..", "", "."] {
            let mut spec = spec(WorkspaceId::random());
            spec.files.insert(bad.into(), ConfigFile::plain(""));
            let volume = Volume::new(Path::new("/data"), spec.id);
            assert!(
                matches!(Contents::new(&spec, volume), Err(BackendError::InvalidSpec(_))),
                "{bad}"
            );
        }
    }
}
