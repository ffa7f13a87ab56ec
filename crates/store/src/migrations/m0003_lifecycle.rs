//! When workspaces were last busy, who is assigned to them, and what the sweeps look things up by.

use molecule_db::migrate::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "m0003_lifecycle",
    statements: UP,
};

const UP: &[&str] = &[
    // Tasks ran, or messages came or went. NULL: not since this column exists.
    "ALTER TABLE workspace_pulse ADD COLUMN last_active_at {bigint}",
    "CREATE INDEX workspaces_status ON workspaces (status)",
    "CREATE INDEX workspaces_hibernation ON workspaces (hibernation_idle_minutes)
        WHERE hibernation_idle_minutes IS NOT NULL",
    "CREATE TABLE agents (
        id {uuid} NOT NULL PRIMARY KEY,
        workspace_id {uuid} NOT NULL REFERENCES workspaces (id),
        model text NOT NULL,
        status text NOT NULL CONSTRAINT agents_status_check CHECK (status IN ('active', 'replaced', 'removed')),
        removed_at {bigint},
        removal_reason text,
        created_at {bigint} NOT NULL
    ) {strict}",
    "CREATE INDEX agents_workspace ON agents (workspace_id)",
    "CREATE UNIQUE INDEX agents_active ON agents (workspace_id) WHERE status = 'active'",
];
