//! A backend without instances: it does what a test scripted, records what it was asked, and reports ends on command.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use molecule_backends::{
    Backend, BackendError, Console, Exit, Instance, LogTail, Running, Started, StopAll, WorkspaceSpec,
};
use molecule_core::{WorkspaceId, limits};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::PATIENCE;

/// How a start goes.
#[derive(Debug, Clone)]
pub enum Start {
    /// An instance runs at the backend's [endpoint](ScriptedBackend::endpoint).
    Succeed,
    /// The engine refuses; the text is what the log would hold.
    Fail(&'static str),
    /// What was asked for cannot be had.
    Impossible(&'static str),
    /// The instance ends before it is ready.
    Ended(&'static str),
    /// The backend panics.
    Panic,
    /// Nothing runs, and the call never returns.
    Hang,
    /// The instance runs, but the call never returns.
    HangRunning,
    /// As [`Start::Succeed`], once the gate is opened.
    Held(Gate),
}

/// How a stop goes.
#[derive(Debug, Clone)]
pub enum Stop {
    /// The instance is gone.
    Succeed,
    /// It is not, and the call fails.
    Fail,
    /// The call never returns.
    Hang,
    /// The backend panics.
    Panic,
    /// As [`Stop::Succeed`], once the gate is opened.
    Held(Gate),
}

/// What [`Backend::running`] is told to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
    /// It cannot tell.
    Unknown,
    /// The backend panics.
    Panic,
}

/// Holds a call until it is opened, once for every call that waits.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Waits until it is open.
    ///
    /// # Panics
    /// Never: the gate is not closed.
    pub async fn pass(&self) {
        self.0.acquire().await.expect("the gate is never closed").forget();
    }
}

/// What the backend was asked, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A start began.
    Start(WorkspaceId, i64),
    /// A start succeeded.
    Started(WorkspaceId, i64),
    /// A stop began.
    Stop(WorkspaceId),
    /// A stop succeeded.
    Stopped(WorkspaceId),
    /// An instance was adopted.
    Adopt(WorkspaceId, i64),
    /// Volumes were deleted.
    RemoveData(WorkspaceId),
}

#[derive(Default)]
struct State {
    starts: VecDeque<Start>,
    every_start: Option<Start>,
    stops: VecDeque<Stop>,
    every_stop: Option<Stop>,
    answers: HashMap<WorkspaceId, Answer>,
    endpoint: Option<String>,
    configured: HashSet<WorkspaceId>,
    unconfigured: bool,
    listing_fails: bool,
    instances: BTreeMap<WorkspaceId, Instance>,
    specs: Vec<WorkspaceSpec>,
    calls: Vec<Call>,
    operating: HashSet<WorkspaceId>,
    violations: Vec<String>,
}

struct Inner {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    exits: mpsc::UnboundedSender<Exit>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Exit>>>,
}

/// The backend. Clones share everything.
#[derive(Clone)]
pub struct ScriptedBackend(Arc<Inner>);

impl std::fmt::Debug for ScriptedBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedBackend").finish_non_exhaustive()
    }
}

impl Default for ScriptedBackend {
    fn default() -> Self {
        let (exits, receiver) = mpsc::unbounded_channel();
        Self(Arc::new(Inner {
            state: Mutex::default(),
            changed: watch::channel(()).0,
            exits,
            receiver: Mutex::new(Some(receiver)),
        }))
    }
}

impl ScriptedBackend {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let outcome = change(&mut self.0.state.lock());
        self.0.changed.send_replace(());
        outcome
    }

    /// How the next start goes; further ones queue up behind it.
    pub fn next_start(&self, start: Start) {
        self.change(|state| state.starts.push_back(start));
    }

    /// How every start goes that [`ScriptedBackend::next_start`] says nothing of. At first they succeed.
    pub fn every_start(&self, start: Start) {
        self.change(|state| state.every_start = Some(start));
    }

    /// How the next stop goes; further ones queue up behind it.
    pub fn next_stop(&self, stop: Stop) {
        self.change(|state| state.stops.push_back(stop));
    }

    /// How every other stop goes. At first they succeed.
    pub fn every_stop(&self, stop: Stop) {
        self.change(|state| state.every_stop = Some(stop));
    }

    /// Address of instances started from now on. At first there is none.
    pub fn endpoint(&self, url: &str) {
        self.change(|state| state.endpoint = Some(url.to_owned()));
    }

    /// What is said of an instance instead of the truth.
    pub fn answers(&self, id: WorkspaceId, answer: Answer) {
        self.change(|state| state.answers.insert(id, answer));
    }

    /// Configuration volumes are empty from now on, whatever was started before.
    pub fn volumes_are_empty(&self) {
        self.change(|state| state.unconfigured = true);
    }

    /// Instances cannot be listed from now on.
    pub fn listing_fails(&self) {
        self.change(|state| state.listing_fails = true);
    }

    /// Configuration volumes outlive a server: those of `earlier` are this one's too.
    pub fn keep_volumes_of(&self, earlier: &Self) {
        let configured = earlier.0.state.lock().configured.clone();
        self.change(|state| state.configured.extend(configured));
    }

    /// An instance that an earlier server left behind.
    pub fn leave_behind(&self, id: WorkspaceId, generation: i64, endpoint: &str) {
        let instance = Instance {
            id,
            generation,
            endpoint: Some(endpoint.to_owned()),
        };
        self.change(|state| {
            state.configured.insert(id);
            state.instances.insert(id, instance)
        });
    }

    /// Ends an instance and reports it.
    ///
    /// # Panics
    /// When none runs.
    pub fn exit(&self, id: WorkspaceId, reason: &str) {
        let instance = self
            .change(|state| state.instances.remove(&id))
            .expect("an instance runs");
        self.report(id, instance.generation, reason);
    }

    /// Reports an end, whatever runs.
    ///
    /// # Panics
    /// When the platform does not listen any more.
    pub fn report(&self, id: WorkspaceId, generation: i64, reason: &str) {
        let exit = Exit {
            id,
            generation,
            reason: reason.to_owned(),
        };
        self.0.exits.send(exit).expect("somebody listens for ends");
    }

    /// Ends an instance, and nobody is told.
    pub fn vanish(&self, id: WorkspaceId) {
        self.change(|state| state.instances.remove(&id));
    }

    /// The instance that runs.
    #[must_use]
    pub fn instance(&self, id: WorkspaceId) -> Option<Instance> {
        self.0.state.lock().instances.get(&id).cloned()
    }

    /// What was asked, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.0.state.lock().calls.clone()
    }

    /// Starts that began, of one workspace.
    #[must_use]
    pub fn starts(&self, id: WorkspaceId) -> Vec<WorkspaceSpec> {
        self.0
            .state
            .lock()
            .specs
            .iter()
            .filter(|spec| spec.id == id)
            .cloned()
            .collect()
    }

    /// What the latest start of a workspace was given.
    ///
    /// # Panics
    /// When it was never started.
    #[must_use]
    pub fn spec(&self, id: WorkspaceId) -> WorkspaceSpec {
        self.starts(id).pop().expect("it was started")
    }

    /// Breaches of the contract: two operations at once on one workspace (D17).
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.0.state.lock().violations.clone()
    }

    /// Waits until the backend has been asked what `check` looks for.
    ///
    /// # Panics
    /// When it does not come about within [`PATIENCE`].
    pub async fn until(&self, what: &str, check: impl Fn(&Self) -> bool) {
        let mut changes = self.0.changed.subscribe();
        let wait = async {
            while !check(self) {
                changes.changed().await.expect("the backend is there");
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("{what} did not come about; calls: {:?}", self.calls());
        }
    }

    fn operate(&self, id: WorkspaceId, call: Call) -> Operation {
        self.change(|state| {
            if !state.operating.insert(id) {
                state.violations.push(format!("{call:?} during another operation"));
            }
            state.calls.push(call);
        });
        Operation(self.clone(), id)
    }

    fn run(&self, spec: &WorkspaceSpec) -> Started {
        self.change(|state| {
            let endpoint = state.endpoint.clone();
            let instance = Instance {
                id: spec.id,
                generation: spec.generation,
                endpoint: endpoint.clone(),
            };
            state.configured.insert(spec.id);
            state.instances.insert(spec.id, instance);
            state.calls.push(Call::Started(spec.id, spec.generation));
            Started {
                endpoint,
                instance_ref: None,
            }
        })
    }

    fn end(&self, id: WorkspaceId) {
        self.change(|state| {
            state.instances.remove(&id);
            state.calls.push(Call::Stopped(id));
        });
    }
}

/// An operation in progress; also ends when its future is dropped.
struct Operation(ScriptedBackend, WorkspaceId);

impl Drop for Operation {
    fn drop(&mut self) {
        self.0.change(|state| state.operating.remove(&self.1));
    }
}

#[async_trait]
impl Backend for ScriptedBackend {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn assigns_endpoint(&self) -> bool {
        true
    }

    fn start_deadline(&self) -> Duration {
        limits::PROVISION_DEADLINE
    }

    async fn start(&self, spec: &WorkspaceSpec) -> Result<Started, BackendError> {
        let _operation = self.operate(spec.id, Call::Start(spec.id, spec.generation));
        let script = self.change(|state| {
            state.specs.push(spec.clone());
            state.starts.pop_front().or_else(|| state.every_start.clone())
        });
        match script.unwrap_or(Start::Succeed) {
            Start::Succeed => Ok(self.run(spec)),
            Start::Fail(text) => Err(BackendError::Engine(text.to_owned())),
            Start::Impossible(text) => Err(BackendError::InvalidSpec(text.to_owned())),
            Start::Ended(reason) => {
                // What it was to start with was written before it ran.
                self.change(|state| state.configured.insert(spec.id));
                Err(BackendError::EndedDuringStart(reason.to_owned()))
            }
            Start::Panic => panic!("scripted panic in start"),
            Start::Hang => std::future::pending().await,
            Start::HangRunning => {
                self.run(spec);
                std::future::pending().await
            }
            Start::Held(gate) => {
                gate.pass().await;
                Ok(self.run(spec))
            }
        }
    }

    async fn stop(&self, id: WorkspaceId) -> Result<(), BackendError> {
        let _operation = self.operate(id, Call::Stop(id));
        let script = self.change(|state| state.stops.pop_front().or_else(|| state.every_stop.clone()));
        match script.unwrap_or(Stop::Succeed) {
            Stop::Succeed => {}
            Stop::Fail => return Err(BackendError::Engine("scripted: it would not stop".to_owned())),
            Stop::Hang => std::future::pending().await,
            Stop::Panic => panic!("scripted panic in stop"),
            Stop::Held(gate) => gate.pass().await,
        }
        self.end(id);
        Ok(())
    }

    async fn running(&self, id: WorkspaceId) -> Running {
        let state = self.0.state.lock();
        let truth = if state.instances.contains_key(&id) {
            Answer::Yes
        } else {
            Answer::No
        };
        match state.answers.get(&id).copied().unwrap_or(truth) {
            Answer::Yes => Running::Yes,
            Answer::No => Running::No,
            Answer::Panic => panic!("scripted panic in running"),
            Answer::Unknown => Running::Unknown(BackendError::Engine("scripted: cannot tell".to_owned())),
        }
    }

    async fn list(&self) -> Result<Vec<Instance>, BackendError> {
        let state = self.0.state.lock();
        if state.listing_fails {
            return Err(BackendError::Engine("scripted: cannot list".to_owned()));
        }
        Ok(state.instances.values().cloned().collect())
    }

    async fn adopt(&self, instance: &Instance) -> Result<(), BackendError> {
        let _operation = self.operate(instance.id, Call::Adopt(instance.id, instance.generation));
        match self.instance(instance.id) {
            Some(there) if there.generation == instance.generation => Ok(()),
            _ => Err(BackendError::Engine("scripted: it is gone".to_owned())),
        }
    }

    async fn has_config(&self, id: WorkspaceId) -> Result<bool, BackendError> {
        let state = self.0.state.lock();
        Ok(!state.unconfigured && state.configured.contains(&id))
    }

    async fn remove_data(&self, id: WorkspaceId) -> Result<(), BackendError> {
        let _operation = self.operate(id, Call::RemoveData(id));
        self.change(|state| state.configured.remove(&id));
        Ok(())
    }

    fn exits(&self) -> Option<mpsc::UnboundedReceiver<Exit>> {
        self.0.receiver.lock().take()
    }

    async fn stop_all(&self) -> Result<StopAll, BackendError> {
        let mut ended = StopAll::default();
        for instance in self.list().await? {
            match self.stop(instance.id).await {
                Ok(()) => ended.stopped.push(instance.id),
                Err(error) => ended.failed.push((instance.id, error)),
            }
        }
        Ok(ended)
    }

    fn console(&self) -> Option<&dyn Console> {
        Some(self)
    }
}

#[async_trait]
impl Console for ScriptedBackend {
    async fn logs(&self, id: WorkspaceId, max_bytes: usize) -> Result<LogTail, BackendError> {
        let text = format!("output of {id}\n");
        let truncated = text.len() > max_bytes;
        Ok(LogTail {
            text: if truncated { String::new() } else { text },
            truncated,
        })
    }
}
