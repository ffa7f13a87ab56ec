use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use futures_util::future::BoxFuture;
use molecule_core::{Runtime, Word, WorkspaceId, WorkspaceStatus, limits, model::Origin, runtime::Allowlist};
use molecule_store::{StoreError, secrets::NewSecret, workspaces::NewLayout};
use molecule_templates::{
    Catalogue,
    orgs::{
        EnvRequirement, ImportOverrides, NodePlan, OrgErrorKind, OrgLibrary, OrgPlan, OrgTemplate, OrgYamlError,
        PlanContext, Point, config_files,
    },
};
use molecule_wire::orgs::{IfExists, ImportOrg, ImportedOrg, ImportedWorkspace, MissingEnv, OrgTemplateView};
use secrecy::ExposeSecret;
use serde_json::{Value, value::RawValue};
use tokio::sync::Semaphore;

use crate::{
    credentials::InboundSecrets,
    draft::{Contact, Draft, Outline},
    ground::Ground,
    provisioning::{Provisioner, StartFiles},
    secrets::{SecretError, Secrets},
};

/// Why nothing was imported (PROV-133). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Neither `dir` nor `template`, or one without a name.
    #[error("provide 'dir' or 'template'")]
    NothingGiven,
    /// What was sent in place of a template is none.
    #[error("invalid request body")]
    Unreadable(#[source] OrgYamlError),
    /// The path leaves the library.
    #[error("invalid org directory")]
    BadDirectory,
    /// `!include` failed.
    #[error("org template expansion failed")]
    Expansion(#[source] OrgYamlError),
    /// Not the shape of an organisation.
    #[error("invalid org template")]
    BadTemplate(#[source] OrgYamlError),
    /// No such template.
    #[error("org template not found: {0}")]
    NotFound(String),
    /// An unknown runtime in the request.
    #[error("unknown runtime: {0}")]
    BadRuntime(String),
    /// Root workspaces of that name are there, and the request asks for a refusal then.
    #[error("the organisation is already there")]
    Exists(Vec<String>),
    /// What is there already could not be found out.
    #[error("lookup failed")]
    Store(#[from] StoreError),
    /// Required environment that nobody set; nothing was created (PROV-134).
    #[error("missing required environment variables")]
    MissingEnv(Box<MissingEnv>),
    /// Whether it is set could not be found out (PROV-133).
    #[error("could not verify required environment variables; try again")]
    Unverified(#[source] SecretError),
}

/// Imports organisations. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Orgs {
    pub(super) inner: Arc<Parts>,
}

/// What the service is made of.
#[derive(Debug)]
#[allow(missing_docs, reason = "one field per service it uses")]
pub struct Parts {
    pub ground: Ground,
    pub inbound: InboundSecrets,
    pub secrets: Secrets,
    pub provisioner: Provisioner,
    pub catalogue: Arc<Catalogue>,
    pub allowlist: Arc<Allowlist>,
    pub library: Arc<OrgLibrary>,
}

impl Deref for Parts {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

/// Room for the number that tells an organisation from another of its name.
const NUMBER_CHARS: usize = 21;

/// How one node failed; ends the walk (PROV-140).
struct Stopped(String);

/// What an import is made of, before anything is created.
struct Prepared {
    template: OrgTemplate,
    label: String,
    overrides: ImportOverrides,
    plan: Result<OrgPlan, OrgYamlError>,
}

struct Walk {
    created: Vec<ImportedWorkspace>,
    slots: Arc<Semaphore>,
}

impl Orgs {
    /// Puts the service together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(parts) }
    }

    /// Templates that can be imported (PROV-131).
    #[must_use]
    pub fn templates(&self) -> Vec<OrgTemplateView> {
        let summaries = self.inner.library.list();
        summaries
            .into_iter()
            .map(|org| OrgTemplateView {
                dir: org.dir,
                name: org.name,
                description: org.description,
                workspaces: org.workspaces,
                required_env: wire(&org.required_env),
                recommended_env: wire(&org.recommended_env),
            })
            .collect()
    }

    /// Creates every workspace of a template, parents first, and begins their starts (PROV-133…150). Stops at the
    /// first node that cannot be created; `error` then says why, and earlier ones stay.
    ///
    /// # Errors
    /// [`ImportError`]; nothing was created.
    pub fn import(&self, request: ImportOrg) -> BoxFuture<'_, Result<ImportedOrg, ImportError>> {
        Box::pin(self.import_inner(request))
    }

    async fn import_inner(&self, request: ImportOrg) -> Result<ImportedOrg, ImportError> {
        let if_exists = request.if_exists;
        let orgs = self.clone();
        // Reads files, or takes megabytes of a document apart.
        let read = tokio::task::spawn_blocking(move || orgs.prepare(&request)).await;
        let prepared = read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let Prepared {
            template,
            label,
            overrides,
            plan,
        } = prepared;
        // First what the operator has to bring, which no change of the template mends.
        self.preflight(&template, plan.as_ref().ok(), &overrides, &label)
            .await?;
        let mut plan = plan.map_err(|error| classify(error, &label))?;
        self.settle_repetition(&mut plan, if_exists).await?;
        if let Some(parts) = left_out(&plan) {
            tracing::warn!(
                org = plan.name,
                parts,
                "the template names parts that this build does not set up"
            );
        }
        Ok(self.create_all(&plan).await)
    }

    fn prepare(&self, request: &ImportOrg) -> Result<Prepared, ImportError> {
        let overrides = overrides(request)?;
        let (template, label) = self.read(request)?;
        let process_env = |name: &str| std::env::var(name).ok();
        let plan = template.plan(PlanContext {
            allowlist: &self.inner.allowlist,
            catalogue: &self.inner.catalogue,
            plugins: None,
            process_env: &process_env,
            overrides: &overrides,
        });
        Ok(Prepared {
            template,
            label,
            overrides,
            plan,
        })
    }

    fn read(&self, request: &ImportOrg) -> Result<(OrgTemplate, String), ImportError> {
        match (&request.dir, &request.template) {
            // What is no document is told so, though a directory is named as well.
            (Some(dir), template) if !dir.is_empty() && template.as_deref().is_none_or(is_object) => {
                let template = self.inner.library.open(dir).map_err(|error| classify(error, dir))?;
                Ok((template, dir.clone()))
            }
            (_, Some(template)) => {
                let template = OrgTemplate::inline(template.get())
                    .map_err(|error| classify(error, "inline"))?
                    .ok_or(ImportError::NothingGiven)?;
                let label = template.document.name.clone();
                Ok((template, label))
            }
            _ => Err(ImportError::NothingGiven),
        }
    }

    /// An organisation that is imported once more stands beside the first; whoever asks can have it refused or told
    /// apart instead.
    async fn settle_repetition(&self, plan: &mut OrgPlan, wanted: IfExists) -> Result<(), ImportError> {
        if wanted == IfExists::Create {
            return Ok(());
        }
        let rows = self.inner.store.workspaces().await?;
        let taken: BTreeSet<&str> = rows
            .iter()
            .filter(|row| row.parent_id.is_none() && row.status != WorkspaceStatus::Removed)
            .map(|row| row.name.as_str())
            .collect();
        let there = plan.roots.iter().filter(|root| taken.contains(root.name.as_str()));
        match wanted {
            IfExists::Create => Ok(()),
            IfExists::Refuse => {
                let there: Vec<String> = there.map(|root| root.name.clone()).collect();
                if there.is_empty() {
                    Ok(())
                } else {
                    Err(ImportError::Exists(there))
                }
            }
            IfExists::Number => {
                plan.roots
                    .iter_mut()
                    .for_each(|root| root.name = free_name(&root.name, &taken));
                Ok(())
            }
        }
    }

    async fn create_all(&self, plan: &OrgPlan) -> ImportedOrg {
        let mut walk = Walk {
            created: Vec::with_capacity(plan.count()),
            slots: Arc::new(Semaphore::new(self.inner.config.provision_concurrency)),
        };
        let mut error = None;
        for root in &plan.roots {
            if let Err(Stopped(reason)) = self.create_tree(root, None, &mut walk).await {
                tracing::error!(org = plan.name, reason, "import stopped");
                error = Some(reason);
                break;
            }
        }
        ImportedOrg {
            org: plan.name.clone(),
            count: walk.created.len(),
            workspaces: walk.created,
            error,
        }
    }

    /// A node, then its children, depth first.
    async fn create_tree(&self, node: &NodePlan, parent: Option<WorkspaceId>, walk: &mut Walk) -> Result<(), Stopped> {
        let id = self.create_node(node, parent).await?;
        walk.created.push(ImportedWorkspace {
            id,
            name: node.name.clone(),
            tier: node.tier,
        });
        if node.runtime != Runtime::External {
            self.begin(id, &walk.slots).await;
        }
        for child in &node.children {
            Box::pin(self.create_tree(child, Some(id), walk)).await?;
            tokio::time::sleep(self.inner.config.import_pause).await;
        }
        Ok(())
    }

    /// A slot is taken before the start is spawned and freed when it has ended (PROV-139).
    async fn begin(&self, id: WorkspaceId, slots: &Arc<Semaphore>) {
        let permit = slots.clone().acquire_owned().await.ok();
        let started = self.inner.provisioner.start(id);
        tokio::spawn(async move {
            // A panic was logged by the supervisor; the slot is freed either way.
            started.await.ok();
            drop(permit);
        });
    }

    async fn create_node(&self, node: &NodePlan, parent: Option<WorkspaceId>) -> Result<WorkspaceId, Stopped> {
        let mount = node
            .mount()
            .map_err(|error| Stopped(format!("workspace {}: {error}", node.name)))?;
        let failed = |reason: &dyn std::fmt::Display| {
            tracing::error!(workspace = node.name, %reason, "import node not created");
            Stopped(format!("failed to create {}", node.name))
        };
        let id = WorkspaceId::random();
        let outline = Outline {
            role: Some(node.role.clone()),
            tier: Some(node.tier),
            parent,
            workspace_dir: mount.dir,
            workspace_access: mount.access,
            max_concurrent_tasks: node.max_concurrent_tasks,
            layout: layout(node.position),
            offset: Some(layout(node.offset)),
            secrets: self.secrets(node).map_err(|error| failed(&error))?,
            ..Outline::new(id, node.name.as_str())
        };
        let external = |outline, contact| Draft::external(outline, contact, self.inner.inbound.fresh());
        let draft = match (node.runtime, &node.url) {
            (Runtime::External, Some(url)) => external(outline, Contact::At(url.clone())),
            (Runtime::External, None) => external(outline, Contact::Awaited(None)),
            (runtime, _) => Draft::managed(outline, runtime, &start_files(node)),
        };
        draft.insert(&self.inner.ground).await.map_err(|error| failed(&error))?;
        Ok(id)
    }

    /// The template's `.env` plus model and provider, so that the second boot knows them too (PROV-146, PROV-O6).
    fn secrets(&self, node: &NodePlan) -> Result<Vec<NewSecret>, SecretError> {
        let mut secrets = Vec::new();
        for (key, value) in &node.env {
            secrets.push(self.inner.secrets.prepare(key, value.expose_secret(), Origin::Set)?);
        }
        if let Some(model) = &node.model {
            secrets.extend(
                self.inner
                    .secrets
                    .model_secrets(model, node.env.contains_key("LLM_PROVIDER"))?,
            );
        }
        Ok(secrets)
    }
}

fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

fn start_files(node: &NodePlan) -> StartFiles {
    StartFiles::Given {
        template_dir: node.template_dir.clone(),
        files: config_files(node),
    }
}

/// The name, or the first of `Name 2`, `Name 3`… that is free.
fn free_name(name: &str, taken: &BTreeSet<&str>) -> String {
    if !taken.contains(name) {
        return name.to_owned();
    }
    let base: String = name.chars().take(limits::NAME_CHARS - NUMBER_CHARS).collect();
    (2..)
        .map(|n: u64| format!("{} {n}", base.trim_end()))
        .find(|name| !taken.contains(name.as_str()))
        .unwrap_or(base)
}

fn layout(at: Point) -> NewLayout {
    NewLayout { x: at.x, y: at.y }
}

/// What a plan holds that has no home here, so that nobody waits for it.
fn left_out(plan: &OrgPlan) -> Option<String> {
    fn visit(node: &NodePlan, found: &mut BTreeSet<&'static str>) {
        let parts = [
            ("memories", node.memories.is_empty()),
            ("schedules", node.schedules.is_empty()),
            ("channels", node.channels.is_empty()),
            ("plugins", node.plugins.is_empty()),
        ];
        found.extend(parts.into_iter().filter(|(_, empty)| !empty).map(|(name, _)| name));
        node.children.iter().for_each(|child| visit(child, found));
    }
    let mut found = BTreeSet::new();
    if !plan.global_memories.is_empty() {
        found.insert("memories");
    }
    plan.roots.iter().for_each(|root| visit(root, &mut found));
    (!found.is_empty()).then(|| found.into_iter().collect::<Vec<_>>().join(", "))
}

fn overrides(request: &ImportOrg) -> Result<ImportOverrides, ImportError> {
    let runtime = request.runtime.as_ref().map(Word::said).transpose();
    let runtime = runtime.map_err(|name| ImportError::BadRuntime(name.to_owned()))?;
    Ok(ImportOverrides {
        runtime: runtime.flatten(),
        model: request.model.clone().filter(|model| !model.is_empty()),
    })
}

fn classify(error: OrgYamlError, label: &str) -> ImportError {
    tracing::warn!(org = label, %error, "org template refused");
    match error.kind() {
        OrgErrorKind::NotFound => ImportError::NotFound(label.to_owned()),
        OrgErrorKind::InvalidDirectory => ImportError::BadDirectory,
        OrgErrorKind::Unreadable => ImportError::Unreadable(error),
        OrgErrorKind::Expansion => ImportError::Expansion(error),
        OrgErrorKind::InvalidTemplate => ImportError::BadTemplate(error),
    }
}

pub(super) fn wire(requirements: &[EnvRequirement]) -> Vec<Value> {
    requirements
        .iter()
        .map(|need| serde_json::to_value(need).unwrap_or_default())
        .collect()
}
