//! Scopes of org tokens, whose sessions are whose, the audit of changes, and which plugins an org allows.

use molecule_db::migrate::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "m0004_credentials",
    statements: UP,
};

const UP: &[&str] = &[
    "ALTER TABLE org_api_tokens ADD COLUMN anchored {bool} NOT NULL DEFAULT {false}",
    "ALTER TABLE org_api_tokens ADD COLUMN read_only {bool} NOT NULL DEFAULT {false}",
    "ALTER TABLE org_api_tokens ADD COLUMN expires_at {bigint}",
    "UPDATE org_api_tokens SET anchored = (1 = 1) WHERE org_id IS NOT NULL",
    "CREATE INDEX org_api_tokens_live ON org_api_tokens (created_at) WHERE revoked_at IS NULL",
    "ALTER TABLE login_sessions ADD COLUMN agent text",
    "ALTER TABLE login_sessions ADD COLUMN address text",
    "ALTER TABLE login_sessions ADD COLUMN last_used_at {bigint}",
    "INSERT INTO log_head (name, seq, at) VALUES ('audit', 0, 0)",
    // No foreign key: the audit outlives whatever it speaks of.
    "CREATE TABLE audit_records (
        seq {bigint} NOT NULL PRIMARY KEY,
        id {uuid} NOT NULL UNIQUE,
        created_at {bigint} NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        route text NOT NULL,
        workspace_id {uuid},
        target text,
        address text,
        trace_id text,
        state_before text,
        key_id text NOT NULL,
        prev_hmac {bytes} NOT NULL,
        hmac {bytes} NOT NULL,
        status {int},
        made text,
        state_after text,
        outcome_hmac {bytes}
    ) {strict}",
    "CREATE INDEX audit_records_workspace ON audit_records (workspace_id, seq) WHERE workspace_id IS NOT NULL",
    "CREATE INDEX audit_records_actor ON audit_records (actor, seq)",
    "CREATE INDEX audit_records_action ON audit_records (action, seq)",
    "CREATE TABLE org_plugin_allowlist (
        org_id {uuid} NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
        plugin_name text NOT NULL,
        enabled_by text NOT NULL,
        enabled_at {bigint} NOT NULL,
        PRIMARY KEY (org_id, plugin_name)
    ) {strict}",
];
