use molecule_core::{
    Runtime, Word, WorkspaceId, WorkspaceStatus,
    validate::{self, InvalidField},
};
use molecule_store::{StoreError, workspaces::WorkspacePatch};
use molecule_wire::{
    Patch,
    workspaces::{UpdateWorkspace, UpdatedWorkspace},
};

use super::Workspaces;
use crate::lifecycle::is_external;

/// Why a workspace was not changed (LIFE-96, OP-1). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// A value of the wrong kind.
    #[error("invalid request body")]
    BadRequest,
    /// A text that is too long or has forbidden characters.
    #[error(transparent)]
    BadField(#[from] InvalidField),
    /// A forbidden directory.
    #[error("invalid workspace directory")]
    BadDirectory,
    /// Unknown access, or access without a directory.
    #[error("invalid workspace access")]
    BadAccess,
    /// Unknown, itself, or one of its descendants.
    #[error("{0}")]
    BadParent(&'static str),
    /// A field that only an admin may change (D4).
    #[error("{0} can be changed by an admin only")]
    AdminOnly(&'static str),
    /// Who runs the agent is settled when the workspace is created: tokens, endpoint and restarts rest on it.
    #[error("runtime cannot change between external and managed: create another workspace instead")]
    RuntimeKind,
    /// Unknown or removed.
    #[error("workspace not found")]
    NotFound,
    /// The store failed.
    #[error("update failed")]
    Store(#[source] StoreError),
}

impl Workspaces {
    /// Changes a workspace, all fields in one transaction (OP-1). `budget_limit` and unknown keys are ignored
    /// (LIFE-94, LIFE-97).
    ///
    /// # Errors
    /// [`PatchError`]; nothing changed.
    pub async fn patch(
        &self,
        id: WorkspaceId,
        request: UpdateWorkspace,
        admin: bool,
    ) -> Result<UpdatedWorkspace, PatchError> {
        if !admin && let Some(field) = admin_field(&request) {
            return Err(PatchError::AdminOnly(field));
        }
        let needs_restart = request.workspace_dir.is_present().then_some(true);
        let patch = validated(request)?;
        if let Some(runtime) = &patch.runtime {
            self.check_runtime_kind(id, runtime).await?;
        }
        let found = self
            .inner
            .store
            .patch_workspace(id, patch)
            .await
            .map_err(|error| match error {
                StoreError::UnknownParent => PatchError::BadParent("parent_id does not name a workspace"),
                StoreError::CyclicParent => {
                    PatchError::BadParent("parent_id must not be the workspace or its descendant")
                }
                StoreError::AccessWithoutDirectory => PatchError::BadAccess,
                other => PatchError::Store(other),
            })?;
        if !found {
            return Err(PatchError::NotFound);
        }
        Ok(UpdatedWorkspace {
            status: "updated".to_owned(),
            needs_restart,
        })
    }

    /// The kind of a row never changes, so that it may be read ahead of the write.
    async fn check_runtime_kind(&self, id: WorkspaceId, runtime: &Word<Runtime>) -> Result<(), PatchError> {
        let row = self.inner.store.workspace(id).await.map_err(PatchError::Store)?;
        match row {
            None => Err(PatchError::NotFound),
            Some(row) if row.status == WorkspaceStatus::Removed => Err(PatchError::NotFound),
            Some(row) if is_external(&row.runtime) != is_external(runtime) => Err(PatchError::RuntimeKind),
            Some(_) => Ok(()),
        }
    }
}

/// The first field present that is not an agent's own business: agents may change name, role and layout (D4).
fn admin_field(request: &UpdateWorkspace) -> Option<&'static str> {
    let UpdateWorkspace {
        name: _,
        role: _,
        collapsed: _,
        x: _,
        y: _,
        tier,
        parent_id,
        runtime,
        workspace_dir,
        workspace_access,
        hibernation_idle_minutes,
        max_concurrent_tasks,
    } = request;
    let fields = [
        ("parent_id", parent_id.is_present()),
        ("tier", tier.is_present()),
        ("runtime", runtime.is_present()),
        ("workspace_dir", workspace_dir.is_present()),
        ("workspace_access", workspace_access.is_present()),
        ("hibernation_idle_minutes", hibernation_idle_minutes.is_present()),
        ("max_concurrent_tasks", max_concurrent_tasks.is_present()),
    ];
    fields.into_iter().find_map(|(field, present)| present.then_some(field))
}

/// A field that cannot be null.
fn required<T>(patch: Patch<T>) -> Result<Option<T>, PatchError> {
    match patch {
        Patch::Absent => Ok(None),
        Patch::Null => Err(PatchError::BadRequest),
        Patch::Value(value) => Ok(Some(value)),
    }
}

fn validated(request: UpdateWorkspace) -> Result<WorkspacePatch, PatchError> {
    let name = match required(request.name)? {
        None => None,
        Some(name) if name.is_empty() => return Err(PatchError::BadRequest),
        Some(name) => Some(validate::name(&name)?.to_owned()),
    };
    let role = request.role.into_option();
    validate::role(role.iter().flatten().next().map(String::as_str).unwrap_or_default())?;
    // As the allowlist reads it.
    let runtime = required(request.runtime)?.map(|runtime| Word::from(runtime.as_str().trim()));
    validate::runtime(runtime.as_ref().map_or("", Word::as_str))?;
    let position = match (required(request.x)?, required(request.y)?) {
        (Some(x), Some(y)) if x.is_finite() && y.is_finite() => Some((x, y)),
        _ => None,
    };
    let access = match required(request.workspace_access)? {
        None => None,
        Some(access) => Some(access.known().ok_or(PatchError::BadAccess)?),
    };
    Ok(WorkspacePatch {
        name,
        role: role.map(|role| role.filter(|role| !role.is_empty())),
        tier: required(request.tier)?,
        parent_id: parent(request.parent_id)?,
        runtime,
        workspace_dir: directory(request.workspace_dir)?,
        workspace_access: access,
        hibernation_idle_minutes: request
            .hibernation_idle_minutes
            .into_option()
            .map(|minutes| minutes.filter(|minutes| *minutes > 0)),
        max_concurrent_tasks: required(request.max_concurrent_tasks)?.map(|tasks| tasks.max(1)),
        collapsed: required(request.collapsed)?,
        position,
    })
}

fn parent(patch: Patch<String>) -> Result<Option<Option<WorkspaceId>>, PatchError> {
    match patch.into_option() {
        None => Ok(None),
        Some(None) => Ok(Some(None)),
        Some(Some(id)) => {
            let id = id
                .parse()
                .map_err(|_| PatchError::BadParent("parent_id does not name a workspace"))?;
            Ok(Some(Some(id)))
        }
    }
}

/// `null` and `""` clear (LIFE-98).
fn directory(patch: Patch<String>) -> Result<Option<Option<String>>, PatchError> {
    match patch.into_option() {
        None => Ok(None),
        Some(dir) => match dir.filter(|dir| !dir.is_empty()) {
            None => Ok(Some(None)),
            Some(dir) => {
                let clean = validate::workspace_dir(&dir).ok_or(PatchError::BadDirectory)?;
                Ok(Some(Some(clean.to_string_lossy().into_owned())))
            }
        },
    }
}
