//! Workspaces, credentials, secrets, events and activity.

use molecule_db::migrate::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "m0001_initial",
    statements: UP,
};

const UP: &[&str] = &[
    "CREATE TABLE workspaces (
        id {uuid} NOT NULL PRIMARY KEY,
        name text NOT NULL,
        role text,
        tier {int} NOT NULL DEFAULT 1,
        runtime text NOT NULL,
        status text NOT NULL CONSTRAINT workspaces_status_check CHECK (status IN (
            'provisioning', 'online', 'degraded', 'offline', 'awaiting_agent',
            'failed', 'paused', 'hibernating', 'hibernated', 'removed')),
        parent_id {uuid} REFERENCES workspaces (id),
        forwarded_to {uuid} REFERENCES workspaces (id),
        awareness_namespace text NOT NULL,
        source_bundle_id text,
        template text,
        agent_card text,
        url text NOT NULL DEFAULT '',
        url_assigned {bool} NOT NULL DEFAULT {false},
        delivery_mode text CONSTRAINT workspaces_delivery_mode_check CHECK (delivery_mode IN ('push', 'poll')),
        instance_ref text,
        start_files text,
        reset_session {bool} NOT NULL DEFAULT {false},
        restart_due {bool} NOT NULL DEFAULT {false},
        inbound_secret {bytes},
        inbound_secret_key text,
        runtime_image_digest text,
        workspace_dir text,
        workspace_access text NOT NULL DEFAULT 'none'
            CONSTRAINT workspaces_access_check CHECK (workspace_access IN ('none', 'read_only', 'read_write')),
        budget_limit {bigint},
        max_concurrent_tasks {int} NOT NULL DEFAULT 1,
        hibernation_idle_minutes {int},
        generation {bigint} NOT NULL DEFAULT 0,
        version {bigint} NOT NULL DEFAULT 0,
        status_changed_at {bigint} NOT NULL,
        created_at {bigint} NOT NULL,
        updated_at {bigint} NOT NULL
    ) {strict}",
    "CREATE INDEX workspaces_parent ON workspaces (parent_id) WHERE parent_id IS NOT NULL",
    "CREATE INDEX workspaces_forwarded ON workspaces (forwarded_to) WHERE forwarded_to IS NOT NULL",
    "CREATE INDEX workspaces_order ON workspaces (created_at, id) WHERE status <> 'removed'",
    "CREATE INDEX workspaces_digest ON workspaces (runtime_image_digest) WHERE runtime_image_digest IS NOT NULL",
    "CREATE TABLE canvas_layouts (
        workspace_id {uuid} NOT NULL PRIMARY KEY REFERENCES workspaces (id),
        x {real} NOT NULL DEFAULT 0,
        y {real} NOT NULL DEFAULT 0,
        collapsed {bool} NOT NULL DEFAULT {false}
    ) {strict}",
    "CREATE TABLE workspace_pulse (
        workspace_id {uuid} NOT NULL PRIMARY KEY REFERENCES workspaces (id),
        last_beat_at {bigint},
        uptime_seconds {bigint} NOT NULL DEFAULT 0,
        error_rate {real} NOT NULL DEFAULT 0,
        sample_error text NOT NULL DEFAULT '',
        active_tasks {bigint} NOT NULL DEFAULT 0,
        current_task text NOT NULL DEFAULT '',
        monthly_spend {bigint} NOT NULL DEFAULT 0,
        last_outbound_at {bigint}
    ) {strict}",
    "CREATE TABLE workspace_auth_tokens (
        id {uuid} NOT NULL PRIMARY KEY,
        workspace_id {uuid} NOT NULL REFERENCES workspaces (id),
        hash {bytes} NOT NULL UNIQUE,
        prefix text NOT NULL,
        created_at {bigint} NOT NULL,
        last_used_at {bigint},
        revoked_at {bigint}
    ) {strict}",
    "CREATE INDEX workspace_auth_tokens_live ON workspace_auth_tokens (workspace_id) WHERE revoked_at IS NULL",
    "CREATE TABLE org_api_tokens (
        id {uuid} NOT NULL PRIMARY KEY,
        name text,
        created_by text NOT NULL,
        org_id {uuid} REFERENCES workspaces (id) ON DELETE SET NULL,
        hash {bytes} NOT NULL UNIQUE,
        prefix text NOT NULL,
        created_at {bigint} NOT NULL,
        last_used_at {bigint},
        revoked_at {bigint}
    ) {strict}",
    "CREATE INDEX org_api_tokens_org ON org_api_tokens (org_id) WHERE org_id IS NOT NULL",
    "CREATE TABLE login_sessions (
        id {uuid} NOT NULL PRIMARY KEY,
        hash {bytes} NOT NULL UNIQUE,
        created_at {bigint} NOT NULL,
        expires_at {bigint} NOT NULL
    ) {strict}",
    "CREATE TABLE workspace_secrets (
        workspace_id {uuid} NOT NULL REFERENCES workspaces (id),
        key text NOT NULL,
        value {bytes} NOT NULL,
        encryption_version {int} NOT NULL,
        key_id text NOT NULL,
        origin text NOT NULL CONSTRAINT workspace_secrets_origin_check CHECK (origin IN ('set', 'derived')),
        created_at {bigint} NOT NULL,
        updated_at {bigint} NOT NULL,
        PRIMARY KEY (workspace_id, key)
    ) {strict}",
    "CREATE TABLE global_secrets (
        key text NOT NULL PRIMARY KEY,
        value {bytes} NOT NULL,
        encryption_version {int} NOT NULL,
        key_id text NOT NULL,
        created_at {bigint} NOT NULL,
        updated_at {bigint} NOT NULL
    ) {strict}",
    "CREATE TABLE workspace_config (
        workspace_id {uuid} NOT NULL PRIMARY KEY REFERENCES workspaces (id),
        data text NOT NULL,
        updated_at {bigint} NOT NULL
    ) {strict}",
    // `seq` is taken from this table as the last step before an insert, so that its order is the order of visibility.
    "CREATE TABLE log_head (name text NOT NULL PRIMARY KEY, seq {bigint} NOT NULL, at {bigint} NOT NULL) {strict}",
    "INSERT INTO log_head (name, seq, at) VALUES ('events', 0, 0), ('activity', 0, 0)",
    // No foreign key: events outlive the workspace they speak of.
    "CREATE TABLE structure_events (
        seq {bigint} NOT NULL PRIMARY KEY,
        id {uuid} NOT NULL UNIQUE,
        event_type text NOT NULL,
        workspace_id {uuid},
        agent_id {uuid},
        target_id {uuid},
        payload text NOT NULL,
        created_at {bigint} NOT NULL
    ) {strict}",
    "CREATE INDEX structure_events_workspace ON structure_events (workspace_id, seq)",
    "CREATE INDEX structure_events_created ON structure_events (created_at)",
    "CREATE TABLE activity_logs (
        seq {bigint} NOT NULL PRIMARY KEY,
        id {uuid} NOT NULL UNIQUE,
        workspace_id {uuid} NOT NULL,
        activity_type text NOT NULL,
        source_id {uuid},
        target_id {uuid},
        method text,
        summary text,
        request_body text,
        response_body text,
        tool_trace text,
        duration_ms {bigint},
        status text NOT NULL DEFAULT 'ok',
        error_detail text,
        idempotency_key text,
        created_at {bigint} NOT NULL
    ) {strict}",
    // The kind comes last (ACT-11): a feed of every kind is in order too, and one of a single kind is still decided
    // within the index. A second index, kind first, would make each recorded call dearer.
    "CREATE INDEX activity_logs_feed ON activity_logs (workspace_id, seq, activity_type)",
    "CREATE INDEX activity_logs_created ON activity_logs (created_at)",
    // Two, because no compound index serves `source = X OR target = X`; partial, because most rows carry neither.
    "CREATE INDEX activity_logs_source ON activity_logs (workspace_id, source_id, seq) WHERE source_id IS NOT NULL",
    "CREATE INDEX activity_logs_target ON activity_logs (workspace_id, target_id, seq) WHERE target_id IS NOT NULL",
    "CREATE INDEX activity_logs_open ON activity_logs (seq) WHERE status = 'in_progress'",
    "CREATE UNIQUE INDEX activity_logs_idempotency ON activity_logs (workspace_id, idempotency_key)
        WHERE idempotency_key IS NOT NULL",
];
