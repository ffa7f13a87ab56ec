//! What an operator has to bring before an organisation can work (PROV-134, PROV-135).

use molecule_core::Runtime;
use molecule_templates::orgs::{
    EnvRequirement, ImportOverrides, NodePlan, OrgPlan, OrgTemplate, Requirements, aggregate,
};
use molecule_wire::orgs::MissingEnv;

use super::import::{ImportError, Orgs, wire};

impl Orgs {
    /// Configured means a global secret with a value; there is no way round it (PROV-134, PROV-135, PROV-165). Beside
    /// what the template requires this is a credential of each runtime that would not work without one.
    ///
    /// # Errors
    /// Something is missing, or it could not be found out.
    pub(super) async fn preflight(
        &self,
        template: &OrgTemplate,
        plan: Option<&OrgPlan>,
        overrides: &ImportOverrides,
        label: &str,
    ) -> Result<(), ImportError> {
        let Requirements { mut required, .. } = aggregate(&template.document);
        for need in plan.map_or_else(Vec::new, |plan| self.runtime_needs(plan, overrides)) {
            if !required.iter().any(|stated| stated.implies(&need)) {
                required.push(need);
            }
        }
        if required.is_empty() {
            return Ok(());
        }
        let secrets = &self.inner.secrets;
        let configured = secrets.configured().await.map_err(ImportError::Unverified)?;
        let missing: Vec<EnvRequirement> = required
            .iter()
            .filter(|need| !need.is_met(|name| configured.contains(name)))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ImportError::MissingEnv(Box::new(MissingEnv {
            error: "missing required environment variables".to_owned(),
            missing_env: wire(&missing),
            required_env: wire(&required),
            template: label.to_owned(),
            suggestion: "store them as global secrets with POST /settings/secrets, then import again".to_owned(),
        })))
    }

    /// One credential for each runtime that has a choice of them, unless every workspace on it brings its own: for the
    /// runtime that the request asks for, and for `native`, whose agents do not even start without. Clients of the other
    /// runtimes import first and give each workspace its key afterwards.
    fn runtime_needs(&self, plan: &OrgPlan, overrides: &ImportOverrides) -> Vec<EnvRequirement> {
        let mut runtimes: Vec<Runtime> = overrides.runtime.into_iter().chain([Runtime::Native]).collect();
        runtimes.dedup();
        runtimes
            .into_iter()
            .filter_map(|runtime| {
                let names = self.inner.catalogue.credentials(runtime);
                let lacks = plan.roots.iter().any(|root| lacks(root, runtime, &names));
                (lacks && !names.is_empty()).then(|| EnvRequirement::one_of(names))
            })
            .collect()
    }
}

/// Is there a workspace on that runtime, here or below, that brings none of these?
fn lacks(node: &NodePlan, runtime: Runtime, names: &[String]) -> bool {
    let here = node.runtime == runtime && !names.iter().any(|name| node.env.contains_key(name));
    here || node.children.iter().any(|child| lacks(child, runtime, names))
}
