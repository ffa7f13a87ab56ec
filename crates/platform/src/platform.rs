use std::{
    ops::Deref,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use molecule_backends::Backend;
use molecule_core::{limits, runtime::Allowlist};
use molecule_store::{DbError, Store, StoreError, Trim, WalTrimmer, activity::ActivityWriter, now};
use molecule_templates::{Catalogue, ProvisionTimeouts, orgs::OrgLibrary};

use crate::{
    activity::ActivityLog,
    config::Config,
    credentials::{Credentials, InboundSecrets},
    dial::LiveInstances,
    ground::Ground,
    history::EventHistory,
    lifecycle::Lifecycle,
    messaging::{self, Messenger},
    orgs::{self, Orgs},
    provisioning::{self, Provisioner, RecoverError, Recovered},
    registry::{self, Overrides, Pulses, Registry, Watch},
    secrets::{Keyring, Secrets},
    settings::Settings,
    templates::Templates,
    workspaces::{self, Workspaces},
};

/// How long a shutdown waits for the activity writer.
const WRITER_END: Duration = Duration::from_secs(2);
/// How often it is looked whether activity is being stored.
const WRITER_CHECK_PERIOD: Duration = Duration::from_secs(5);
/// How often beats are stored.
const PULSE_FLUSH_PERIOD: Duration = Duration::from_secs(1);
/// How often the size of SQLite's write-ahead log is looked at.
const LOG_TRIM_PERIOD: Duration = Duration::from_secs(1);
/// How long writers wait for readers when the log is emptied. A read takes milliseconds; one that lasts longer is not
/// waited for again until the log has grown as much again.
const LOG_TRIM_PATIENCE: Duration = Duration::from_millis(500);

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
    pub secrets: Secrets,
    pub settings: Settings,
    pub workspaces: Workspaces,
    pub orgs: Orgs,
    pub templates: Templates,
    pub history: EventHistory,
    pub provisioner: Provisioner,
    ground: Ground,
    writer: ActivityWriter,
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
    pub async fn build(setup: Setup) -> Result<Self, BuildError> {
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
        let secrets = Secrets::new(store.clone(), keyring);
        let inbound = InboundSecrets::new(store.clone(), secrets.clone());
        let pulses = Pulses::new(store.clone());
        let overrides = Overrides::default();
        let lifecycle = Lifecycle::new(ground.clone(), credentials.clone(), pulses.clone());
        let writer = ActivityWriter::start(store)?;
        let catalogue = Arc::new(Catalogue::new(paths.templates));
        let library = Arc::new(OrgLibrary::new(paths.orgs));
        let allowlist = Arc::new(allowlist);
        let timeouts = Arc::new(ProvisionTimeouts::new((*catalogue).clone(), config.provision_timeout));
        let instances = LiveInstances::new(backend.clone());
        let provisioner = Provisioner::new(provisioning::Parts {
            ground: ground.clone(),
            lifecycle: lifecycle.clone(),
            credentials: credentials.clone(),
            inbound: inbound.clone(),
            secrets: secrets.clone(),
            catalogue: catalogue.clone(),
            allowlist: allowlist.clone(),
            timeouts,
            instances: instances.clone(),
            backend,
        });
        let registry = Registry::new(registry::Parts {
            ground: ground.clone(),
            lifecycle,
            credentials: credentials.clone(),
            inbound: inbound.clone(),
            provisioner: provisioner.clone(),
            pulses: pulses.clone(),
            overrides: overrides.clone(),
        });
        let messenger = Messenger::new(messaging::Parts {
            ground: ground.clone(),
            writer: writer.clone(),
            inbound: inbound.clone(),
            provisioner: provisioner.clone(),
            instances,
            pulses: pulses.clone(),
            overrides: overrides.clone(),
        });
        let workspaces = Workspaces::new(workspaces::Parts {
            ground: ground.clone(),
            credentials: credentials.clone(),
            inbound,
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
            secrets: secrets.clone(),
            provisioner: provisioner.clone(),
            catalogue: catalogue.clone(),
            allowlist,
            library,
        });
        Ok(Self {
            activity: ActivityLog::new(&ground, writer.clone()),
            settings: Settings::new(secrets.clone(), provisioner.clone()),
            history: EventHistory::new(ground.store.clone()),
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

    /// Settles what an earlier server left behind and starts the background loops. Call once requests are served:
    /// agents that are adopted or started talk to the platform at once.
    ///
    /// # Errors
    /// What runs, or ought to run, could not be found out.
    pub async fn begin(&self) -> Result<Recovered, RecoverError> {
        self.start_loops();
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

    /// Is there no workspace at all, removed ones apart?
    ///
    /// # Errors
    /// The query failed.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.store.workspaces().await?.is_empty())
    }

    fn start_loops(&self) {
        let events = self.events.clone();
        self.supervisor.run_last("broadcaster", move |stop, beat| {
            let events = events.clone();
            async move { events.pump(stop, beat).await }
        });
        let provisioner = self.provisioner.clone();
        self.supervisor.run("exit-watch", move |stop, beat| {
            let provisioner = provisioner.clone();
            async move { provisioner.watch_exits(stop, beat).await }
        });
        let (registry, messenger) = (self.registry.clone(), self.messenger.clone());
        self.supervisor.every("pulse-flush", PULSE_FLUSH_PERIOD, move || {
            let (registry, messenger) = (registry.clone(), messenger.clone());
            async move {
                messenger.flush_outbound().await;
                registry.flush().await
            }
        });
        let (activity, age) = (self.activity.clone(), self.config.activity_retention);
        self.supervisor
            .every_later("activity-retention", self.config.activity_cleanup, move || {
                let activity = activity.clone();
                async move { activity.prune(age).await }
            });
        let writer = self.writer.clone();
        self.supervisor.every("activity-writer", WRITER_CHECK_PERIOD, move || {
            let outcome = writer.check();
            async move { outcome }
        });
        self.start_log_trimming();
    }

    /// The loops that judge workspaces. They run only once it is settled what an earlier server left behind: until then
    /// a start that is about to be begun again looks like one that never completes.
    fn start_sweeps(&self) {
        let watch = Arc::new(tokio::sync::Mutex::new(Watch::default()));
        let (registry, shared) = (self.registry.clone(), watch.clone());
        self.supervisor
            .every("health-sweep", limits::HEALTH_SWEEP_PERIOD, move || {
                let (registry, watch) = (registry.clone(), shared.clone());
                async move { registry.sweep(&mut *watch.lock().await).await }
            });
        let provisioner = self.provisioner.clone();
        self.supervisor
            .every("provision-timeout-sweep", limits::PROVISION_SWEEP_PERIOD, move || {
                let (provisioner, watch) = (provisioner.clone(), watch.clone());
                async move {
                    let listening_since = watch.lock().await.observe(now());
                    provisioner.sweep_timeouts(listening_since).await
                }
            });
    }

    fn start_log_trimming(&self) {
        let Some(trimmer) = WalTrimmer::of(self.store.db()) else {
            return;
        };
        let trimmer = Arc::new(tokio::sync::Mutex::new(trimmer));
        self.supervisor.every("log-trim", LOG_TRIM_PERIOD, move || {
            let trimmer = trimmer.clone();
            async move {
                match trimmer.lock().await.trim(LOG_TRIM_PATIENCE).await? {
                    Trim::Small => {}
                    Trim::Emptied => tracing::debug!("write-ahead log emptied"),
                    Trim::Held => tracing::info!("write-ahead log not emptied: it is being read all the time"),
                }
                Ok::<(), DbError>(())
            }
        });
    }

    /// Drains work in flight, stores what is only in memory and closes the store. `false`: something did not end in
    /// time.
    pub async fn shutdown(self) -> bool {
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
