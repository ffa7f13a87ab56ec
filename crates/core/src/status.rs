//! The status machine: [`next`] is the whole of it.

use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;

/// What a workspace is doing (LIFE-6). The set is closed; the stored constraint equals [`WorkspaceStatus::ALL`].
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WorkspaceStatus {
    /// A start was dispatched; no contact yet.
    Provisioning,
    /// The agent is alive.
    Online,
    /// Alive, but erroring or wedged.
    Degraded,
    /// A managed agent was lost; a restart follows.
    Offline,
    /// External workspace without a connected agent.
    AwaitingAgent,
    /// A start did not complete.
    Failed,
    /// Stopped by an operator; resumes only on request.
    Paused,
    /// An idle stop was claimed.
    Hibernating,
    /// Idle and stopped; wakes on a message.
    Hibernated,
    /// Tombstone, kept for audit.
    Removed,
}

vocabulary!(WorkspaceStatus);

impl WorkspaceStatus {
    /// Statuses in which an agent answers.
    pub const ALIVE: [Self; 2] = [Self::Online, Self::Degraded];

    /// Online or degraded.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::ALIVE.contains(&self)
    }
}

impl std::fmt::Display for WorkspaceStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a status might change. Each names the requirement of its transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumCount, strum::VariantArray)]
pub enum Trigger {
    /// External workspace created with a URL (LIFE-12).
    CreatedWithUrl,
    /// External workspace created without one (LIFE-13).
    CreatedWithoutUrl,
    /// `POST /registry/register` (LIFE-14).
    Registered,
    /// A heartbeat, judged by [`Facts`] (LIFE-15…19, LIFE-37).
    Heartbeat,
    /// The backend says the instance is not running: exit seen, sweep, or a failed A2A forward (LIFE-20, LIFE-21).
    InstanceGone,
    /// The same once too often: it is not restarted any more (D30).
    CrashLoop,
    /// Nothing was heard for the liveness window (LIFE-22…24).
    ContactLost,
    /// Unattended restart (LIFE-25).
    AutoRestart,
    /// Restart asked for (LIFE-26).
    ManualRestart,
    /// A message for a hibernated workspace (LIFE-27).
    Wake,
    /// Resume (LIFE-28).
    Resume,
    /// Idle stop claimed (LIFE-29).
    HibernateClaimed,
    /// Idle stop done (LIFE-29).
    HibernateDone,
    /// Pause (LIFE-30).
    Pause,
    /// A start failed: error, panic, missing env, no backend, timeout, bootstrap report (LIFE-31…33).
    StartFailed,
    /// Delete or collapse (LIFE-34).
    Delete,
    /// Operator undoes a soft removal (LIFE-199).
    Restore,
}

impl Trigger {
    /// Every trigger, for exhaustive tests.
    pub const ALL: [Self; <Self as strum::EnumCount>::COUNT] = *<Self as strum::VariantArray>::VARIANTS
        .first_chunk()
        .expect("there are as many as are counted");
}

/// What else the decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Facts {
    /// Runtime is `external`.
    pub external: bool,
    /// The heartbeat says `runtime_state: "wedged"`.
    pub wedged: bool,
    /// Share of failed requests since the last beat, 0…1.
    pub error_rate: f64,
    /// The adapter manages its own status: no inference from `error_rate` (LIFE-18, REG-68).
    pub native_status: bool,
    /// Tasks running now.
    pub active_tasks: i64,
    /// The operator insists (hibernate with running tasks).
    pub force: bool,
    /// A restart cycle owns the workspace: beats of the old instance must not promote it (LIFE OP-8).
    pub restarting: bool,
}

/// From this error rate on a beat degrades an online workspace (LIFE-18).
const DEGRADE_AT: f64 = 0.5;
/// Below this error rate a beat heals a degraded one (LIFE-19).
const HEAL_BELOW: f64 = 0.1;

/// Where `trigger` leads from `status`; `None` means it changes nothing. Total: every combination has an answer.
///
/// Nothing but [`Trigger::Restore`] leaves `removed` (LIFE-9, LIFE-199).
#[must_use]
pub fn next(status: WorkspaceStatus, trigger: Trigger, facts: Facts) -> Option<WorkspaceStatus> {
    use WorkspaceStatus::{
        AwaitingAgent, Degraded, Failed, Hibernated, Hibernating, Offline, Online, Paused, Provisioning, Removed,
    };

    let to = match trigger {
        Trigger::CreatedWithUrl => (status == Provisioning && facts.external).then_some(Online),
        Trigger::CreatedWithoutUrl => (status == Provisioning && facts.external).then_some(AwaitingAgent),
        Trigger::Registered => match status {
            // A late register must not end a pause or an idle stop (OP-3).
            Paused | Hibernating | Hibernated | Removed => None,
            Provisioning | Online | Degraded | Offline | AwaitingAgent | Failed => Some(Online),
        },
        Trigger::Heartbeat => heartbeat(status, facts),
        Trigger::InstanceGone => match status {
            Online | Degraded if !facts.external => Some(Offline),
            _ => None,
        },
        Trigger::CrashLoop => match status {
            Online | Degraded if !facts.external => Some(Failed),
            _ => None,
        },
        Trigger::ContactLost => match status {
            Online | Degraded if facts.external => Some(AwaitingAgent),
            Online | Degraded => Some(Offline),
            _ => None,
        },
        Trigger::AutoRestart => match status {
            Removed | Paused | Hibernating | Hibernated => None,
            Provisioning | Online | Degraded | Offline | AwaitingAgent | Failed => managed(facts, Provisioning),
        },
        Trigger::ManualRestart => match status {
            Removed => None,
            _ => managed(facts, Provisioning),
        },
        Trigger::Wake => (status == Hibernated).then(|| managed(facts, Provisioning)).flatten(),
        Trigger::Resume => (status == Paused).then_some(if facts.external { AwaitingAgent } else { Provisioning }),
        Trigger::HibernateClaimed => {
            let idle = facts.active_tasks == 0 || facts.force;
            (status.is_alive() && idle && !facts.external).then_some(Hibernating)
        }
        Trigger::HibernateDone => (status == Hibernating).then_some(Hibernated),
        Trigger::Pause => match status {
            Removed | Paused => None,
            _ => Some(Paused),
        },
        Trigger::StartFailed => (status == Provisioning).then_some(Failed),
        Trigger::Delete => (status != Removed).then_some(Removed),
        Trigger::Restore => (status == Removed).then_some(if facts.external { AwaitingAgent } else { Offline }),
    };
    to.filter(|to| *to != status || trigger == Trigger::ManualRestart || trigger == Trigger::AutoRestart)
}

fn managed(facts: Facts, to: WorkspaceStatus) -> Option<WorkspaceStatus> {
    (!facts.external).then_some(to)
}

fn heartbeat(status: WorkspaceStatus, facts: Facts) -> Option<WorkspaceStatus> {
    use WorkspaceStatus::{
        AwaitingAgent, Degraded, Failed, Hibernated, Hibernating, Offline, Online, Paused, Provisioning, Removed,
    };

    match status {
        Provisioning if facts.restarting => None,
        Provisioning | Offline | AwaitingAgent => Some(Online),
        Online if facts.wedged => Some(Degraded),
        Online if !facts.native_status && facts.error_rate >= DEGRADE_AT => Some(Degraded),
        Degraded if !facts.native_status && !facts.wedged && facts.error_rate < HEAL_BELOW => Some(Online),
        Online | Degraded | Failed | Paused | Hibernating | Hibernated | Removed => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::{WorkspaceStatus::*, *};

    const NONE: Facts = Facts {
        external: false,
        wedged: false,
        error_rate: 0.0,
        native_status: false,
        active_tasks: 0,
        force: false,
        restarting: false,
    };
    const EXTERNAL: Facts = Facts { external: true, ..NONE };

    /// `(id, trigger, facts, statuses that move, where to)`; every status not listed stays.
    type Row = (
        &'static str,
        Trigger,
        Facts,
        &'static [WorkspaceStatus],
        WorkspaceStatus,
    );

    const TABLE: &[Row] = &[
        ("LIFE-12", Trigger::CreatedWithUrl, EXTERNAL, &[Provisioning], Online),
        (
            "LIFE-13",
            Trigger::CreatedWithoutUrl,
            EXTERNAL,
            &[Provisioning],
            AwaitingAgent,
        ),
        (
            "LIFE-14",
            Trigger::Registered,
            NONE,
            &[Provisioning, Degraded, Offline, AwaitingAgent, Failed],
            Online,
        ),
        (
            "LIFE-15/16/17",
            Trigger::Heartbeat,
            Facts {
                error_rate: 0.2,
                ..NONE
            },
            &[Provisioning, Offline, AwaitingAgent],
            Online,
        ),
        ("LIFE-22", Trigger::ContactLost, NONE, &[Online, Degraded], Offline),
        (
            "LIFE-23/24",
            Trigger::ContactLost,
            EXTERNAL,
            &[Online, Degraded],
            AwaitingAgent,
        ),
        ("LIFE-20/21", Trigger::InstanceGone, NONE, &[Online, Degraded], Offline),
        ("LIFE-21 external", Trigger::InstanceGone, EXTERNAL, &[], Offline),
        ("D30", Trigger::CrashLoop, NONE, &[Online, Degraded], Failed),
        ("D30 external", Trigger::CrashLoop, EXTERNAL, &[], Failed),
        (
            "LIFE-25",
            Trigger::AutoRestart,
            NONE,
            &[Provisioning, Online, Degraded, Offline, AwaitingAgent, Failed],
            Provisioning,
        ),
        (
            "LIFE-26",
            Trigger::ManualRestart,
            NONE,
            &[
                Provisioning,
                Online,
                Degraded,
                Offline,
                AwaitingAgent,
                Failed,
                Paused,
                Hibernating,
                Hibernated,
            ],
            Provisioning,
        ),
        ("LIFE-118", Trigger::ManualRestart, EXTERNAL, &[], Provisioning),
        ("LIFE-27", Trigger::Wake, NONE, &[Hibernated], Provisioning),
        ("LIFE-28", Trigger::Resume, NONE, &[Paused], Provisioning),
        ("OP-9", Trigger::Resume, EXTERNAL, &[Paused], AwaitingAgent),
        (
            "LIFE-29",
            Trigger::HibernateClaimed,
            NONE,
            &[Online, Degraded],
            Hibernating,
        ),
        (
            "LIFE-160",
            Trigger::HibernateClaimed,
            Facts {
                active_tasks: 1,
                ..NONE
            },
            &[],
            Hibernating,
        ),
        (
            "LIFE-158",
            Trigger::HibernateClaimed,
            Facts {
                active_tasks: 1,
                force: true,
                ..NONE
            },
            &[Online, Degraded],
            Hibernating,
        ),
        ("LIFE-29 end", Trigger::HibernateDone, NONE, &[Hibernating], Hibernated),
        (
            "LIFE-30",
            Trigger::Pause,
            NONE,
            &[
                Provisioning,
                Online,
                Degraded,
                Offline,
                AwaitingAgent,
                Failed,
                Hibernating,
                Hibernated,
            ],
            Paused,
        ),
        ("LIFE-31/32/33", Trigger::StartFailed, NONE, &[Provisioning], Failed),
        (
            "LIFE-34",
            Trigger::Delete,
            NONE,
            &[
                Provisioning,
                Online,
                Degraded,
                Offline,
                AwaitingAgent,
                Failed,
                Paused,
                Hibernating,
                Hibernated,
            ],
            Removed,
        ),
        ("LIFE-199", Trigger::Restore, NONE, &[Removed], Offline),
        (
            "LIFE-199 external",
            Trigger::Restore,
            EXTERNAL,
            &[Removed],
            AwaitingAgent,
        ),
    ];

    #[test]
    fn transition_table() {
        for (id, trigger, facts, moving, to) in TABLE {
            for status in WorkspaceStatus::ALL {
                let expected = moving.contains(&status).then_some(*to);
                assert_eq!(
                    next(status, *trigger, *facts),
                    expected,
                    "{id}: {status} on {trigger:?}"
                );
            }
        }
    }

    #[test]
    fn every_trigger_is_in_the_table() {
        let named: HashSet<_> = TABLE.iter().map(|row| row.1).collect();
        assert_eq!(named.len(), Trigger::ALL.len());
    }

    #[test]
    fn error_rate_thresholds() {
        // LIFE-18, LIFE-19, REG-66, REG-68
        let beat = |status, error_rate, wedged, native_status| {
            next(
                status,
                Trigger::Heartbeat,
                Facts {
                    error_rate,
                    wedged,
                    native_status,
                    ..NONE
                },
            )
        };
        assert_eq!(beat(Online, 0.5, false, false), Some(Degraded));
        assert_eq!(beat(Online, 0.499, false, false), None);
        assert_eq!(
            beat(Online, 0.9, false, true),
            None,
            "native status_mgmt forbids inference"
        );
        assert_eq!(
            beat(Online, 0.0, true, true),
            Some(Degraded),
            "a wedge is a self-report"
        );
        assert_eq!(beat(Degraded, 0.1, false, false), None);
        assert_eq!(beat(Degraded, 0.09, false, false), Some(Online));
        assert_eq!(beat(Degraded, 0.0, true, false), None);
        assert_eq!(beat(Degraded, 0.0, false, true), None);
    }

    #[test]
    fn beats_of_the_old_instance_do_not_promote() {
        // LIFE OP-8
        assert_eq!(
            next(
                Provisioning,
                Trigger::Heartbeat,
                Facts {
                    restarting: true,
                    ..NONE
                }
            ),
            None
        );
    }

    #[test]
    fn spellings_round_trip() {
        for status in WorkspaceStatus::ALL {
            assert_eq!(WorkspaceStatus::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
        }
        assert_eq!(WorkspaceStatus::parse("Online"), None);
    }

    #[test]
    fn every_status_is_reachable_from_provisioning() {
        let mut seen = HashSet::from([Provisioning]);
        loop {
            let found: Vec<_> = seen
                .iter()
                .flat_map(|status| Trigger::ALL.map(|trigger| (*status, trigger)))
                .flat_map(|(status, trigger)| {
                    [NONE, EXTERNAL, Facts { wedged: true, ..NONE }].map(|facts| next(status, trigger, facts))
                })
                .flatten()
                .filter(|status| !seen.contains(status))
                .collect();
            if found.is_empty() {
                break;
            }
            seen.extend(found);
        }
        assert_eq!(seen.len(), WorkspaceStatus::ALL.len());
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        (
            any::<bool>(),
            any::<bool>(),
            any::<f64>(),
            any::<bool>(),
            any::<i64>(),
            any::<bool>(),
            any::<bool>(),
        )
            .prop_map(
                |(external, wedged, error_rate, native_status, active_tasks, force, restarting)| Facts {
                    external,
                    wedged,
                    error_rate,
                    native_status,
                    active_tasks,
                    force,
                    restarting,
                },
            )
    }

    proptest! {
        /// LIFE-9: no trigger but the operator's restore leads out of `removed`, whatever the facts; and `next` is
        /// total (it never panics, NaN error rates included).
        #[test]
        fn nothing_leaves_removed(facts in any_facts(), trigger in proptest::sample::select(Trigger::ALL.to_vec())) {
            for status in WorkspaceStatus::ALL {
                let to = next(status, trigger, facts);
                if status == Removed && trigger != Trigger::Restore {
                    prop_assert_eq!(to, None);
                }
            }
        }

        /// LIFE-37: a beat never ends a failure, a pause or an idle stop.
        #[test]
        fn beats_leave_stopped_statuses_alone(facts in any_facts()) {
            for status in [Failed, Paused, Hibernating, Hibernated] {
                prop_assert_eq!(next(status, Trigger::Heartbeat, facts), None);
            }
        }
    }
}
