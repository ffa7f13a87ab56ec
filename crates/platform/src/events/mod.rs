//! The event bus. Recorded events reach it only through the outbox pump, in `seq` order; live-only ones directly.

mod beats;
mod bus;

pub use bus::{Missed, Subscription};

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use molecule_core::{
    EventType, Timestamp, WorkspaceId,
    event::{self, Event},
    limits,
};
use molecule_store::{
    Store, StoreError,
    events::{RecordedEvent, Seq},
    now,
};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use self::{
    beats::{Beat, Beats},
    bus::Bus,
};
use crate::{
    kept::PerWorkspace,
    supervise::{Job, Seldom, Waker},
};

/// One frame, serialised once for every socket.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The subject.
    pub workspace_id: Option<WorkspaceId>,
    /// The envelope of ACT-71 as JSON text, in UTF-8.
    pub text: Bytes,
}

impl Frame {
    fn new<P: Serialize>(
        event: &str,
        workspace: Option<WorkspaceId>,
        timestamp: Timestamp,
        payload: P,
    ) -> serde_json::Result<Self> {
        let id = workspace.map(|id| id.to_string()).unwrap_or_default();
        let envelope = Envelope {
            event,
            workspace_id: &id,
            timestamp,
            payload,
        };
        Ok(Self {
            workspace_id: workspace,
            text: serde_json::to_vec(&envelope)?.into(),
        })
    }
}

#[derive(Serialize)]
struct Envelope<'a, P: Serialize> {
    event: &'a str,
    workspace_id: &'a str,
    timestamp: Timestamp,
    payload: P,
}

fn beat_frame(beat: Beat) -> Option<Frame> {
    let event = EventType::WorkspaceHeartbeat.as_str();
    Frame::new(event, Some(beat.workspace), beat.at, beat.payload)
        .inspect_err(|error| tracing::error!(%error, "heartbeat is not JSON"))
        .ok()
}

/// Heartbeats that are delivered within a second, all listeners together.
const BEAT_DELIVERIES: usize = 100_000;
/// Heartbeats that are shown at a time, so that other events find room beside them.
const MOST_BEATS: usize = limits::SOCKET_BUFFER / 4;
/// See [`Events::pace`]: a thousand sockets write about twenty times a second each.
const PACE_PER_LISTENER: Duration = Duration::from_micros(50);
const LONGEST_PACE: Duration = Duration::from_millis(500);
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
    beats: Arc<Beats>,
    unpublished: Mutex<Seldom>,
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
            beats: Arc::default(),
            unpublished: Mutex::default(),
            store,
            bus: Bus::new(),
            wake: Waker::default(),
            passed: watch::channel(head).0,
        };
        inner.store.changes().follow(&inner.beats);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Everything published from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.inner.bus.subscribe()
    }

    /// Publishes an event that is not recorded. It is built only if somebody listens.
    pub fn live(&self, workspace: WorkspaceId, event: impl FnOnce() -> Event) {
        self.touch(workspace);
        if !self.has_listeners() {
            return;
        }
        let event = event();
        let kind = event.kind();
        debug_assert!(!kind.is_recorded(), "{kind:?} belongs in the outbox");
        match Frame::new(kind.as_str(), Some(workspace), now(), event) {
            Ok(frame) => self.publish(frame),
            Err(error) => tracing::error!(%error, ?kind, "event payload is not JSON"),
        }
    }

    /// Takes a heartbeat. It counts as a sign of life at once (REG-54, ACT-74); whoever watches is shown the latest of
    /// each workspace within about a second, or less often where many watch many (D34).
    pub fn beat(&self, workspace: WorkspaceId, payload: event::Beat) {
        self.touch(workspace);
        if self.has_listeners() {
            self.inner.beats.put(Beat {
                workspace,
                at: now(),
                payload,
            });
        }
    }

    /// Shows heartbeats that have waited longest, as many as the number of listeners allows; tells how many.
    fn show_beats(&self) -> usize {
        let listeners = self.inner.bus.subscribers();
        if listeners == 0 {
            self.inner.beats.clear();
            return 0;
        }
        let shown = self
            .inner
            .beats
            .take_some((BEAT_DELIVERIES / listeners).clamp(1, MOST_BEATS));
        let count = shown.len();
        self.inner.bus.publish(shown.into_iter().filter_map(beat_frame));
        count
    }

    /// How long a socket lets frames gather after it has written some: a thousand sockets that each write every frame by
    /// itself would do nothing else.
    #[must_use]
    pub fn pace(&self) -> Duration {
        let listeners = u32::try_from(self.inner.bus.subscribers()).unwrap_or(u32::MAX);
        PACE_PER_LISTENER.saturating_mul(listeners).min(LONGEST_PACE)
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
        if tokio::time::timeout(PASS_TIMEOUT, wait).await.is_err()
            && let Some(times) = self.inner.unpublished.lock().due()
        {
            tracing::warn!(seq = seq.0, times, "events are recorded but not published yet");
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
            self.tell(id, event.event.known());
        }
        let frame = RawValue::from_string(event.payload)
            .and_then(|payload| Frame::new(event.event.as_str(), event.workspace_id, event.created_at, payload));
        match frame {
            Ok(frame) => self.publish(frame),
            Err(error) => tracing::error!(%error, event = %event.event, "recorded payload is not JSON"),
        }
    }

    /// Also of what another process changed.
    fn tell(&self, workspace: WorkspaceId, event: Option<EventType>) {
        let changes = self.inner.store.changes();
        if event == Some(EventType::WorkspaceRemoved) {
            changes.gone(workspace);
        } else {
            changes.changed(workspace);
            self.touch(workspace);
        }
    }

    /// What a workspace said before comes before what is said of it now.
    fn publish(&self, frame: Frame) {
        let waiting = frame.workspace_id.and_then(|id| self.inner.beats.take(id));
        self.inner
            .bus
            .publish(waiting.and_then(beat_frame).into_iter().chain([frame]));
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

/// Shows heartbeats (D34).
#[derive(Debug)]
pub(crate) struct HeartbeatRelay(Events);

impl HeartbeatRelay {
    pub(crate) fn new(events: &Events) -> Self {
        Self(events.clone())
    }
}

/// What was shown.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Shown {
    heartbeats: usize,
}

impl Job for HeartbeatRelay {
    const NAME: &'static str = "heartbeat-relay";
    const DESCRIPTION: &'static str = "Shows whoever watches the latest heartbeat of each workspace";
    type Report = Shown;
    type Error = Infallible;

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn activate(&mut self, report: &mut Shown) -> Result<(), Infallible> {
        report.heartbeats = self.0.show_beats();
        Ok(())
    }
}
