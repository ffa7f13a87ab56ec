use molecule_core::{
    WorkspaceId,
    validate::{self, InvalidField, WorkspaceAccess},
};
use molecule_store::{StoreError, workspaces::WorkspacePatch};
use molecule_wire::{
    Patch,
    workspaces::{UpdateWorkspace, UpdatedWorkspace},
};

use super::Workspaces;

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
    /// Unknown access.
    #[error("invalid workspace access")]
    BadAccess,
    /// Unknown, itself, or one of its descendants.
    #[error("{0}")]
    BadParent(&'static str),
    /// A field that only an admin may change (D4).
    #[error("{0} can be changed by an admin only")]
    AdminOnly(&'static str),
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
        if !admin {
            refuse_admin_fields(&request)?;
        }
        let needs_restart = request.workspace_dir.is_present().then_some(true);
        let patch = validated(request)?;
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
                other => PatchError::Store(other),
            })?;
        self.inner.directory.invalidate(id);
        if !found {
            return Err(PatchError::NotFound);
        }
        Ok(UpdatedWorkspace {
            status: "updated".to_owned(),
            needs_restart,
        })
    }
}

fn refuse_admin_fields(request: &UpdateWorkspace) -> Result<(), PatchError> {
    let fields = [
        ("parent_id", request.parent_id.is_present()),
        ("tier", request.tier.is_present()),
        ("workspace_dir", request.workspace_dir.is_present()),
        ("workspace_access", request.workspace_access.is_present()),
    ];
    match fields.into_iter().find(|(_, present)| *present) {
        Some((field, _)) => Err(PatchError::AdminOnly(field)),
        None => Ok(()),
    }
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
    let name = required(request.name)?;
    if let Some(name) = &name {
        if name.is_empty() {
            return Err(PatchError::BadRequest);
        }
        validate::name(name)?;
    }
    let role = request.role.into_option();
    validate::role(role.iter().flatten().next().map(String::as_str).unwrap_or_default())?;
    let runtime = required(request.runtime)?;
    validate::runtime(runtime.as_deref().unwrap_or_default())?;
    let position = match (required(request.x)?, required(request.y)?) {
        (Some(x), Some(y)) if x.is_finite() && y.is_finite() => Some((x, y)),
        _ => None,
    };
    let access = match required(request.workspace_access)? {
        None => None,
        Some(access) => Some(WorkspaceAccess::parse(&access).ok_or(PatchError::BadAccess)?),
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
