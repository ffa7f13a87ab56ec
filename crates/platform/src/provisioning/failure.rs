use std::time::Duration;

use molecule_backends::BackendError;
use molecule_core::{Trigger, WorkspaceId, event::FailureDetail, limits};
use molecule_store::{
    StoreError,
    workspaces::{Change, NewUrl},
};

use super::Provisioner;
use crate::{
    credentials::InboundError,
    lifecycle::{Ask, Cause},
    secrets::SecretError,
};

/// Why a workspace did not start. `Display` is what users read: generic for internal causes, whose texts carry paths
/// and worse (PROV-35, LIFE-57); the causes go to the log. As `&'static str` it is the outcome that is counted.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum StartFailure {
    /// LIFE-49: names every remedy.
    #[error(
        "no backend is configured to run workspaces: set MOLECULE_BACKEND to process, docker (with a Docker daemon), \
         kubernetes or control-plane (MOLECULE_ORG_ID), then restart the workspace"
    )]
    NoBackend,
    /// PROV-16.
    #[error("failed to decrypt {} secret", if *.workspace { "workspace" } else { "global" })]
    Undecryptable {
        /// A secret of the workspace's own.
        workspace: bool,
    },
    /// PROV-O7: a failing query is not "no secrets".
    #[error("secrets could not be read; try again")]
    SecretsUnavailable(#[source] SecretError),
    /// PROV-25.
    #[error("{}", missing_text(.0))]
    MissingEnv(Vec<String>),
    /// PROV-30.
    #[error(
        "workspace {0} has no config.yaml source and its configuration volume is empty: delete it, or restart it with a \
         template"
    )]
    NoConfigSource(WorkspaceId),
    /// Starting with something else instead would pass for what was asked for.
    #[error("the template this workspace was to start with is gone: restart it with a template")]
    TemplateGone,
    /// The volume was written once and is empty now: a database that was restored without the files, for instance.
    #[error(
        "the files that workspace {0} was made of are gone, configuration and prompts: restore them from a backup \
         (`molecule restore`), restart it with a template (`molecule ws restart --apply-template`), or delete it"
    )]
    FilesLost(WorkspaceId),
    /// Token or inbound secret could not be made; an instance without them could never be reached.
    #[error("workspace credentials could not be created; try again")]
    Credentials(#[source] InboundError),
    /// The agent itself said why it ended; our own agent's words carry no secrets.
    #[error("workspace start failed: {0}")]
    Ended(String),
    /// What was asked for the workspace cannot be had on this host.
    #[error("workspace start failed: {0}")]
    Impossible(String),
    /// PROV-35.
    #[error("workspace start failed")]
    Backend(#[source] BackendError),
    /// PROV-12.
    #[error("workspace start did not complete within {} s", .0.as_secs())]
    Deadline(Duration),
    /// LIFE-54.
    #[error("workspace start failed unexpectedly")]
    Panicked,
    /// The store failed.
    #[error("workspace start failed")]
    Store(#[from] StoreError),
}

fn missing_text(names: &[String]) -> String {
    let vars = if names.len() == 1 { "var" } else { "vars" };
    format!(
        "missing required env {vars} {}: add {} in the workspace's env vars or as a global secret",
        names.join(", "),
        if names.len() == 1 { "it" } else { "them" }
    )
}

impl StartFailure {
    /// The outcome that is counted.
    pub(super) fn label(&self) -> &'static str {
        self.into()
    }

    /// What the event carries beside `error` (ACT-90).
    fn detail(&self) -> FailureDetail {
        match self {
            Self::MissingEnv(names) => FailureDetail::MissingEnv { missing: names.clone() },
            _ => FailureDetail::None {},
        }
    }
}

impl Provisioner {
    /// The one failure path of starts (PROV-34): status, `last_sample_error` and event, only from `provisioning` and
    /// only for this incarnation. Has a deadline of its own; if even that fails, it is logged (LIFE-54).
    pub(super) async fn mark_failed(&self, id: WorkspaceId, generation: i64, failure: &StartFailure) {
        tracing::error!(workspace = %id, generation, failure = ?failure, "workspace start failed");
        let change = Change {
            sample_error: Some(failure.to_string()),
            url: Some(NewUrl::none()),
            ..Change::default()
        };
        let ask = Ask::from(Trigger::StartFailed)
            .change(change)
            .generation(generation)
            .cause(Cause::Failure(failure.detail()));
        let write = self.inner.lifecycle.apply(id, ask);
        let clock = self.inner.clock();
        match clock.within(limits::FAILURE_RECORD_DEADLINE, write).await {
            // A failed write was logged and counted by the lifecycle.
            Some(_) => {}
            None => tracing::error!(workspace = %id, "failure not recorded in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        // PROV-25, PROV-16, LIFE-49
        let one = StartFailure::MissingEnv(vec!["A_KEY".into()]).to_string();
        assert!(one.starts_with("missing required env var A_KEY"));
        let two = StartFailure::MissingEnv(vec!["A".into(), "B".into()]).to_string();
        assert!(two.starts_with("missing required env vars A, B"));
        assert_eq!(
            StartFailure::Undecryptable { workspace: false }.to_string(),
            "failed to decrypt global secret"
        );
        assert_eq!(StartFailure::MissingEnv(Vec::new()).label(), "missing_env");
        let none = StartFailure::NoBackend.to_string();
        assert!(none.contains("Docker daemon") && none.contains("control-plane"));
    }

    #[test]
    fn internal_causes_stay_inside() {
        // PROV-35
        let cause = BackendError::Engine("/srv/secret/path".into());
        assert_eq!(StartFailure::Backend(cause).to_string(), "workspace start failed");
    }
}
