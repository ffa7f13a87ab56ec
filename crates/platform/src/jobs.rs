//! The jobs of the house, in one list: what is done again and again, how often, and what for. What each does is in its
//! own service. Two loops are no jobs, because they are told each thing only once: the watch for ends of instances,
//! and what tells agents that they were restarted.

use std::{sync::Arc, time::Duration};

use molecule_core::{WorkspaceStatus, limits};
use molecule_store::{DbError, Store, StoreError, Trim, WalTrimmer, activity::ActivityWriter};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{
    Platform,
    activity::ActivityLog,
    events::{Broadcaster, HeartbeatRelay},
    messaging::Messenger,
    numbers,
    provisioning::{Dozed, Provisioner},
    registry::{Registry, Swept, Watch},
    supervise::{Job, Supervisor},
};

impl Platform {
    /// Begins what must run before it is settled what an earlier server left behind.
    pub(crate) fn start_jobs(&self) {
        self.supervisor.last_job(Broadcaster::new(&self.events));
        self.supervisor.job(HeartbeatRelay::new(&self.events));
        let provisioner = self.provisioner.clone();
        let watch = "Notices the end of an agent at once, not by its silence";
        self.supervisor.run("exit-watch", watch, move |stop, beat| {
            let provisioner = provisioner.clone();
            async move { provisioner.watch_exits(stop, beat).await }
        });
        let messenger = self.messenger.clone();
        let tells = "Tells agents that they were restarted, and what has changed";
        self.supervisor.run("restart-context", tells, move |stop, beat| {
            let messenger = messenger.clone();
            async move { messenger.tell_restarted(stop, beat).await }
        });
        self.supervisor.job(PulseFlush {
            registry: self.registry.clone(),
            messenger: self.messenger.clone(),
        });
        self.supervisor.job(ActivityRetention {
            activity: self.activity.clone(),
            age: self.config.activity_retention,
            period: self.config.activity_cleanup,
        });
        self.supervisor.job(WriterCheck(self.writer.clone()));
        self.supervisor.job(Census(self.store.clone()));
        if let Some(trimmer) = WalTrimmer::of(self.store.db()) {
            self.supervisor.job(LogTrim(trimmer));
        }
    }

    /// Begins the sweeps that judge workspaces. They run only once it is settled what an earlier server left behind:
    /// until then a start that is about to be begun again looks like one that never completes.
    pub(crate) fn start_sweeps(&self) {
        let watch = Arc::new(Mutex::new(Watch::begin(self.clock())));
        self.supervisor.job(HealthSweep {
            registry: self.registry.clone(),
            supervisor: self.supervisor.clone(),
            watch: watch.clone(),
        });
        self.supervisor.job(StartDeadlines {
            provisioner: self.provisioner.clone(),
            watch,
        });
        self.supervisor.job(HibernationMonitor(self.provisioner.clone()));
    }
}

/// Stores beats and what else is only in memory.
struct PulseFlush {
    registry: Registry,
    messenger: Messenger,
}

#[derive(Default, Serialize)]
struct Flushed {
    beats: usize,
}

impl Job for PulseFlush {
    const NAME: &'static str = "pulse-flush";
    const DESCRIPTION: &'static str = "Stores heartbeats, last uses of tokens and last outbound calls";
    type Report = Flushed;
    type Error = StoreError;

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn activate(&mut self, report: &mut Flushed) -> Result<(), StoreError> {
        self.messenger.flush_outbound().await;
        report.beats = self.registry.flush().await?;
        Ok(())
    }
}

/// Deletes old activity (ACT-13).
struct ActivityRetention {
    activity: ActivityLog,
    age: Duration,
    period: Duration,
}

#[derive(Default, Serialize)]
struct Deleted {
    rows: u64,
}

impl Job for ActivityRetention {
    const NAME: &'static str = "activity-retention";
    const DESCRIPTION: &'static str = "Deletes activity that is older than the retention";
    type Report = Deleted;
    type Error = StoreError;

    fn period(&self) -> Duration {
        self.period
    }

    fn first_after(&self) -> Duration {
        self.period
    }

    async fn activate(&mut self, report: &mut Deleted) -> Result<(), StoreError> {
        self.activity.prune(self.age, &mut report.rows).await
    }
}

/// Looks whether activity is being stored.
struct WriterCheck(ActivityWriter);

#[derive(Default, Serialize)]
struct Nothing {}

impl Job for WriterCheck {
    const NAME: &'static str = "activity-writer";
    const DESCRIPTION: &'static str = "Looks whether activity is being stored";
    type Report = Nothing;
    type Error = StoreError;

    fn period(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn activate(&mut self, _: &mut Nothing) -> Result<(), StoreError> {
        self.0.check()
    }
}

/// Counts workspaces for those who watch numbers.
struct Census(Store);

#[derive(Default, Serialize)]
struct Counted {
    workspaces: u64,
}

impl Job for Census {
    const NAME: &'static str = "census";
    const DESCRIPTION: &'static str = "Counts workspaces by status, for the metrics";
    type Report = Counted;
    type Error = StoreError;

    fn period(&self) -> Duration {
        limits::CENSUS_PERIOD
    }

    async fn activate(&mut self, report: &mut Counted) -> Result<(), StoreError> {
        let counted = self.0.workspaces_by_status().await?;
        for status in WorkspaceStatus::ALL {
            // Rows of removed ones are kept for their history; they are no workspaces any more.
            if status == WorkspaceStatus::Removed {
                continue;
            }
            let number = counted.get(&status).copied().unwrap_or_default();
            report.workspaces += number;
            // Exact up to 2^53.
            metrics::gauge!(numbers::WORKSPACES, "status" => status.as_str()).set(number as f64);
        }
        Ok(())
    }
}

/// How long writers wait for readers when the log is emptied. A read takes milliseconds; one that lasts longer is not
/// waited for again until the log has grown as much again.
const LOG_TRIM_PATIENCE: Duration = Duration::from_millis(500);

/// Keeps SQLite's write-ahead log short.
struct LogTrim(WalTrimmer);

#[derive(Default, Serialize)]
struct Trimmed {
    emptied: bool,
    held_by_readers: bool,
}

impl Job for LogTrim {
    const NAME: &'static str = "log-trim";
    const DESCRIPTION: &'static str = "Empties SQLite's write-ahead log when it has grown";
    type Report = Trimmed;
    type Error = DbError;

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn activate(&mut self, report: &mut Trimmed) -> Result<(), DbError> {
        match self.0.trim(LOG_TRIM_PATIENCE).await? {
            Trim::Small => {}
            Trim::Emptied => {
                tracing::debug!("write-ahead log emptied");
                report.emptied = true;
            }
            Trim::Held => {
                tracing::info!("write-ahead log not emptied: it is being read all the time");
                report.held_by_readers = true;
            }
        }
        Ok(())
    }
}

/// Notices who has fallen silent, and instances that vanished (LIFE-180…183).
struct HealthSweep {
    registry: Registry,
    supervisor: Supervisor,
    watch: Arc<Mutex<Watch>>,
}

impl Job for HealthSweep {
    const NAME: &'static str = "health-sweep";
    const DESCRIPTION: &'static str = "Marks agents offline that are silent or gone, and has them restarted";
    type Report = Swept;
    type Error = StoreError;

    fn period(&self) -> Duration {
        limits::HEALTH_SWEEP_PERIOD
    }

    async fn activate(&mut self, report: &mut Swept) -> Result<(), StoreError> {
        let mut watch = self.watch.lock().await;
        if let Some(at) = self.supervisor.lag().behind_at {
            watch.was_behind(at);
        }
        *report = self.registry.sweep(&mut watch).await?;
        Ok(())
    }
}

/// Ends starts that never complete (LIFE-189…192).
struct StartDeadlines {
    provisioner: Provisioner,
    watch: Arc<Mutex<Watch>>,
}

#[derive(Default, Serialize)]
struct TimedOut {
    timed_out: usize,
}

impl Job for StartDeadlines {
    const NAME: &'static str = "provision-timeout-sweep";
    const DESCRIPTION: &'static str = "Marks starts as failed that have not completed by their deadline";
    type Report = TimedOut;
    type Error = StoreError;

    fn period(&self) -> Duration {
        limits::PROVISION_SWEEP_PERIOD
    }

    async fn activate(&mut self, report: &mut TimedOut) -> Result<(), StoreError> {
        let listening_since = self.watch.lock().await.observe(self.provisioner.now());
        report.timed_out = self.provisioner.sweep_timeouts(listening_since).await?;
        Ok(())
    }
}

/// Stops agents of which nothing is asked (LIFE-193).
struct HibernationMonitor(Provisioner);

impl Job for HibernationMonitor {
    const NAME: &'static str = "hibernation-monitor";
    const DESCRIPTION: &'static str = "Stops agents that have been idle for as long as their workspace allows";
    type Report = Dozed;
    type Error = StoreError;

    fn period(&self) -> Duration {
        limits::HIBERNATION_PERIOD
    }

    async fn activate(&mut self, report: &mut Dozed) -> Result<(), StoreError> {
        self.0.hibernate_idle(report).await
    }
}
