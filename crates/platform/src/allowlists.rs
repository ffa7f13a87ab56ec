//! Which plugins an org allows (SEC-150…153). An org without a list allows all.

use molecule_core::{WorkspaceId, WorkspaceStatus, validate};
use molecule_store::{Store, StoreError, allowlists};
use molecule_wire::audit::{AllowedPlugin, PluginAllowlist, ReplaceAllowlist, ReplacedAllowlist};

/// Why a list was not changed, or not shown.
#[derive(Debug, thiserror::Error)]
pub enum AllowlistError {
    /// No such org.
    #[error("org not found")]
    Unknown,
    /// Nobody is named who allows it.
    #[error("enabled_by is required")]
    Anonymous,
    /// A name that no plugin has (SEC-153).
    #[error("invalid plugin name")]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The store failed.
    #[error("failed to store the allowlist")]
    Store(#[from] StoreError),
}

/// Keeps the lists. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Allowlists {
    store: Store,
}

fn view(row: allowlists::AllowedPlugin) -> AllowedPlugin {
    AllowedPlugin {
        plugin_name: row.plugin_name,
        enabled_by: row.enabled_by,
        enabled_at: row.enabled_at,
    }
}

impl Allowlists {
    /// Over a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Is there such an org? Asked before anything else (SEC-150).
    ///
    /// # Errors
    /// [`AllowlistError::Unknown`], or the store failed.
    pub async fn find_org(&self, org: WorkspaceId) -> Result<(), AllowlistError> {
        let row = self.store.workspace(org).await?;
        let there = row.is_some_and(|row| row.status != WorkspaceStatus::Removed);
        there.then_some(()).ok_or(AllowlistError::Unknown)
    }

    /// What an org allows.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, org: WorkspaceId) -> Result<PluginAllowlist, AllowlistError> {
        let plugins: Vec<_> = self.store.allowed_plugins(org).await?.into_iter().map(view).collect();
        Ok(PluginAllowlist {
            org_id: org,
            allow_all: plugins.is_empty(),
            plugins,
        })
    }

    /// Replaces what an org allows; an empty list allows all.
    ///
    /// # Errors
    /// [`AllowlistError`]; the old list stands.
    pub async fn replace(
        &self,
        org: WorkspaceId,
        request: ReplaceAllowlist,
    ) -> Result<ReplacedAllowlist, AllowlistError> {
        let enabled_by = request.enabled_by.trim().to_owned();
        if enabled_by.is_empty() {
            return Err(AllowlistError::Anonymous);
        }
        let mut names = request.plugins;
        if let Some((name, detail)) = names
            .iter()
            .find_map(|name| Some((name, validate::plugin_name(name).err()?)))
        {
            return Err(AllowlistError::BadName {
                name: name.clone(),
                detail,
            });
        }
        names.sort_unstable();
        names.dedup();
        self.store
            .replace_allowed_plugins(org, names.clone(), enabled_by)
            .await?;
        Ok(ReplacedAllowlist {
            org_id: org,
            allow_all: names.is_empty(),
            plugins: names,
        })
    }

    /// May a workspace have a plugin? Its org is its parent, else itself; an org without a list allows all, and so does one
    /// whose list cannot be read, which is logged (SEC-152).
    pub async fn allows(&self, workspace: WorkspaceId, plugin: &str) -> bool {
        let read = async {
            let row = self.store.workspace(workspace).await?;
            let org = row.and_then(|row| row.parent_id).unwrap_or(workspace);
            self.store.allowed_plugins(org).await
        };
        match read.await {
            Ok(allowed) => allowed.is_empty() || allowed.iter().any(|row| row.plugin_name == plugin),
            Err(error) => {
                tracing::error!(%error, %workspace, "the plugin allowlist could not be read: all are allowed");
                true
            }
        }
    }
}
