use std::path::PathBuf;

use futures_util::future::BoxFuture;
use molecule_core::{
    Runtime, Word, WorkspaceId, WorkspaceStatus,
    model::Origin,
    netguard::Refusal,
    validate::{self, WorkspaceAccess},
    vocabulary::Vocabulary,
};
use molecule_store::{StoreError, secrets::NewSecret, workspaces::NewLayout};
use molecule_templates::{CreateSource, choose_create};
use molecule_wire::workspaces::{CreateWorkspace, CreatedWorkspace};
use serde_json::json;

use super::{Workspaces, connection};
use crate::{
    dial,
    draft::{Contact, Draft, Outline},
    provisioning::StartFiles,
    secrets::SecretError,
};

/// Why a workspace was not created (LIFE §5). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Bad JSON, or no name.
    #[error("invalid workspace payload")]
    BadPayload,
    /// A field that is too long or has forbidden characters; `detail` says which.
    #[error("invalid workspace fields")]
    BadFields {
        /// Field and rule.
        detail: String,
    },
    /// The template escapes the catalogue.
    #[error("invalid template")]
    BadTemplate,
    /// A forbidden directory.
    #[error("invalid workspace directory")]
    BadDirectory,
    /// Unknown access, or access without a directory.
    #[error("invalid workspace access")]
    BadAccess,
    /// Neither `push` nor `poll`.
    #[error("delivery_mode must be 'push' or 'poll'")]
    BadMode,
    /// Negative budget.
    #[error("budget_limit must not be negative")]
    BadBudget,
    /// The external agent's URL may not be dialled (OP-16).
    #[error("{0}")]
    BadUrl(#[source] Refusal),
    /// Not a UUID, or no such workspace (OP-16).
    #[error("parent_id does not name a workspace")]
    BadParent,
    /// A secret's key cannot be an environment variable (PROV-O9).
    #[error("invalid secret key: {0}")]
    BadSecretKey(String),
    /// A secret's value cannot be one.
    #[error("invalid secret value: {0}")]
    BadSecretValue(String),
    /// A secret could not be sealed.
    #[error("failed to encrypt secret: {0}")]
    Encrypt(String),
    /// The store failed.
    #[error("failed to create workspace")]
    Store(#[source] StoreError),
}

/// A validated request.
struct Checked {
    outline: Outline,
    runtime: Runtime,
    source: CreateSource,
    url: Option<String>,
}

impl Workspaces {
    /// Creates a workspace and, unless it is external, begins its start (LIFE-63…76). All validation precedes any
    /// effect; row, secrets and events are one transaction.
    ///
    /// # Errors
    /// [`CreateError`]; nothing changed.
    pub fn create<'a>(
        &'a self,
        request: CreateWorkspace,
        base_url: &'a str,
    ) -> BoxFuture<'a, Result<CreatedWorkspace, CreateError>> {
        Box::pin(self.create_inner(request, base_url))
    }

    async fn create_inner(&self, request: CreateWorkspace, base_url: &str) -> Result<CreatedWorkspace, CreateError> {
        let checked = self.check(&request).await?;
        if checked.runtime == Runtime::External {
            return self.create_external(checked, base_url).await;
        }
        let Checked {
            outline,
            runtime,
            source,
            ..
        } = checked;
        let (id, access) = (outline.id, outline.workspace_access);
        let config = json!({
            "name": outline.name, "runtime": runtime, "model": outline.model, "tier": outline.tier(),
            "template": outline.template,
        });
        self.insert(Draft::managed(outline, runtime, &start_files(&source)))
            .await?;
        if !self.inner.provisioner.has_backend() {
            // The Config tab renders all the same (LIFE-70).
            if let Err(error) = self.inner.store.put_workspace_config(id, &config).await {
                tracing::error!(workspace = %id, %error, "workspace config not stored");
            }
        }
        self.inner.provisioner.start(id);
        Ok(CreatedWorkspace {
            id,
            status: WorkspaceStatus::Provisioning,
            awareness_namespace: Some(format!("workspace:{id}")),
            workspace_access: Some(access),
            external: None,
            connection: None,
        })
    }

    /// Nothing is provisioned (LIFE-72…76).
    async fn create_external(&self, checked: Checked, base_url: &str) -> Result<CreatedWorkspace, CreateError> {
        let id = checked.outline.id;
        // Minted with the row: a workspace nobody can connect to would be of no use.
        let (contact, token) = match checked.url {
            Some(url) => (Contact::At(url), None),
            None => {
                let (token, stored) = self.inner.credentials.prepare().map_err(CreateError::Store)?;
                (Contact::Awaited(Some(stored)), Some(token))
            }
        };
        let draft = Draft::external(checked.outline, contact, self.inner.inbound.fresh());
        let status = draft.status();
        self.insert(draft).await?;
        Ok(CreatedWorkspace {
            id,
            status,
            awareness_namespace: None,
            workspace_access: None,
            external: Some(true),
            connection: token.map(|token| connection::connection(id, base_url, Some(&token))),
        })
    }

    async fn insert(&self, draft: Draft) -> Result<(), CreateError> {
        draft.insert(&self.inner.ground).await.map_err(|error| match error {
            StoreError::UnknownParent => CreateError::BadParent,
            other => CreateError::Store(other),
        })
    }

    async fn check(&self, request: &CreateWorkspace) -> Result<Checked, CreateError> {
        if request.name.is_empty() {
            return Err(CreateError::BadPayload);
        }
        let name = check_fields(request)?;
        let delivery_mode = said(request.delivery_mode.as_ref()).ok_or(CreateError::BadMode)?;
        let (workspace_dir, workspace_access) = check_mount(request)?;
        let parent_id = self.check_parent(request).await?;
        let (runtime, model, source) = self.resolve_template(request)?;
        let url = request
            .url
            .clone()
            .filter(|url| !url.is_empty() && runtime == Runtime::External);
        if let Some(url) = &url {
            dial::check(url, self.inner.config.netguard)
                .await
                .map_err(CreateError::BadUrl)?;
        }
        let secrets = self.secrets(request, model.as_deref())?;
        let canvas = request.canvas.unwrap_or_default();
        let outline = Outline {
            role: request.role.clone(),
            tier: request.tier,
            parent: parent_id,
            template: request.template.clone(),
            model,
            delivery_mode,
            workspace_dir,
            workspace_access,
            budget_limit: request.budget_limit,
            max_concurrent_tasks: request.max_concurrent_tasks.unwrap_or(1),
            layout: NewLayout {
                x: canvas.x,
                y: canvas.y,
            },
            secrets,
            ..Outline::new(WorkspaceId::random(), name)
        };
        Ok(Checked {
            outline,
            runtime,
            source,
            url,
        })
    }

    async fn check_parent(&self, request: &CreateWorkspace) -> Result<Option<WorkspaceId>, CreateError> {
        let Some(parent) = request.parent_id.as_deref().filter(|parent| !parent.is_empty()) else {
            return Ok(None);
        };
        let id: WorkspaceId = parent.parse().map_err(|_| CreateError::BadParent)?;
        match self.inner.directory.route(id).await.map_err(CreateError::Store)? {
            Some(route) if route.status != WorkspaceStatus::Removed => Ok(Some(id)),
            _ => Err(CreateError::BadParent),
        }
    }

    /// Template containment is checked whenever one is named (LIFE-64); what the request leaves open comes from it
    /// (LIFE-65).
    fn resolve_template(
        &self,
        request: &CreateWorkspace,
    ) -> Result<(Runtime, Option<String>, CreateSource), CreateError> {
        let catalogue = &self.inner.catalogue;
        let asked = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let template = asked(&request.template);
        let found = match &template {
            Some(name) => catalogue.resolve(name).map_err(|_| CreateError::BadTemplate)?,
            None => None,
        };
        let defaults = found
            .as_ref()
            .map(|found| catalogue.defaults(found))
            .unwrap_or_default();
        let runtime = if request.external {
            Runtime::External
        } else {
            let asked = request.runtime.clone().filter(|runtime| !runtime.is_empty());
            let runtime = asked.or(defaults.runtime.map(Word::from)).unwrap_or_default();
            self.inner.provisioner.runtime(&runtime)
        };
        let model = asked(&request.model).or(defaults.model);
        let source = choose_create(catalogue, template.as_deref(), runtime).map_err(|_| CreateError::BadTemplate)?;
        Ok((runtime, model, source))
    }

    /// Given secrets plus model and provider; an explicit `LLM_PROVIDER` is kept, `model` wins (PROV-O10).
    fn secrets(&self, request: &CreateWorkspace, model: Option<&str>) -> Result<Vec<NewSecret>, CreateError> {
        let given = request.secrets.clone().unwrap_or_default();
        let mut secrets = Vec::new();
        for (key, value) in &given {
            secrets.push(
                self.inner
                    .secrets
                    .prepare(key, value, Origin::Set)
                    .map_err(|error| match error {
                        SecretError::InvalidKey => CreateError::BadSecretKey(key.clone()),
                        SecretError::InvalidValue => CreateError::BadSecretValue(key.clone()),
                        _ => CreateError::Encrypt(key.clone()),
                    })?,
            );
        }
        if let Some(model) = model {
            let derived = self
                .inner
                .secrets
                .model_secrets(model, given.contains_key("LLM_PROVIDER"));
            secrets.extend(derived.map_err(|error| match error {
                SecretError::InvalidSetting(field) => bad_field(&field),
                _ => CreateError::Encrypt("MODEL_PROVIDER".to_owned()),
            })?);
        }
        Ok(secrets)
    }
}

fn bad_field(error: &validate::InvalidField) -> CreateError {
    CreateError::BadFields { detail: error.detail() }
}

/// What the row holds; the model is checked where it becomes a secret. Returns the name as it is kept.
fn check_fields(request: &CreateWorkspace) -> Result<&str, CreateError> {
    let bad = |error| bad_field(&error);
    let name = validate::name(&request.name).map_err(bad)?;
    validate::role(request.role.as_deref().unwrap_or_default()).map_err(bad)?;
    validate::runtime(request.runtime.as_ref().map_or("", Word::as_str)).map_err(bad)?;
    if request.budget_limit.is_some_and(|limit| limit < 0) {
        return Err(CreateError::BadBudget);
    }
    Ok(name)
}

/// A word that may be left out or empty. `None`: it is not of its vocabulary.
fn said<T: Vocabulary>(word: Option<&Word<T>>) -> Option<Option<T>> {
    word.map_or(Some(None), |word| word.said().ok())
}

fn check_mount(request: &CreateWorkspace) -> Result<(Option<PathBuf>, WorkspaceAccess), CreateError> {
    let dir = match request.workspace_dir.as_deref().filter(|dir| !dir.is_empty()) {
        None => None,
        Some(dir) => Some(validate::workspace_dir(dir).ok_or(CreateError::BadDirectory)?),
    };
    let access = said(request.workspace_access.as_ref()).ok_or(CreateError::BadAccess)?;
    let access = access.unwrap_or_default();
    if access != WorkspaceAccess::None && dir.is_none() {
        return Err(CreateError::BadAccess);
    }
    Ok((dir, access))
}

fn start_files(source: &CreateSource) -> StartFiles {
    match source {
        CreateSource::Template(found) => StartFiles::Given {
            template_dir: Some(found.dir.clone()),
            files: std::collections::BTreeMap::new(),
        },
        CreateSource::Generated => StartFiles::Generated,
    }
}
