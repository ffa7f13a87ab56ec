//! What the services count, for Prometheus: names, and what they mean. Whoever installs a recorder tells it both.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Durations of calls to agents, seconds by outcome.
pub(crate) const CALL_SECONDS: &str = "molecule_a2a_call_duration_seconds";
/// Durations of starts, seconds by outcome.
pub(crate) const START_SECONDS: &str = "molecule_start_duration_seconds";
/// Time from a row's hand-over to its commit.
pub(crate) const WRITER_LAG: &str = molecule_store::activity::WRITER_LAG;
/// Workspaces that are there, by status.
pub(crate) const WORKSPACES: &str = "molecule_workspaces";
/// Messages, by what became of them.
pub(crate) const MESSAGES: &str = "molecule_messages_total";

/// Histograms of the services with the upper bounds of their buckets, seconds.
pub const BUCKETS: [(&str, &[f64]); 3] = [
    // An agent answers within a moment, or thinks for minutes.
    (
        CALL_SECONDS,
        &[
            0.01, 0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0,
        ],
    ),
    // An agent of our own is there within a second; an image that has to be fetched takes minutes.
    (
        START_SECONDS,
        &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0],
    ),
    // A commit takes a millisecond; seconds mean that rows come faster than the disk takes them.
    (
        WRITER_LAG,
        &[
            0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
        ],
    ),
];

/// Tells the recorder in force what the numbers mean.
pub fn describe() {
    describe_gauge!(
        WORKSPACES,
        "Workspaces that are not removed, by status; counted every few seconds."
    );
    describe_counter!(MESSAGES, "Messages to workspaces, by what became of them.");
    describe_counter!("molecule_a2a_calls_total", "Calls to agents that have ended, by how.");
    describe_histogram!(
        CALL_SECONDS,
        Unit::Seconds,
        "How long calls to agents took, by how they ended."
    );
    describe_counter!("molecule_starts_total", "Starts of workspaces that have ended, by how.");
    describe_histogram!(
        START_SECONDS,
        Unit::Seconds,
        "How long starts of workspaces took, waiting for their turn included, by how they ended."
    );
    describe_counter!(
        "molecule_job_runs_total",
        "Activations of the server's own jobs, by job and by how they ended."
    );
    describe_histogram!(
        WRITER_LAG,
        Unit::Seconds,
        "Time that an activity row waited until it was stored."
    );
    describe_counter!(
        "molecule_activity_write_failures_total",
        "Records of answered calls that could not be stored, by kind of failure."
    );
    describe_counter!(
        "molecule_workspace_transitions_total",
        "Changes of a workspace's status, by the new status."
    );
    describe_counter!(
        "molecule_status_write_failures_total",
        "Changes of a workspace's status that could not be stored."
    );
    describe_counter!(
        "molecule_events_dropped_total",
        "Events that watchers lost because they did not keep up."
    );
    describe_gauge!(
        "molecule_server_lag_seconds",
        Unit::Seconds,
        "How late the server's own work began, the last time."
    );
    describe_counter!(
        "molecule_server_behind_total",
        "Times that the server's own work began a second or more late."
    );
}
