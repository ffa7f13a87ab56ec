//! How long a start may take (PROV-92…95, LIFE-189…191).

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use molecule_core::{Runtime, limits};

use crate::catalogue::Catalogue;

/// The one accessor of provision deadlines: the sweep and the API both ask here, so that spinner and killer agree
/// (PROV-94, LIFE-191).
#[derive(Debug)]
pub struct ProvisionTimeouts {
    catalogue: Catalogue,
    operator: Option<Duration>,
    declared: OnceLock<BTreeMap<Runtime, Duration>>,
}

impl ProvisionTimeouts {
    /// Over the templates of `catalogue`, read at the first question and never again (PROV-92). `operator` is
    /// `PROVISION_TIMEOUT_SECONDS`, which holds for every runtime (LIFE-189).
    #[must_use]
    pub fn new(catalogue: Catalogue, operator: Option<Duration>) -> Self {
        Self {
            catalogue,
            operator,
            declared: OnceLock::new(),
        }
    }

    /// What was said for this runtime: by the operator, else by templates, the largest of several; feeds
    /// `provision_timeout_ms` (PROV-92, PROV-93, LIFE-191).
    #[must_use]
    pub fn declared(&self, runtime: Runtime) -> Option<Duration> {
        let by_templates = self.declared.get_or_init(|| declared_by(&self.catalogue));
        self.operator.or_else(|| by_templates.get(&runtime).copied())
    }

    /// The deadline of a start: operator, template (also when lower than a default), hermes 30 min, 10 min (PROV-95,
    /// LIFE-189).
    #[must_use]
    pub fn provision_timeout(&self, runtime: Runtime) -> Duration {
        self.declared(runtime).unwrap_or(match runtime {
            Runtime::Hermes => limits::PROVISION_TIMEOUT_HERMES,
            _ => limits::PROVISION_TIMEOUT,
        })
    }
}

fn declared_by(catalogue: &Catalogue) -> BTreeMap<Runtime, Duration> {
    let mut longest = BTreeMap::new();
    for (_, config) in catalogue.list() {
        let Some(runtime) = Runtime::parse(config.runtime.trim()) else {
            continue;
        };
        let Some(seconds) = u64::try_from(config.runtime_config.provision_timeout_seconds)
            .ok()
            .filter(|s| *s > 0)
        else {
            continue;
        };
        let limit = longest.entry(runtime).or_insert(Duration::ZERO);
        *limit = (*limit).max(Duration::from_secs(seconds));
    }
    longest
}
