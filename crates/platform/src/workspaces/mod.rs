//! Workspaces as users handle them: create, read, change, restart, pause, hibernate, delete.

mod budget;
mod connection;
mod create;
mod delete;
mod hibernate;
mod patch;
mod pause;
mod read;
mod restart;
mod restore;
mod stops;
mod team;

pub use budget::BudgetError;
pub use create::CreateError;
pub use delete::DeleteError;
pub use hibernate::{HibernateError, WakeError};
pub use molecule_templates::TeamError;
pub use patch::PatchError;
pub use pause::{PauseError, ResumeError};
pub use read::{Seen, StateAnswer};
pub use restart::{LogsError, RestartError};
pub use restore::RestoreError;
pub use team::{CollapseError, ExpandError};

use std::{ops::Deref, sync::Arc};

use molecule_core::runtime::Allowlist;
use molecule_templates::{Catalogue, orgs::OrgLibrary};

use crate::{
    credentials::{Credentials, InboundSecrets},
    ground::Ground,
    lifecycle::Lifecycle,
    provisioning::Provisioner,
    pulses::{Overrides, Pulses},
    secrets::Secrets,
};

/// The workspaces service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workspaces {
    inner: Arc<Parts>,
}

/// What the service is made of.
#[derive(Debug)]
#[allow(missing_docs, reason = "one field per service it uses")]
pub struct Parts {
    pub ground: Ground,
    pub lifecycle: Lifecycle,
    pub credentials: Credentials,
    pub inbound: InboundSecrets,
    pub secrets: Secrets,
    pub provisioner: Provisioner,
    pub catalogue: Arc<Catalogue>,
    pub allowlist: Arc<Allowlist>,
    pub orgs: Arc<OrgLibrary>,
    pub pulses: Pulses,
    pub overrides: Overrides,
}

impl Deref for Parts {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl Workspaces {
    /// Puts the service together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(parts) }
    }
}
