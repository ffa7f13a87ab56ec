//! Every interleaving of two operations, one crash of the server, one end of the agent, one failing start and one late
//! beat, over the real status machine and the real queue of cycles. A step is what happens between two awaits.

mod boot;
mod operations;
mod worker;

use std::time::Instant;

use molecule_core::{
    Facts, Trigger,
    WorkspaceStatus::{self, *},
    status,
};
use stateright::{Checker, Model, Property};

use super::slots::{Cycle, Cycles};

type Generation = i64;

/// The stored row, as far as starts and stops go by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row {
    status: WorkspaceStatus,
    generation: Generation,
    /// Incarnation for which the live token was minted.
    token: Option<Generation>,
}

impl Row {
    fn apply(&mut self, trigger: Trigger, only: Option<Generation>) -> bool {
        self.apply_with(trigger, only, Facts::default())
    }

    /// One transaction of `Lifecycle::apply`, and what the store does beside it.
    fn apply_with(&mut self, trigger: Trigger, only: Option<Generation>, facts: Facts) -> bool {
        if only.is_some_and(|generation| generation != self.generation) {
            return false;
        }
        let Some(to) = status::next(self.status, trigger, facts) else {
            return false;
        };
        self.status = to;
        match trigger {
            Trigger::ManualRestart | Trigger::AutoRestart | Trigger::Resume | Trigger::Wake => {
                self.generation += 1;
                self.token = None;
            }
            Trigger::Delete => self.token = None,
            _ => {}
        }
        true
    }

    fn is(&self, status: WorkspaceStatus, generation: Generation) -> bool {
        self.status == status && self.generation == generation
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Instance {
    generation: Generation,
    registered: bool,
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wish {
    Restart,
    Pause,
    Resume,
    Hibernate,
    Wake,
    Delete,
    /// A setting was saved.
    Settings,
}

const WISHES: [Wish; 7] = [
    Wish::Restart,
    Wish::Pause,
    Wish::Resume,
    Wish::Hibernate,
    Wish::Wake,
    Wish::Delete,
    Wish::Settings,
];

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    NotBegun(Wish),
    /// The row is written; the start in progress is to be cancelled and the cycle to be asked for.
    Written(Generation),
    /// Starts of up to that incarnation are to be cancelled, then what runs is ended if the row is still so.
    Ending(WorkspaceStatus, Generation),
    EndingLocked(WorkspaceStatus, Generation),
    Dozing,
    Asleep(Generation),
    /// Removed: whatever runs is ended.
    Retiring,
    RetiringLocked,
    Done,
}

/// Where the worker of the slot stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    None,
    Cycle(Cycle),
    Locked(Cycle),
    Write(Cycle),
    Stop(Generation),
    Begin(Generation),
    Mint(Generation),
    Launch(Generation),
    Settle(Generation),
    StillWanted(Generation),
    End,
}

/// Where the recovery at boot stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Boot {
    Booted,
    List,
    TakeOver {
        before: Option<Generation>,
    },
    BringBack {
        row: Row,
        ended: bool,
    },
    /// Waits for the slot, then ends what ought not to run, if the row is still so.
    End(WorkspaceStatus, Generation),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Worker,
    Operation(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    row: Row,
    cycles: Cycles,
    /// The latest start and whether it is cancelled.
    start: Option<(Generation, bool)>,
    starting: bool,
    lock: Option<Holder>,
    work: Work,
    operations: [At; 2],
    boot: Boot,
    /// What runs; more than one is what must not be.
    instances: Vec<Instance>,
    /// Ends that the server has not read yet.
    exits: Vec<Generation>,
    /// Incarnations that ran once, a bit each: beats of theirs may still be on their way.
    ran: u64,
    crashes: u8,
    deaths: u8,
    failures: u8,
    late_beats: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Operation(usize),
    Work,
    /// The launch fails.
    WorkFails,
    Boot,
    /// The agent of that incarnation registers.
    Register(usize),
    Exit,
    /// The health sweep looks at an offline workspace.
    Sweep,
    /// The monitor finishes what was left half asleep.
    Monitor,
    /// Nothing was heard for so long that it counts as lost.
    Silence,
    Crash,
    Death(usize),
    /// A beat sent long ago arrives now.
    LateBeat(Generation),
}

const WANTED: [WorkspaceStatus; 4] = [Provisioning, Online, Degraded, Offline];

impl World {
    fn new(status: WorkspaceStatus, wishes: [Wish; 2], at: Instant) -> Self {
        let runs = status == Online;
        let mut cycles = Cycles::default();
        if status == Provisioning {
            cycles.request(Cycle::written(0, at));
        }
        Self {
            row: Row {
                status,
                generation: 0,
                token: runs.then_some(0),
            },
            cycles,
            start: None,
            starting: false,
            lock: None,
            work: Work::None,
            operations: wishes.map(At::NotBegun),
            boot: Boot::Booted,
            instances: runs
                .then_some(Instance {
                    generation: 0,
                    registered: true,
                })
                .into_iter()
                .collect(),
            exits: Vec::new(),
            ran: u64::from(runs),
            crashes: 1,
            deaths: 1,
            failures: 1,
            late_beats: 1,
        }
    }

    fn cancel(&mut self, latest: Generation) {
        if let Some((generation, cancelled)) = &mut self.start
            && *generation <= latest
        {
            *cancelled = true;
        }
    }

    fn stop_backend(&mut self) {
        self.instances.clear();
    }

    fn begin_written(&mut self, at: Instant) {
        let generation = self.row.generation;
        self.cancel(generation - 1);
        self.cycles.request(Cycle::written(generation, at));
    }

    fn crash(&mut self) {
        self.cycles = Cycles::default();
        self.start = None;
        self.starting = false;
        self.lock = None;
        self.work = Work::None;
        self.exits.clear();
        for operation in &mut self.operations {
            if !matches!(operation, At::NotBegun(_)) {
                *operation = At::Done;
            }
        }
        self.boot = Boot::List;
    }

    fn gone(&mut self, generation: Generation, at: Instant) {
        if self.row.apply(Trigger::InstanceGone, Some(generation)) {
            self.cycles.request(Cycle::asked(at));
        }
    }

    fn exit(&mut self, at: Instant) {
        let generation = self.exits.remove(0);
        if self.row.is(Provisioning, generation) {
            self.row.apply(Trigger::StartFailed, Some(generation));
        } else {
            self.gone(generation, at);
        }
    }

    /// Nothing goes on any more that nobody has to begin.
    fn is_at_rest(&self) -> bool {
        let begun = |at: &At| !matches!(at, At::NotBegun(_) | At::Done);
        matches!(self.work, Work::None)
            && self.cycles.due().is_none()
            && !self.operations.iter().any(begun)
            && self.boot == Boot::Booted
            && self.exits.is_empty()
            && self.registering().next().is_none()
            && !self.may_sweep()
            && !self.may_monitor()
            && !self.is_silent()
    }

    /// Whoever beats has the live token; without one the liveness window ends.
    fn is_silent(&self) -> bool {
        let beats = |instance: &Instance| self.row.token == Some(instance.generation);
        self.row.status.is_alive() && !self.instances.iter().any(beats)
    }

    fn registering(&self) -> impl Iterator<Item = usize> {
        // A registration waits for the start that led to it.
        let settled = !self.starting;
        (0..self.instances.len()).filter(move |n| {
            settled && !self.instances[*n].registered && self.row.token == Some(self.instances[*n].generation)
        })
    }

    fn may_sweep(&self) -> bool {
        self.row.status == Offline && matches!(self.cycles, Cycles::Idle) && self.boot == Boot::Booted
    }

    fn may_monitor(&self) -> bool {
        self.row.status == Hibernating && self.lock.is_none()
    }
}

struct Lifecycle {
    at: Instant,
}

impl Model for Lifecycle {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let mut worlds = Vec::new();
        for status in [Provisioning, Online, Paused, Hibernated] {
            for (n, first) in WISHES.into_iter().enumerate() {
                // Either may begin first, so the order of a pair is no other case.
                for second in &WISHES[n..] {
                    worlds.push(World::new(status, [first, *second], self.at));
                }
            }
        }
        worlds
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        steps.extend((0..2).filter(|n| world.may_operate(*n)).map(Step::Operation));
        if world.may_work() {
            steps.push(Step::Work);
            if matches!(world.work, Work::Launch(_)) && world.failures > 0 {
                steps.push(Step::WorkFails);
            }
        }
        let waits = matches!(world.boot, Boot::End(..)) && world.lock.is_some();
        if world.boot != Boot::Booted && !waits {
            steps.push(Step::Boot);
        }
        steps.extend(world.registering().map(Step::Register));
        if !world.exits.is_empty() {
            steps.push(Step::Exit);
        }
        if world.may_sweep() {
            steps.push(Step::Sweep);
        }
        if world.may_monitor() {
            steps.push(Step::Monitor);
        }
        if world.is_silent() {
            steps.push(Step::Silence);
        }
        if world.crashes > 0 {
            steps.push(Step::Crash);
        }
        if world.deaths > 0 {
            steps.extend((0..world.instances.len()).map(Step::Death));
        }
        if world.late_beats > 0 {
            let ran = |generation: &Generation| world.ran & (1 << generation) != 0;
            steps.extend((0..=world.row.generation).filter(ran).map(Step::LateBeat));
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::Operation(n) => world.operate(n, self.at),
            Step::Work => world.work(false),
            Step::WorkFails => {
                world.failures -= 1;
                world.work(true);
            }
            Step::Boot => world.booting(self.at),
            Step::Register(n) => {
                world.instances[n].registered = true;
                world.row.apply(Trigger::Registered, None);
            }
            Step::Exit => world.exit(self.at),
            Step::Sweep => {
                world.cycles.request(Cycle::asked(self.at));
            }
            Step::Monitor => {
                world.stop_backend();
                world.row.apply(Trigger::HibernateDone, None);
            }
            Step::Silence => {
                world.row.apply(Trigger::ContactLost, None);
            }
            Step::Crash => {
                world.crashes -= 1;
                world.crash();
            }
            Step::Death(n) => {
                world.deaths -= 1;
                let instance = world.instances.remove(n);
                world.exits.push(instance.generation);
            }
            Step::LateBeat(generation) => {
                world.late_beats -= 1;
                if world.row.token == Some(generation) {
                    world.row.apply(Trigger::Heartbeat, None);
                }
            }
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no two agents of one workspace run", |_, world: &World| {
                world.instances.len() <= 1
            }),
            Property::always("a removed workspace has no live token", |_, world: &World| {
                world.row.status != Removed || world.row.token.is_none()
            }),
            Property::always("what is stopped on purpose does not run", |_, world: &World| {
                let stopped = matches!(world.row.status, Removed | Paused | Hibernated | Failed);
                !(world.is_at_rest() && stopped) || world.instances.is_empty()
            }),
            Property::always("no intermediate status is left", |_, world: &World| {
                !(world.is_at_rest() && matches!(world.row.status, Provisioning | Hibernating | Offline))
            }),
            Property::always("what is online runs in its incarnation", |_, world: &World| {
                let alive = world.is_at_rest() && world.row.status.is_alive();
                let current = |instance: &Instance| instance.generation == world.row.generation;
                !alive || world.instances.iter().any(current)
            }),
            Property::sometimes("a crash is survived", |_, world: &World| {
                world.crashes == 0 && world.is_at_rest() && world.row.status == Online
            }),
        ]
    }
}

// LIFE-9, LIFE-26…34, LIFE-144…146, LIFE-160…162, D17: no order of things breaks what must hold.
#[test]
fn every_interleaving_keeps_the_invariants() {
    let checker = Lifecycle { at: Instant::now() }.checker().threads(2).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}
