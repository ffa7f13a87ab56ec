//! Where a restart finds its files on disk.

use molecule_core::{Runtime, text::Quoted};

use crate::{
    catalogue::{Catalogue, Found},
    orgs::library::OrgLibrary,
    source::RestartLookups,
};

/// The look-ups of a restart's configuration source, on disk.
#[derive(Debug, Clone, Copy)]
pub struct RestartSources<'a> {
    /// Workspace templates.
    pub catalogue: &'a Catalogue,
    /// Organisation templates.
    pub orgs: &'a OrgLibrary,
}

impl RestartLookups for RestartSources<'_> {
    fn template(&self, template: &str) -> Option<Found> {
        let found = self.catalogue.resolve(template).unwrap_or_default();
        if found.is_none() {
            tracing::warn!(template = %Quoted(template), "template of a restart is invalid or missing; falling through");
        }
        found
    }

    fn by_name(&self, name: &str) -> Option<Found> {
        self.catalogue.by_name(name)
    }

    fn org_role(&self, name: &str) -> Option<Found> {
        self.orgs.role_dir(name)
    }

    fn runtime_default(&self, runtime: Runtime) -> Option<Found> {
        self.catalogue.runtime_default(runtime)
    }
}
