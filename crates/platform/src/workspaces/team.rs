use molecule_core::{
    WorkspaceId, WorkspaceStatus,
    event::{self, Event},
    text::Quoted,
};
use molecule_store::{StoreError, events::NewEvent, workspaces::Workspace};
use molecule_templates::{SubWorkspace, TeamError};
use molecule_wire::workspaces::{CollapsedWorkspace, CreateWorkspace, ExpandedWorkspace, StopFailures, TeamMember};

use super::{CreateError, Workspaces};
use crate::lifecycle::not_stored;

/// Why a workspace was not expanded (LIFE-164). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// Unknown or removed.
    #[error("workspace not found")]
    NotFound,
    /// Its template defines no team.
    #[error(transparent)]
    Team(#[from] TeamError),
    /// The store failed.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

/// Why a workspace was not collapsed. `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum CollapseError {
    /// Unknown or removed.
    #[error("workspace not found")]
    NotFound,
    /// The rows are removed, but something may still run (OP-11).
    #[error("{}", .0.error)]
    Stops(StopFailures),
    /// The store failed; nothing changed.
    #[error("failed to query children")]
    Store(#[from] StoreError),
}

impl Workspaces {
    /// Makes the team that the template of a workspace's name defines, below it (LIFE-164…167). Members that cannot be made
    /// are left out and logged. Repeating it makes another team.
    ///
    /// # Errors
    /// [`ExpandError`]; nothing changed.
    pub async fn expand(&self, id: WorkspaceId) -> Result<ExpandedWorkspace, ExpandError> {
        let row = self.inner.store.workspace(id).await?;
        let row = row
            .filter(|row| row.status != WorkspaceStatus::Removed)
            .ok_or(ExpandError::NotFound)?;
        let (catalogue, name) = (self.inner.catalogue.clone(), row.name.clone());
        let team = tokio::task::spawn_blocking(move || catalogue.team(&name)).await;
        let team = team.unwrap_or_else(|error| Err(TeamError::Unreadable(error.into())))?;
        let mut children = Vec::with_capacity(team.len());
        for member in team {
            children.extend(self.member(&row, member).await);
        }
        let team = event::Expanded {
            children: children.iter().map(child).collect(),
        };
        let event = NewEvent::of(id, Event::WorkspaceExpanded(team));
        let seq = self.inner.store.record_events(vec![event]).await?;
        self.inner.events.passed(seq).await;
        Ok(ExpandedWorkspace {
            status: "expanded".to_owned(),
            children,
        })
    }

    /// Makes one member (LIFE-165, LIFE-166). One whose `config` leads to no template starts with a generated
    /// configuration (OP-12).
    async fn member(&self, parent: &Workspace, member: SubWorkspace) -> Option<TeamMember> {
        let SubWorkspace { config, name, role } = member;
        let request = CreateWorkspace {
            name: if name.is_empty() { config.clone() } else { name },
            role: Some(role).filter(|role| !role.is_empty()),
            tier: Some(parent.tier),
            template: Some(config.clone()).filter(|config| !config.is_empty()),
            parent_id: Some(parent.id.to_string()),
            ..CreateWorkspace::default()
        };
        let (name, role) = (request.name.clone(), request.role.clone());
        let mut made = self.create(request.clone(), "").await;
        if matches!(made, Err(CreateError::BadTemplate)) {
            tracing::warn!(workspace = %parent.id, config = %Quoted(&config), "a member's template leads out of the catalogue");
            let generated = CreateWorkspace {
                template: None,
                ..request
            };
            made = self.create(generated, "").await;
        }
        match made {
            Ok(made) => Some(TeamMember {
                id: made.id,
                name,
                role,
            }),
            Err(error) => {
                tracing::warn!(workspace = %parent.id, member = %Quoted(&name), %error, "a member of a team was left out");
                None
            }
        }
    }

    /// Removes everything below a workspace, then stops it (LIFE-168, LIFE-169, OP-11). Repeating the call tries stops again.
    ///
    /// # Errors
    /// [`CollapseError`].
    pub async fn collapse(&self, id: WorkspaceId) -> Result<CollapsedWorkspace, CollapseError> {
        let collapsed = self.inner.store.remove_below(id).await;
        let collapsed = collapsed.inspect_err(|error| not_stored(id, Some(WorkspaceStatus::Removed), error))?;
        let collapsed = collapsed.ok_or(CollapseError::NotFound)?;
        self.inner.events.passed(collapsed.seq).await;
        self.stop_removed(&collapsed.scope, false)
            .await
            .map_err(CollapseError::Stops)?;
        Ok(CollapsedWorkspace {
            status: "collapsed".to_owned(),
            removed: collapsed.children,
        })
    }
}

/// A member as the event names it.
fn child(member: &TeamMember) -> event::Child {
    event::Child {
        id: member.id,
        name: member.name.clone(),
        role: member.role.clone(),
    }
}
