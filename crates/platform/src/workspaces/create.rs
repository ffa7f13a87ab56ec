use std::path::PathBuf;

use molecule_core::{
    DeliveryMode, EventType, Runtime, WorkspaceId, WorkspaceStatus,
    credential::PlainToken,
    netguard::{Check, Refusal},
    validate::{self, WorkspaceAccess},
};
use molecule_store::{
    StoreError,
    events::NewEvent,
    secrets::{NewSecret, Origin},
    tokens::NewToken,
    workspaces::{NewLayout, NewWorkspace},
};
use molecule_templates::{CreateSource, choose_create};
use molecule_wire::workspaces::{CreateWorkspace, CreatedWorkspace};
use serde_json::json;

use super::{Workspaces, connection};
use crate::{dial, lifecycle, provisioning::StartFiles, secrets::SecretError};

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
struct Draft {
    name: String,
    role: Option<String>,
    tier: i32,
    runtime: Runtime,
    model: Option<String>,
    template: Option<String>,
    source: CreateSource,
    delivery_mode: Option<DeliveryMode>,
    workspace_dir: Option<PathBuf>,
    access: WorkspaceAccess,
    parent_id: Option<WorkspaceId>,
    url: Option<String>,
    secrets: Vec<NewSecret>,
}

/// Tier of a workspace that asks for none (D20).
const DEFAULT_TIER: i32 = 2;

impl Workspaces {
    /// Creates a workspace and, unless it is external, begins its start (LIFE-63…76). All validation precedes any
    /// effect; row, secrets and event are one transaction.
    ///
    /// # Errors
    /// [`CreateError`]; nothing changed.
    pub async fn create(&self, request: CreateWorkspace, base_url: &str) -> Result<CreatedWorkspace, CreateError> {
        let draft = self.validate(&request).await?;
        let id = WorkspaceId::random();
        if draft.runtime == Runtime::External {
            return self.create_external(id, draft, &request, base_url).await;
        }
        let access = draft.access;
        let files = start_files(&draft.source).stored();
        let config = json!({
            "name": draft.name, "runtime": draft.runtime, "model": draft.model, "tier": draft.tier,
            "template": draft.template,
        });
        let mut payload = json!({ "name": draft.name, "tier": draft.tier, "runtime": draft.runtime });
        // Where known (PROV-9a).
        for (key, value) in [("model", &draft.model), ("template", &draft.template)] {
            if let Some(value) = value {
                payload[key] = json!(value);
            }
        }
        let event = NewEvent {
            event: EventType::WorkspaceProvisioning,
            workspace_id: id,
            payload,
        };
        let new = NewWorkspace {
            start_files: files,
            ..new_row(id, draft, &request, WorkspaceStatus::Provisioning, vec![event], None)
        };
        self.insert(new).await?;
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
    async fn create_external(
        &self,
        id: WorkspaceId,
        draft: Draft,
        request: &CreateWorkspace,
        base_url: &str,
    ) -> Result<CreatedWorkspace, CreateError> {
        let name = draft.name.clone();
        let has_url = draft.url.is_some();
        let (status, event) = if has_url {
            (
                WorkspaceStatus::Online,
                lifecycle::online(id, json!({ "name": name, "external": true })),
            )
        } else {
            (WorkspaceStatus::AwaitingAgent, lifecycle::awaiting_agent(id, &name))
        };
        // Minted with the row: a workspace nobody can connect to would be of no use.
        let minted: Option<(PlainToken, NewToken)> = if has_url {
            None
        } else {
            Some(self.inner.credentials.prepare().map_err(CreateError::Store)?)
        };
        let (token, stored) = minted.unzip();
        self.insert(new_row(id, draft, request, status, vec![event], stored))
            .await?;
        let base = self.inner.config.external_platform_url.as_deref().unwrap_or(base_url);
        Ok(CreatedWorkspace {
            id,
            status,
            awareness_namespace: None,
            workspace_access: None,
            external: Some(true),
            connection: (!has_url).then(|| connection::connection(id, base, token.as_ref())),
        })
    }

    async fn insert(&self, new: NewWorkspace) -> Result<(), CreateError> {
        let seq = self
            .inner
            .store
            .create_workspace(new)
            .await
            .map_err(|error| match error {
                StoreError::UnknownParent => CreateError::BadParent,
                other => CreateError::Store(other),
            })?;
        self.inner.events.passed(seq).await;
        Ok(())
    }

    async fn validate(&self, request: &CreateWorkspace) -> Result<Draft, CreateError> {
        if request.name.is_empty() {
            return Err(CreateError::BadPayload);
        }
        check_fields(request)?;
        let delivery_mode = match request.delivery_mode.as_deref().filter(|mode| !mode.is_empty()) {
            None => None,
            Some(mode) => Some(DeliveryMode::parse(mode).ok_or(CreateError::BadMode)?),
        };
        let (workspace_dir, access) = check_mount(request)?;
        let parent_id = self.check_parent(request).await?;
        let (runtime, model, source) = self.resolve_template(request)?;
        let url = request
            .url
            .clone()
            .filter(|url| !url.is_empty() && runtime == Runtime::External);
        if let Some(url) = &url {
            dial::check(url, Check::Registration, self.inner.config.netguard)
                .await
                .map_err(CreateError::BadUrl)?;
        }
        let secrets = self.secrets(request, model.as_deref())?;
        // Storing `push` for an external row that did not ask for it would defeat its poll default (LIFE-76).
        let delivery_mode =
            delivery_mode.or_else(|| (runtime != Runtime::External || url.is_some()).then_some(DeliveryMode::Push));
        Ok(Draft {
            name: request.name.clone(),
            role: request.role.clone().filter(|role| !role.is_empty()),
            tier: request.tier.filter(|tier| *tier != 0).unwrap_or(DEFAULT_TIER),
            runtime,
            model,
            template: request.template.clone(),
            source,
            delivery_mode,
            workspace_dir,
            access,
            parent_id,
            url,
            secrets,
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
            let text = asked(&request.runtime).or(defaults.runtime).unwrap_or_default();
            self.inner.provisioner.runtime(&text)
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
    CreateError::BadFields {
        detail: error.to_string(),
    }
}

/// What the row holds; the model is checked where it becomes a secret.
fn check_fields(request: &CreateWorkspace) -> Result<(), CreateError> {
    let bad = |error| bad_field(&error);
    validate::name(&request.name).map_err(bad)?;
    validate::role(request.role.as_deref().unwrap_or_default()).map_err(bad)?;
    validate::runtime(request.runtime.as_deref().unwrap_or_default()).map_err(bad)?;
    if request.budget_limit.is_some_and(|limit| limit < 0) {
        return Err(CreateError::BadBudget);
    }
    Ok(())
}

fn check_mount(request: &CreateWorkspace) -> Result<(Option<PathBuf>, WorkspaceAccess), CreateError> {
    let dir = match request.workspace_dir.as_deref().filter(|dir| !dir.is_empty()) {
        None => None,
        Some(dir) => Some(validate::workspace_dir(dir).ok_or(CreateError::BadDirectory)?),
    };
    let access = match request.workspace_access.as_deref().filter(|access| !access.is_empty()) {
        None => WorkspaceAccess::None,
        Some(access) => WorkspaceAccess::parse(access).ok_or(CreateError::BadAccess)?,
    };
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

fn new_row(
    id: WorkspaceId,
    draft: Draft,
    request: &CreateWorkspace,
    status: WorkspaceStatus,
    events: Vec<NewEvent>,
    token: Option<NewToken>,
) -> NewWorkspace {
    let canvas = request.canvas.unwrap_or_default();
    NewWorkspace {
        id,
        name: draft.name,
        role: draft.role,
        tier: draft.tier,
        runtime: draft.runtime.as_str().to_owned(),
        status,
        parent_id: draft.parent_id,
        template: draft.template,
        agent_card: None,
        url: draft.url.unwrap_or_default(),
        delivery_mode: draft.delivery_mode,
        workspace_dir: draft.workspace_dir.map(|dir| dir.to_string_lossy().into_owned()),
        workspace_access: draft.access,
        budget_limit: request.budget_limit,
        max_concurrent_tasks: request.max_concurrent_tasks.filter(|tasks| *tasks > 0).unwrap_or(1),
        start_files: None,
        inbound_secret: None,
        layout: NewLayout {
            x: canvas.x,
            y: canvas.y,
        },
        secrets: draft.secrets,
        token,
        events,
    }
}
