//! The start pipeline (PROV §2), the same for every backend.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use molecule_backends::{Backend, BackendError, ConfigFile, Started, WorkspaceSpec};
use molecule_core::{
    Runtime, WorkspaceId, WorkspaceStatus, contract,
    model::{PROVIDER_DERIVED, PROVIDER_ORIGIN_VARIABLE},
    validate::WorkspaceAccess,
};
use molecule_store::{
    StoreError,
    workspaces::{NewUrl, Workspace},
};
use molecule_templates::{TemplateFile, generate::GeneratedConfig};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Provisioner, StartFailure, StartFiles, StartPlan, slots::Slot};
use crate::{credentials::InboundError, numbers, secrets::SecretError, supervise::panic_text};

/// How long a registration waits for the start that led to it.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);

impl Provisioner {
    /// Runs one start under the slot, unless the workspace has moved on from that incarnation: deadline, cancellation
    /// and panics end in the ordinary failure path. Afterwards the row is read again: an instance that nobody wants any
    /// more is stopped (D17).
    ///
    /// # Errors
    /// Not begun: the row could not be read.
    pub(super) async fn start_guarded(&self, id: WorkspaceId, slot: &Slot, generation: i64) -> Result<(), StoreError> {
        let span = tracing::info_span!("workspace_start", workspace = %id, generation);
        self.begin(id, slot, generation).instrument(span).await
    }

    async fn begin(&self, id: WorkspaceId, slot: &Slot, generation: i64) -> Result<(), StoreError> {
        tracing::info!(workspace = %id, generation, backend = self.backend_name(), "workspace start begins");
        // Before the row is read, so that a restart written after that finds a start to cancel.
        let starting = slot.begin_start(generation, self.inner.clock().instant());
        let row = match self.inner.store.workspace(id).await? {
            Some(row) if row.status == WorkspaceStatus::Provisioning && row.generation == generation => row,
            _ => {
                tracing::info!(workspace = %id, generation, "workspace start not begun: the workspace has moved on");
                return Ok(());
            }
        };
        let begun = Instant::now();
        let outcome = self.attempt(&row, slot, &starting.cancel).await;
        tally(outcome.label(), begun.elapsed());
        match outcome {
            Outcome::Started(started) => self.settle(&row, started).await,
            Outcome::Cancelled => {
                tracing::info!(workspace = %id, generation = row.generation, "workspace start cancelled");
                // Whoever cancelled it stops it again, and persistently.
                if let Err(error) = self.stop_once(id).await {
                    tracing::warn!(workspace = %id, %error, "a cancelled start is not stopped yet");
                }
            }
            Outcome::Failed(failure) => {
                self.mark_failed(id, row.generation, &failure).await;
                // A backend that was interrupted has not cleaned up behind itself.
                if matches!(failure, StartFailure::Deadline(_) | StartFailure::Panicked) {
                    self.stop_persistently(id).await.ok();
                }
            }
        }
        Ok(())
    }

    /// Waits until a start in progress has stored where its instance is. An agent may register before that: it must
    /// not be announced as online while nobody can reach it.
    pub async fn start_settled(&self, id: WorkspaceId) {
        let slot = self.inner.slots.of(id);
        let settled = self.inner.clock().within(SETTLE_PATIENCE, slot.start_ended()).await;
        if settled.is_none() {
            tracing::warn!(workspace = %id, "the agent registered, but its start has not ended");
        }
    }

    async fn attempt(&self, row: &Workspace, slot: &Slot, cancel: &CancellationToken) -> Outcome {
        let Some(backend) = self.inner.backend.clone() else {
            return Outcome::Failed(StartFailure::NoBackend);
        };
        let begin = async {
            // Never closed; waiting for the turn is part of the start, but of none of its deadlines.
            let _permit = match self.inner.starts.try_acquire() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    tracing::info!(workspace = %row.id, "the start waits for its turn");
                    self.inner.starts.acquire().await.ok()
                }
            };
            slot.turn_came(self.inner.clock().instant());
            let run = AssertUnwindSafe(self.run(row, &backend)).catch_unwind();
            let deadline = backend.start_deadline();
            match self.inner.clock().within(deadline, run).await {
                Some(Ok(Ok(started))) => Outcome::Started(started),
                Some(Ok(Err(failure))) => Outcome::Failed(failure),
                Some(Err(panic)) => {
                    tracing::error!(workspace = %row.id, reason = panic_text(&*panic), "start panicked");
                    Outcome::Failed(StartFailure::Panicked)
                }
                None => Outcome::Failed(StartFailure::Deadline(deadline)),
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Outcome::Cancelled,
            outcome = begin => outcome,
        }
    }

    async fn run(&self, row: &Workspace, backend: &Arc<dyn Backend>) -> Result<Started, StartFailure> {
        let runtime = self.runtime(&row.runtime);
        let plan = self.plan(row).await?;
        let once = plan.reset_session || plan.files != StartFiles::Existing;
        let env = self.assemble_env(row, runtime).await?;
        let (template_dir, config_files) = self.config(row, runtime, plan.files, backend, &env).await?;
        preflight(&config_files, &env)?;
        let (workspace_dir, workspace_access) = self.mount(row);
        let auth_token = self.inner.credentials.rotate(row.id).await?.into_secret();
        let inbound_secret = self.inner.inbound.mint(row.id).await.map_err(|error| match error {
            InboundError::Store(error) => StartFailure::Store(error),
            other => StartFailure::Credentials(other),
        })?;
        let spec = WorkspaceSpec {
            id: row.id,
            generation: row.generation,
            runtime,
            tier: row.tier,
            env,
            files: contents(row.id, template_dir, config_files).await,
            auth_token,
            inbound_secret,
            platform_url: self.inner.config.platform_url.clone(),
            workspace_dir,
            workspace_access,
            reset_session: plan.reset_session,
        };
        let outcome = backend.start(&spec).await;
        if once && configured(&outcome) {
            self.plan_done(row).await;
        }
        outcome.map_err(|error| match error {
            BackendError::EndedDuringStart(reason) => {
                // What it wrote is in its own log.
                let reason = declared(&reason).to_owned();
                tracing::warn!(workspace = %row.id, reason, "instance ended during start");
                StartFailure::Ended(reason)
            }
            BackendError::InvalidSpec(reason) => StartFailure::Impossible(reason),
            BackendError::NotReady(_) => StartFailure::Deadline(backend.start_deadline()),
            other => StartFailure::Backend(other),
        })
    }

    /// What was asked for and has not been carried out yet.
    async fn plan(&self, row: &Workspace) -> Result<StartPlan, StartFailure> {
        let stored = self.inner.store.start_plan(row.id).await?;
        let files = StartFiles::read(stored.start_files.as_deref()).map_err(|error| {
            tracing::error!(workspace = %row.id, %error, "what the workspace was to start with is not readable");
            StartFailure::TemplateGone
        })?;
        if let StartFiles::Given {
            template_dir: Some(dir),
            ..
        } = &files
            && !dir.is_dir()
        {
            tracing::error!(workspace = %row.id, template = %dir.display(), "the template is gone");
            return Err(StartFailure::TemplateGone);
        }
        Ok(StartPlan {
            files,
            reset_session: stored.reset_session,
        })
    }

    async fn plan_done(&self, row: &Workspace) {
        if let Err(error) = self.inner.store.start_plan_done(row.id, row.generation).await {
            tracing::error!(workspace = %row.id, %error, "the next start writes the configuration once more");
        }
    }

    /// Steps 2–5 of the pipeline: secrets, git identity, model, role, parent (PROV-14…22, RUN-80a).
    async fn assemble_env(
        &self,
        row: &Workspace,
        runtime: Runtime,
    ) -> Result<BTreeMap<String, SecretString>, StartFailure> {
        let secrets = &self.inner.secrets;
        let mut env = secrets.values(row.id).await.map_err(|error| match error {
            SecretError::Undecryptable(keys) => StartFailure::Undecryptable {
                workspace: keys.iter().any(|key| key.starts_with("workspace:")),
            },
            other => StartFailure::SecretsUnavailable(other),
        })?;
        // Adapters must be able to tell a choice from a hint; the provider itself stays as it is stored (PROV-20).
        let derived = secrets.provider_is_derived(row.id).await;
        match derived.map_err(StartFailure::SecretsUnavailable)? {
            true => env.insert(PROVIDER_ORIGIN_VARIABLE.to_owned(), PROVIDER_DERIVED.into()),
            false => env.remove(PROVIDER_ORIGIN_VARIABLE),
        };
        git_identity(&mut env, &row.name);
        let model = env
            .get(contract::env::OLDER_MODEL)
            .filter(|model| !model.expose_secret().is_empty())
            .cloned();
        if let Some(model) = model {
            if runtime == Runtime::Hermes {
                env.insert("HERMES_DEFAULT_MODEL".to_owned(), model.clone());
            }
            env.insert(contract::env::MODEL.to_owned(), model);
        }
        if let Some(role) = row.role.as_deref().filter(|role| !role.is_empty()) {
            env.insert("MOLECULE_AGENT_ROLE".to_owned(), role.into());
        }
        env.insert("MOLECULE_WORKSPACE_NAME".to_owned(), row.name.as_str().into());
        let at_once = row.max_concurrent_tasks.max(1).to_string();
        env.insert(contract::env::MAX_CONCURRENT_TASKS.to_owned(), at_once.into());
        // Absent, never empty: agents read it at boot (LIFE-43, PROV-22).
        match row.parent_id {
            Some(parent) => env.insert(contract::env::PARENT_ID.to_owned(), parent.to_string().into()),
            None => env.remove(contract::env::PARENT_ID),
        };
        Ok(env)
    }

    /// Steps 8–9: where `config.yaml` comes from (PROV-28…30, PROV-43).
    async fn config(
        &self,
        row: &Workspace,
        runtime: Runtime,
        files: StartFiles,
        backend: &Arc<dyn Backend>,
        env: &BTreeMap<String, SecretString>,
    ) -> Result<(Option<PathBuf>, BTreeMap<String, Vec<u8>>), StartFailure> {
        // An earlier start has written them (`start_plan_done`), so that they cannot just be missing.
        let written = files == StartFiles::Existing;
        let (template_dir, files) = match files {
            StartFiles::Given { template_dir, files } => (template_dir, files),
            StartFiles::Generated => {
                let model = env.get(contract::env::MODEL).map(ExposeSecret::expose_secret);
                let config = GeneratedConfig {
                    name: &row.name,
                    role: row.role.as_deref().unwrap_or_default(),
                    tier: row.tier,
                    runtime,
                    model,
                };
                (
                    None,
                    BTreeMap::from([("config.yaml".to_owned(), config.render().into_bytes())]),
                )
            }
            StartFiles::Existing => (None, BTreeMap::new()),
        };
        let in_memory = files.get("config.yaml").is_some_and(|file| !file.is_empty());
        let in_template = template_dir
            .as_ref()
            .is_some_and(|dir| dir.join("config.yaml").is_file());
        if in_memory || in_template {
            return Ok((template_dir, files));
        }
        match backend.has_config(row.id).await {
            Ok(true) => Ok((template_dir, files)),
            // A recovered template would be a generic agent under the name of another (PROV-29 is for what never was).
            Ok(false) if written => Err(StartFailure::FilesLost(row.id)),
            Ok(false) => match self.inner.catalogue.recover(runtime) {
                Some(found) => {
                    tracing::warn!(workspace = %row.id, template = found.id, "empty configuration recovered");
                    Ok((Some(found.dir), files))
                }
                None => Err(StartFailure::NoConfigSource(row.id)),
            },
            Err(error) => {
                tracing::warn!(workspace = %row.id, %error, "configuration volume not readable; starting regardless");
                Ok((template_dir, files))
            }
        }
    }

    /// Directory and access: the row, else the operator's directory (PROV-27). Without an access mode nothing is
    /// mounted.
    fn mount(&self, row: &Workspace) -> (Option<PathBuf>, WorkspaceAccess) {
        let dir = row
            .workspace_dir
            .clone()
            .map(PathBuf::from)
            .or_else(|| self.inner.config.workspace_dir.clone());
        (
            dir.filter(|_| row.workspace_access != WorkspaceAccess::None),
            row.workspace_access,
        )
    }

    /// After a start: store where it is, unless the workspace has moved on (D17).
    async fn settle(&self, row: &Workspace, started: Started) {
        self.inner
            .instances
            .began(row.id, row.generation, started.endpoint.as_deref());
        let url = started.endpoint.map(|url| NewUrl { url, assigned: true });
        let kept = match self
            .inner
            .store
            .set_instance(row.id, row.generation, url, started.instance_ref)
            .await
        {
            Ok(current) => current && self.still_wanted(row).await,
            Err(error) => {
                tracing::error!(workspace = %row.id, %error, "started instance not recorded");
                self.mark_failed(row.id, row.generation, &StartFailure::Store(error))
                    .await;
                false
            }
        };
        if kept {
            tracing::info!(workspace = %row.id, generation = row.generation, "workspace started");
            return;
        }
        tracing::warn!(workspace = %row.id, generation = row.generation, "started instance is not wanted any more");
        self.stop_persistently(row.id).await.ok();
        // Its address must not be left either: somebody else may have it next.
        let none = Some(NewUrl::none());
        if let Err(error) = self.inner.store.set_instance(row.id, row.generation, none, None).await {
            tracing::error!(workspace = %row.id, %error, "address of a stopped instance not cleared");
        }
    }

    async fn still_wanted(&self, row: &Workspace) -> bool {
        match self.inner.store.workspace(row.id).await {
            Ok(Some(now)) => {
                now.generation == row.generation
                    && matches!(
                        now.status,
                        WorkspaceStatus::Provisioning | WorkspaceStatus::Online | WorkspaceStatus::Degraded
                    )
            }
            Ok(None) => false,
            // Uncertainty must not recycle a healthy agent.
            Err(_) => true,
        }
    }
}

/// What the workspace gets: the template's files, and those that were given or generated over them. A template that
/// cannot be read is no reason not to start with the rest (PROV-45).
async fn contents(
    id: WorkspaceId,
    template_dir: Option<PathBuf>,
    given: BTreeMap<String, Vec<u8>>,
) -> BTreeMap<String, ConfigFile> {
    let mut files = BTreeMap::new();
    if let Some(dir) = template_dir {
        let shown = dir.display().to_string();
        let read = tokio::task::spawn_blocking(move || molecule_templates::read_files(&dir)).await;
        match read.map_err(std::io::Error::other).flatten() {
            Ok(found) => files.extend(found.into_iter().map(|(path, file)| {
                let TemplateFile { content, mode } = file;
                (path, ConfigFile { content, mode })
            })),
            Err(error) => tracing::warn!(workspace = %id, template = shown, %error, "the template could not be read"),
        }
    }
    files.extend(
        given
            .into_iter()
            .map(|(path, content)| (path, ConfigFile::plain(content))),
    );
    files
}

/// Was everything written, whatever became of the agent then?
fn configured(outcome: &Result<Started, BackendError>) -> bool {
    matches!(
        outcome,
        Ok(_) | Err(BackendError::EndedDuringStart(_) | BackendError::NotReady(_))
    )
}

/// What the agent declared is its first line; the output below it belongs in the log (PROV-35).
pub(super) fn declared(reason: &str) -> &str {
    reason
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches("; its last output:")
}

enum Outcome {
    Started(Started),
    Cancelled,
    Failed(StartFailure),
}

impl Outcome {
    fn label(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Cancelled => "cancelled",
            Self::Failed(failure) => failure.label(),
        }
    }
}

/// Counts a start that has ended, by how; the time it waited for its turn is part of it.
pub(super) fn tally(outcome: &'static str, took: Duration) {
    metrics::counter!("molecule_starts_total", "outcome" => outcome).increment(1);
    metrics::histogram!(numbers::START_SECONDS, "outcome" => outcome).record(took);
}

/// Names in the in-memory `config.yaml` that are absent or empty (PROV-24). Template directories are not checked: their
/// list names one credential of several acceptable ones.
fn preflight(files: &BTreeMap<String, Vec<u8>>, env: &BTreeMap<String, SecretString>) -> Result<(), StartFailure> {
    let Some(config) = files.get("config.yaml") else {
        return Ok(());
    };
    let missing: Vec<String> = molecule_templates::required_env(config)
        .into_iter()
        .filter(|name| env.get(name).is_none_or(|value| value.expose_secret().is_empty()))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(StartFailure::MissingEnv(missing))
    }
}

/// Git identity of the workspace, where it has none (PROV-18).
fn git_identity(env: &mut BTreeMap<String, SecretString>, name: &str) {
    let name = name.trim();
    if name.is_empty() {
        return;
    }
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let email = format!("{}@agents.moleculesai.app", slug.trim_matches('-'));
    for (key, value) in [
        ("GIT_AUTHOR_NAME", format!("Molecule AI {name}")),
        ("GIT_COMMITTER_NAME", format!("Molecule AI {name}")),
        ("GIT_AUTHOR_EMAIL", email.clone()),
        ("GIT_COMMITTER_EMAIL", email),
    ] {
        env.entry(key.to_owned()).or_insert_with(|| value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_identity_fills_only_what_is_absent() {
        // PROV-18
        let mut env = BTreeMap::from([("GIT_AUTHOR_NAME".to_owned(), SecretString::default())]);
        git_identity(&mut env, " Lead  Dev! ");
        assert_eq!(env["GIT_AUTHOR_NAME"].expose_secret(), "");
        assert_eq!(env["GIT_COMMITTER_NAME"].expose_secret(), "Molecule AI Lead  Dev!");
        assert_eq!(
            env["GIT_AUTHOR_EMAIL"].expose_secret(),
            "lead-dev@agents.moleculesai.app"
        );
        let mut empty = BTreeMap::new();
        git_identity(&mut empty, "  ");
        assert!(empty.is_empty());
    }

    #[test]
    fn preflight_names_what_is_missing_in_order() {
        // PROV-24, PROV-25
        let yaml = b"runtime_config:\n  required_env: [B_KEY, A_KEY, C_KEY]\n".to_vec();
        let files = BTreeMap::from([("config.yaml".to_owned(), yaml)]);
        let env = BTreeMap::from([
            ("A_KEY".to_owned(), SecretString::from("x")),
            ("C_KEY".to_owned(), SecretString::default()),
        ]);
        let Err(StartFailure::MissingEnv(missing)) = preflight(&files, &env) else {
            panic!("passed")
        };
        assert_eq!(missing, ["B_KEY", "C_KEY"]);
        assert!(preflight(&BTreeMap::new(), &env).is_ok());
    }
}
