//! The workspace aggregate: record, layout, pulse, and the moves between statuses.

mod belongings;
mod budget;
mod census;
mod create;
mod read;
mod remove;
pub(crate) mod start;
mod transition;
mod tree;
mod update;
mod watched;

pub use create::{NewLayout, NewWorkspace};
pub use read::{ChildRow, RouteRow, Workspace};
#[cfg(test)]
pub(crate) use read::{list_sql, peers_sql};
pub use remove::{Collapsed, Purged, Removed};
pub use start::StartPlan;
pub(crate) use transition::Group;
pub use transition::{Change, Guard, Moved, NewUrl, Transition};
pub use update::WorkspacePatch;
pub use watched::Watched;
#[cfg(test)]
pub(crate) use watched::{idle_sql, watched_sql};

use molecule_core::{DeliveryMode, WorkspaceStatus, validate::WorkspaceAccess};

use crate::StoreError;

/// Reads a stored status.
pub(crate) fn parse_status(text: &str) -> Result<WorkspaceStatus, StoreError> {
    WorkspaceStatus::parse(text).ok_or_else(|| StoreError::Corrupt {
        column: "workspaces.status",
        value: text.to_owned(),
    })
}

/// Reads a stored delivery mode; readers tolerate NULL (REG-2).
pub(crate) fn parse_mode(text: Option<&str>) -> Result<Option<DeliveryMode>, StoreError> {
    text.map(|text| {
        DeliveryMode::parse(text).ok_or_else(|| StoreError::Corrupt {
            column: "workspaces.delivery_mode",
            value: text.to_owned(),
        })
    })
    .transpose()
}

pub(crate) fn parse_access(text: &str) -> Result<WorkspaceAccess, StoreError> {
    WorkspaceAccess::parse(text).ok_or_else(|| StoreError::Corrupt {
        column: "workspaces.workspace_access",
        value: text.to_owned(),
    })
}
