use std::{
    ops::Deref,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use molecule_backends::Backend;
use molecule_core::{WorkspaceId, limits, runtime::Allowlist};
use molecule_store::{Store, StoreError, activity::ActivityWriter};
use molecule_templates::{Catalogue, ProvisionTimeouts, orgs::OrgLibrary};

use crate::{
    activity::ActivityLog,
    agents::Agents,
    allowlists::Allowlists,
    audit::Audit,
    canvas::Canvas,
    config::Config,
    credentials::{Credentials, InboundSecrets},
    dial::LiveInstances,
    ground::Ground,
    history::EventHistory,
    lifecycle::Lifecycle,
    messaging::{self, Messenger},
    orgs::{self, Orgs},
    provisioning::{self, Provisioner, RecoverError, Recovered},
    pulses::{Overrides, Pulses},
    registry::{self, Registry},
    secrets::{Keyring, Secrets},
    settings::Settings,
    supervise::LoopStatus,
    templates::Templates,
    workspaces::{self, Workspaces},
};

/// How long a shutdown waits for the activity writer.
const WRITER_END: Duration = Duration::from_secs(2);
/// Where templates are found, first match wins.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// Roots of workspace templates.
    pub templates: Vec<PathBuf>,
    /// Roots of org templates.
    pub orgs: Vec<PathBuf>,
}

/// What a platform is built of.
pub struct Setup {
    /// Settings.
    pub config: Config,
    /// State.
    pub store: Store,
    /// Keys of the secrets.
    pub keyring: Keyring,
    /// Where workspaces run; `None` is the only way to say nowhere.
    pub backend: Option<Arc<dyn Backend>>,
    /// Templates.
    pub paths: Paths,
    /// Runtimes this installation accepts.
    pub allowlist: Allowlist,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

/// Why the services could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Every service, put together. Cheap to clone.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "one field per service")]
pub struct Platform {
    pub credentials: Credentials,
    pub registry: Registry,
    pub messenger: Messenger,
    pub activity: ActivityLog,
    pub agents: Agents,
    pub secrets: Secrets,
    pub settings: Settings,
    pub workspaces: Workspaces,
    pub orgs: Orgs,
    pub templates: Templates,
    pub history: EventHistory,
    pub canvas: Canvas,
    pub provisioner: Provisioner,
    pub audit: Audit,
    pub allowlists: Allowlists,
    ground: Ground,
    pub(crate) writer: ActivityWriter,
    ready: Arc<AtomicBool>,
}

impl Deref for Platform {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl Platform {
    /// Puts the services together. Nothing runs yet: see [`Platform::begin`]. Streams that an earlier server left open
    /// are closed as interrupted here, before a request can open one (D15).
    ///
    /// # Errors
    /// The store could not be read or written.
    pub fn build(setup: Setup) -> BoxFuture<'static, Result<Self, BuildError>> {
        Box::pin(Self::build_inner(setup))
    }

    /// Who is handed what.
    // house: a table
    async fn build_inner(setup: Setup) -> Result<Self, BuildError> {
        let Setup {
            config,
            store,
            keyring,
            backend,
            paths,
            allowlist,
        } = setup;
        close_interrupted(&store).await?;
        let ground = Ground::new(config, store).await?;
        let Ground { config, store, .. } = &ground;
        let credentials = Credentials::new(store.clone(), &config.admin_token);
        let audit = Audit::new(store.clone(), keyring.audit());
        let secrets = Secrets::new(store.clone(), keyring);
        let inbound = InboundSecrets::new(store.clone(), ground.directory.clone(), secrets.clone());
        let pulses = Pulses::new(store.clone());
        let overrides = Overrides::new(ground.changes());
        let lifecycle = Lifecycle::new(ground.clone(), pulses.clone());
        let writer = ActivityWriter::start(store)?;
        let catalogue = Arc::new(Catalogue::new(paths.templates));
        let library = Arc::new(OrgLibrary::new(paths.orgs));
        let allowlist = Arc::new(allowlist);
        let timeouts = Arc::new(ProvisionTimeouts::new((*catalogue).clone(), config.provision_timeout));
        let instances = LiveInstances::new(backend.clone(), ground.changes());
        let provisioner = Provisioner::new(provisioning::Parts {
            ground: ground.clone(),
            lifecycle: lifecycle.clone(),
            credentials: credentials.clone(),
            inbound: inbound.clone(),
            secrets: secrets.clone(),
            pulses: pulses.clone(),
            catalogue: catalogue.clone(),
            allowlist: allowlist.clone(),
            timeouts,
            instances: instances.clone(),
            backend,
        });
        let registry = Registry::new(registry::Parts {
            ground: ground.clone(),
            lifecycle: lifecycle.clone(),
            credentials: credentials.clone(),
            inbound: inbound.clone(),
            provisioner: provisioner.clone(),
            pulses: pulses.clone(),
            overrides: overrides.clone(),
        });
        let messenger = Messenger::new(messaging::Parts {
            ground: ground.clone(),
            writer: writer.clone(),
            credentials: credentials.clone(),
            inbound: inbound.clone(),
            provisioner: provisioner.clone(),
            instances,
            pulses: pulses.clone(),
            overrides: overrides.clone(),
        });
        let workspaces = Workspaces::new(workspaces::Parts {
            ground: ground.clone(),
            lifecycle,
            credentials: credentials.clone(),
            inbound: inbound.clone(),
            secrets: secrets.clone(),
            provisioner: provisioner.clone(),
            catalogue: catalogue.clone(),
            allowlist: allowlist.clone(),
            orgs: library.clone(),
            pulses,
            overrides,
        });
        let orgs = Orgs::new(orgs::Parts {
            ground: ground.clone(),
            inbound,
            secrets: secrets.clone(),
            provisioner: provisioner.clone(),
            catalogue: catalogue.clone(),
            allowlist,
            library,
        });
        Ok(Self {
            activity: ActivityLog::new(&ground, writer.clone()),
            agents: Agents::new(ground.clone()),
            settings: Settings::new(secrets.clone(), provisioner.clone()),
            history: EventHistory::new(ground.store.clone()),
            canvas: Canvas::new(ground.store.clone()),
            audit,
            allowlists: Allowlists::new(ground.store.clone()),
            ground,
            credentials,
            registry,
            messenger,
            secrets,
            workspaces,
            orgs,
            templates: Templates::new(catalogue),
            provisioner,
            writer,
            ready: Arc::default(),
        })
    }

    /// Settles what an earlier server left behind and begins the jobs. Call once requests are served:
    /// agents that are adopted or started talk to the platform at once.
    ///
    /// # Errors
    /// What runs, or ought to run, could not be found out.
    pub fn begin(&self) -> BoxFuture<'_, Result<Recovered, RecoverError>> {
        Box::pin(self.begin_inner())
    }

    async fn begin_inner(&self) -> Result<Recovered, RecoverError> {
        self.start_jobs();
        let recovered = self.provisioner.recover().await?;
        self.start_sweeps();
        self.ready.store(true, Ordering::Release);
        Ok(recovered)
    }

    /// Was what an earlier server left behind settled?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// May a holder whose reach ends at `top` act on `id`? It is `top`, or below it; `top` must be there.
    ///
    /// # Errors
    /// The org chart could not be read.
    pub async fn is_within(&self, top: WorkspaceId, id: WorkspaceId) -> Result<bool, StoreError> {
        self.directory.is_within(top, id).await
    }

    /// Is there no workspace at all, removed ones apart?
    ///
    /// # Errors
    /// The query failed.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.store.workspaces().await?.is_empty())
    }

    /// Activates a job now and waits until that has ended: for tests, which never wait for periods. What is known of it
    /// afterwards; `None` if no job of that name runs.
    pub async fn run_job(&self, name: &str) -> Option<LoopStatus> {
        self.supervisor.run_job(name).await
    }

    /// Tells what workspaces are called, as far as that is at hand: for texts to people, and perhaps a moment old. Holds
    /// nothing of the platform that a shutdown waits for.
    pub fn names(&self) -> impl Fn(WorkspaceId) -> Option<Arc<str>> + Send + Sync + use<> {
        self.directory.names()
    }

    /// Drains work in flight, stores what is only in memory and closes the store. `false`: something did not end in
    /// time.
    pub fn shutdown(self) -> BoxFuture<'static, bool> {
        Box::pin(self.shutdown_inner())
    }

    async fn shutdown_inner(self) -> bool {
        let drained = self.supervisor.shutdown(limits::SHUTDOWN_DRAIN).await;
        self.messenger.flush_outbound().await;
        if let Err(error) = self.registry.flush().await {
            tracing::error!(%error, "last beats not stored");
        }
        let (writer, store) = (self.writer.clone(), self.store.clone());
        // The writer ends with its last handle, and the services hold some.
        drop(self);
        if tokio::time::timeout(WRITER_END, writer.finish()).await.is_err() {
            // Whoever recorded a row has waited for it; nothing is lost.
            tracing::warn!("something still holds the activity writer");
        }
        if let Err(error) = store.close().await {
            tracing::warn!(%error, "store not closed cleanly");
        }
        drained
    }
}

async fn close_interrupted(store: &Store) -> Result<(), StoreError> {
    let rows = store.close_interrupted_activity().await?;
    if rows > 0 {
        tracing::warn!(
            rows,
            "streams that a stopped server left open were closed as interrupted"
        );
    }
    Ok(())
}
