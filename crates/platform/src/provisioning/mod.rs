//! The start door and the stop door: everything that makes a workspace run, and nothing else, calls the backend.

mod bootstrap;
mod crashes;
mod cycle;
mod failure;
mod hibernate;
#[cfg(test)]
mod model;
mod notice;
mod pipeline;
mod plan;
mod recover;
mod slots;
mod stop;
mod watch;

pub use failure::StartFailure;
pub use hibernate::{Dozed, Hibernated};
pub use notice::Notice;
pub use plan::{StartFiles, StartPlan};
pub use recover::{RecoverError, Recovered};

use std::{fmt, ops::Deref, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use molecule_backends::{Backend, Console, Exit};
use molecule_core::{Runtime, Timestamp, Word, WorkspaceId, runtime::Allowlist};
use molecule_templates::{Catalogue, ProvisionTimeouts};
use tokio::sync::{Semaphore, mpsc};

use self::crashes::Crashes;
use crate::{
    credentials::{Credentials, InboundSecrets},
    dial::LiveInstances,
    ground::Ground,
    lifecycle::Lifecycle,
    pulses::Pulses,
    secrets::Secrets,
    supervise::panic_text,
};

/// The incarnation that a new workspace begins with.
const FIRST_GENERATION: i64 = 0;

/// Starts, stops and watches workspaces. Cheap to clone.
#[derive(Clone)]
pub struct Provisioner {
    inner: Arc<Inner>,
}

impl fmt::Debug for Provisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provisioner")
            .field("backend", &self.backend_name())
            .finish_non_exhaustive()
    }
}

struct Inner {
    parts: Parts,
    slots: slots::Slots,
    starts: Semaphore,
    crashes: Crashes,
    /// Ends of instances. A backend hands them out once, but the loop that reads them may be begun again.
    exits: tokio::sync::Mutex<Option<mpsc::UnboundedReceiver<Exit>>>,
    /// Restarts that agents are to be told of, and who tells them.
    restarted: mpsc::UnboundedSender<Notice>,
    notices: tokio::sync::Mutex<mpsc::UnboundedReceiver<Notice>>,
}

impl Deref for Inner {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// What the provisioner is made of.
#[allow(missing_docs, reason = "one field per service it uses")]
pub struct Parts {
    pub ground: Ground,
    pub lifecycle: Lifecycle,
    pub credentials: Credentials,
    pub inbound: InboundSecrets,
    pub secrets: Secrets,
    pub pulses: Pulses,
    pub catalogue: Arc<Catalogue>,
    pub allowlist: Arc<Allowlist>,
    pub timeouts: Arc<ProvisionTimeouts>,
    pub instances: LiveInstances,
    /// `None` is the only way to say that there is none (LIFE-50).
    pub backend: Option<Arc<dyn Backend>>,
}

impl Deref for Parts {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl Provisioner {
    /// Puts the provisioner together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let exits = parts.backend.as_ref().and_then(|backend| backend.exits());
        let (restarted, notices) = mpsc::unbounded_channel();
        let inner = Inner {
            slots: slots::Slots::default(),
            starts: Semaphore::new(parts.config.concurrent_starts),
            crashes: Crashes::new(parts.config.crash_restarts, parts.clock().clone(), parts.changes()),
            exits: tokio::sync::Mutex::new(exits),
            restarted,
            notices: tokio::sync::Mutex::new(notices),
            parts,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What time it is for whoever judges starts and stops.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock().now()
    }

    /// Is any backend there? Every gate asks this (LIFE-44).
    #[must_use]
    pub fn has_backend(&self) -> bool {
        self.inner.backend.is_some()
    }

    /// Its name, or `none`.
    #[must_use]
    pub fn backend_name(&self) -> &'static str {
        self.inner.backend.as_deref().map_or("none", Backend::name)
    }

    /// Are addresses of managed agents given by the backend (D13)?
    #[must_use]
    pub fn assigns_endpoints(&self) -> bool {
        self.inner
            .backend
            .as_ref()
            .is_some_and(|backend| backend.assigns_endpoint())
    }

    /// Do managed agents see the server's host under another name than `localhost`?
    #[must_use]
    pub fn own_network(&self) -> bool {
        self.inner.backend.as_ref().is_some_and(|backend| backend.own_network())
    }

    /// The one accessor of start deadlines (LIFE-191).
    #[must_use]
    pub fn timeouts(&self) -> &ProvisionTimeouts {
        &self.inner.timeouts
    }

    /// Resolves a stored runtime; unknown names become the default and are logged (LIFE-4).
    #[must_use]
    pub fn runtime(&self, stored: &Word<Runtime>) -> Runtime {
        let resolved = self.inner.allowlist.resolve(stored.as_str());
        if resolved.unknown {
            tracing::warn!(
                runtime = %molecule_core::text::Quoted(stored.as_str()), used = %resolved.runtime, "unknown runtime"
            );
        }
        resolved.runtime
    }

    /// Starts a workspace that was just created: the start door of create and import. Returns at once; how it
    /// ended is in status and events. What it starts with is stored with the row. Without a backend the row is marked
    /// failed here (LIFE-49).
    pub fn start(&self, id: WorkspaceId) -> tokio::task::JoinHandle<Option<()>> {
        let this = self.clone();
        self.inner.supervisor.spawn("workspace-start", async move {
            let slot = this.inner.slots.of(id);
            let _turn = slot.operation().await;
            let start = AssertUnwindSafe(this.start_guarded(id, &slot, FIRST_GENERATION)).catch_unwind();
            match start.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(workspace = %id, %error, "start held up, it is tried again");
                    let at = this.inner.clock().instant();
                    this.request(id, slots::Cycle::written(FIRST_GENERATION, at));
                }
                Err(panic) => {
                    tracing::error!(workspace = %id, reason = panic_text(&*panic), "start panicked");
                    this.fail_current(id).await;
                }
            }
        })
    }

    /// What managed instances print. `None` without a backend, and with one that does not keep it.
    #[must_use]
    pub fn console(&self) -> Option<&dyn Console> {
        self.inner.backend.as_ref()?.console()
    }
}
