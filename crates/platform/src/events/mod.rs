//! The event bus. Recorded events reach it only through the outbox pump, in `seq` order; live-only ones directly.

mod bus;

pub use bus::{Missed, Subscription};

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use molecule_core::{EventType, Timestamp, WorkspaceId};
use molecule_store::{
    Store, StoreError,
    events::{RecordedEvent, Seq},
    now,
};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use self::bus::Bus;
use crate::{
    kept::PerWorkspace,
    supervise::{Job, Waker},
};

/// One frame, serialised once for every socket.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The subject.
    pub workspace_id: Option<WorkspaceId>,
    /// The envelope of ACT-71 as JSON text.
    pub text: Arc<str>,
}

#[derive(Serialize)]
struct Envelope<'a, P: Serialize> {
    event: &'a str,
    workspace_id: &'a str,
    timestamp: Timestamp,
    payload: P,
}

/// Events read from the outbox at a time.
const PUMP_BATCH: u64 = 500;
/// How long a mutation waits for the pump before it answers regardless; its event stays in the outbox.
const PASS_TIMEOUT: Duration = Duration::from_secs(5);

/// The event bus. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    bus: Bus,
    wake: Waker,
    passed: watch::Sender<Seq>,
    /// When anything was last heard of a workspace, for the idle timer of calls in flight (A2A-65).
    heard: PerWorkspace<Instant>,
}

impl Events {
    /// A bus over the store's outbox, starting behind what is recorded already: sockets replay nothing (ACT-80).
    ///
    /// # Errors
    /// The outbox could not be read.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let head = store.events_head().await?;
        let inner = Inner {
            heard: PerWorkspace::new(store.changes()),
            store,
            bus: Bus::new(),
            wake: Waker::default(),
            passed: watch::channel(head).0,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Everything published from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.inner.bus.subscribe()
    }

    /// Publishes an event that is not recorded. `payload` is built only if somebody listens.
    pub fn live<P: Serialize>(&self, event: EventType, workspace: WorkspaceId, payload: impl FnOnce() -> P) {
        debug_assert!(!event.is_recorded(), "{event:?} belongs in the outbox");
        self.touch(workspace);
        if !self.has_listeners() {
            return;
        }
        let id = workspace.to_string();
        let envelope = Envelope {
            event: event.as_str(),
            workspace_id: &id,
            timestamp: now(),
            payload: payload(),
        };
        match serde_json::to_string(&envelope) {
            Ok(text) => self.publish(Frame {
                workspace_id: Some(workspace),
                text: text.into(),
            }),
            Err(error) => tracing::error!(%error, ?event, "event payload is not JSON"),
        }
    }

    /// Does anybody listen? Payloads that are costly to build are spared otherwise.
    #[must_use]
    pub fn has_listeners(&self) -> bool {
        self.inner.bus.has_subscribers()
    }

    /// Notes a sign of life of a workspace that is not an event of its own.
    pub fn heard(&self, workspace: WorkspaceId) {
        self.touch(workspace);
    }

    /// Waits until the pump has published `seq`, so that the next request on this node sees the change. Call after
    /// the commit that recorded it.
    pub async fn passed(&self, seq: Seq) {
        if seq == Seq(0) {
            return;
        }
        self.inner.wake.wake();
        let mut passed = self.inner.passed.subscribe();
        let wait = passed.wait_for(|at| *at >= seq);
        if tokio::time::timeout(PASS_TIMEOUT, wait).await.is_err() {
            tracing::warn!(seq = seq.0, "event is recorded but not published yet");
        }
    }

    /// When anything was last heard of the workspace on this node.
    #[must_use]
    pub fn last_heard(&self, workspace: WorkspaceId) -> Option<Instant> {
        self.inner.heard.lock().get(&workspace).copied()
    }

    async fn drain(&self, published: &mut u64) -> Result<(), StoreError> {
        loop {
            let from = *self.inner.passed.borrow();
            let batch = self.inner.store.events_after(from, PUMP_BATCH).await?;
            let Some(last) = batch.last().map(|event| event.seq) else {
                return Ok(());
            };
            for event in batch {
                self.relay(event);
                *published += 1;
            }
            self.inner.passed.send_replace(last);
        }
    }

    fn relay(&self, event: RecordedEvent) {
        if let Some(id) = event.workspace_id {
            self.tell(id, &event.event);
        }
        let id = event.workspace_id.map(|id| id.to_string()).unwrap_or_default();
        let frame = RawValue::from_string(event.payload).and_then(|payload| {
            serde_json::to_string(&Envelope {
                event: &event.event,
                workspace_id: &id,
                timestamp: event.created_at,
                payload,
            })
        });
        match frame {
            Ok(text) => self.publish(Frame {
                workspace_id: event.workspace_id,
                text: text.into(),
            }),
            Err(error) => tracing::error!(%error, event = event.event, "recorded payload is not JSON"),
        }
    }

    /// Also of what another process changed.
    fn tell(&self, workspace: WorkspaceId, event: &str) {
        let changes = self.inner.store.changes();
        if event == EventType::WorkspaceRemoved.as_str() {
            changes.gone(workspace);
        } else {
            changes.changed(workspace);
            self.touch(workspace);
        }
    }

    fn publish(&self, frame: Frame) {
        self.inner.bus.publish(frame);
    }

    fn touch(&self, workspace: WorkspaceId) {
        self.inner.heard.lock().insert(workspace, Instant::now());
    }
}

/// The outbox pump: reads recorded events in order and publishes them. The one publisher of recorded events.
#[derive(Debug)]
pub(crate) struct Broadcaster(Events);

impl Broadcaster {
    pub(crate) fn new(events: &Events) -> Self {
        Self(events.clone())
    }
}

/// What one look at the outbox came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Published {
    events: u64,
}

impl Job for Broadcaster {
    const NAME: &'static str = "broadcaster";
    const DESCRIPTION: &'static str = "Publishes recorded events to sockets, in order";
    type Report = Published;
    type Error = StoreError;

    /// Events recorded by another process that shares the database are found so late.
    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn waker(&self) -> Waker {
        self.0.inner.wake.clone()
    }

    async fn activate(&mut self, report: &mut Published) -> Result<(), StoreError> {
        self.0.drain(&mut report.events).await
    }
}
