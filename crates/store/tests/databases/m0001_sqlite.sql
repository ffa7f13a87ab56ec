PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE IF NOT EXISTS "seaql_migrations" ( "version" varchar NOT NULL PRIMARY KEY, "applied_at" integer NOT NULL );
INSERT INTO seaql_migrations VALUES('m0001_initial',1796104069);
CREATE TABLE workspaces (
        id BLOB NOT NULL PRIMARY KEY,
        name text NOT NULL,
        role text,
        tier INTEGER NOT NULL DEFAULT 1,
        runtime text NOT NULL,
        status text NOT NULL CONSTRAINT workspaces_status_check CHECK (status IN (
            'provisioning', 'online', 'degraded', 'offline', 'awaiting_agent',
            'failed', 'paused', 'hibernating', 'hibernated', 'removed')),
        parent_id BLOB REFERENCES workspaces (id),
        forwarded_to BLOB REFERENCES workspaces (id),
        awareness_namespace text NOT NULL,
        source_bundle_id text,
        template text,
        agent_card text,
        url text NOT NULL DEFAULT '',
        url_assigned INTEGER NOT NULL DEFAULT 0,
        delivery_mode text CONSTRAINT workspaces_delivery_mode_check CHECK (delivery_mode IN ('push', 'poll')),
        instance_ref text,
        start_files text,
        reset_session INTEGER NOT NULL DEFAULT 0,
        restart_due INTEGER NOT NULL DEFAULT 0,
        inbound_secret BLOB,
        inbound_secret_key text,
        runtime_image_digest text,
        workspace_dir text,
        workspace_access text NOT NULL DEFAULT 'none'
            CONSTRAINT workspaces_access_check CHECK (workspace_access IN ('none', 'read_only', 'read_write')),
        budget_limit INTEGER,
        max_concurrent_tasks INTEGER NOT NULL DEFAULT 1,
        hibernation_idle_minutes INTEGER,
        generation INTEGER NOT NULL DEFAULT 0,
        version INTEGER NOT NULL DEFAULT 0,
        status_changed_at INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
INSERT INTO workspaces VALUES(X'3c1f50584aa54370ab04c9a27c4f1c76','Lead','Leads',2,'external','online',NULL,NULL,'workspace:3c1f5058-4aa5-4370-ab04-c9a27c4f1c76',NULL,NULL,'{"name": "x", "protocolVersion": "0.3.0"}','',0,'poll',NULL,NULL,0,0,X'c105215e0af8a2d70d1692ba37b36f4dd6391a214fa36725f546ccfe2e2ba9e454d61dba685fa0a7d69e8c5534e68ebb7122bba30f704fce328020c7bf9bfe9ea2d6a23220457b','4bb06f8e',NULL,NULL,'none',NULL,1,NULL,0,3,1796104070585994,1796104070557470,1796104071316322);
INSERT INTO workspaces VALUES(X'2bc6802d097440eca833174a0f9c49e6','Worker "ümlaut"',NULL,2,'external','online',X'3c1f50584aa54370ab04c9a27c4f1c76',NULL,'workspace:2bc6802d-0974-40ec-a833-174a0f9c49e6',NULL,NULL,'{"name": "x", "protocolVersion": "0.3.0"}','',0,'poll',NULL,NULL,0,0,X'6ea50cef20b505ca3f66d42730641d5a519f15eae7c36d6603d5a6f1940f54e86acfb24b08c1d9b5bf9b0852a2251a4c2f7bcd7af1d383362137914ffe34fd8c62546e6b9c1ee6','4bb06f8e',NULL,NULL,'none',NULL,1,NULL,0,2,1796104070700348,1796104070562829,1796104070846622);
INSERT INTO workspaces VALUES(X'f2bd3d76037143c2a50d836f629f8a21','Gone',NULL,2,'external','removed',NULL,NULL,'workspace:f2bd3d76-0371-43c2-a50d-836f629f8a21',NULL,NULL,NULL,'',0,NULL,NULL,NULL,0,0,X'5afcdb8c8163233a644301d2220a8afa5730f4dede92c13d65bdd66f59850b2adaa34f758cd01026417b436fcf893047b1790d6a5b2fe877a892aff4b4386df7bf8092ee3194c1','4bb06f8e',NULL,NULL,'none',NULL,1,NULL,0,3,1796104070576931,1796104070569329,1796104070576931);
INSERT INTO workspaces VALUES(X'b9c183570b354ab6977b6d0701adc868','Managed',NULL,2,'echo','failed',NULL,NULL,'workspace:b9c18357-0b35-4ab6-977b-6d0701adc868',NULL,NULL,NULL,'',0,'push',NULL,'"generated"',0,1,NULL,NULL,NULL,NULL,'none',NULL,1,NULL,0,1,1796104070584414,1796104070580044,1796104070584414);
CREATE TABLE canvas_layouts (
        workspace_id BLOB NOT NULL PRIMARY KEY REFERENCES workspaces (id),
        x REAL NOT NULL DEFAULT 0,
        y REAL NOT NULL DEFAULT 0,
        collapsed INTEGER NOT NULL DEFAULT 0
    ) STRICT;
INSERT INTO canvas_layouts VALUES(X'3c1f50584aa54370ab04c9a27c4f1c76',3.5,-2.0,0);
INSERT INTO canvas_layouts VALUES(X'2bc6802d097440eca833174a0f9c49e6',0.0,0.0,0);
INSERT INTO canvas_layouts VALUES(X'b9c183570b354ab6977b6d0701adc868',0.0,0.0,0);
CREATE TABLE workspace_pulse (
        workspace_id BLOB NOT NULL PRIMARY KEY REFERENCES workspaces (id),
        last_beat_at INTEGER,
        uptime_seconds INTEGER NOT NULL DEFAULT 0,
        error_rate REAL NOT NULL DEFAULT 0,
        sample_error text NOT NULL DEFAULT '',
        active_tasks INTEGER NOT NULL DEFAULT 0,
        current_task text NOT NULL DEFAULT '',
        monthly_spend INTEGER NOT NULL DEFAULT 0,
        last_outbound_at INTEGER
    ) STRICT;
INSERT INTO workspace_pulse VALUES(X'3c1f50584aa54370ab04c9a27c4f1c76',1796104070673386,77,0.25,'some',2,'digging',12,NULL);
INSERT INTO workspace_pulse VALUES(X'2bc6802d097440eca833174a0f9c49e6',1796104070867143,77,0.25,'some',2,'digging',12,NULL);
INSERT INTO workspace_pulse VALUES(X'f2bd3d76037143c2a50d836f629f8a21',1796104070573017,0,0.0,'',0,'',0,NULL);
INSERT INTO workspace_pulse VALUES(X'b9c183570b354ab6977b6d0701adc868',NULL,0,0.0,'no backend is configured to run workspaces: set MOLECULE_BACKEND to process, docker (with a Docker daemon), kubernetes or control-plane (MOLECULE_ORG_ID), then restart the workspace',0,'',0,NULL);
CREATE TABLE workspace_auth_tokens (
        id BLOB NOT NULL PRIMARY KEY,
        workspace_id BLOB NOT NULL REFERENCES workspaces (id),
        hash BLOB NOT NULL UNIQUE,
        prefix text NOT NULL,
        created_at INTEGER NOT NULL,
        last_used_at INTEGER,
        revoked_at INTEGER
    ) STRICT;
INSERT INTO workspace_auth_tokens VALUES(X'e8a70984c59441b0994695ae94ac2ce7',X'3c1f50584aa54370ab04c9a27c4f1c76',X'0d54b381d1b1ed8f666fdeb7550128e775da99033e81b7939a4c6be7553bdfbe','8ENdx0Rb',1796104070557803,1796104070888468,NULL);
INSERT INTO workspace_auth_tokens VALUES(X'e873e3011a6342f192ce425cd37b6d9a',X'2bc6802d097440eca833174a0f9c49e6',X'e78284aeb93187709914bd91c654f4354eaa82581624313c6784927a5bdbb87b','sgBBTOOg',1796104070563074,1796104070866636,NULL);
INSERT INTO workspace_auth_tokens VALUES(X'22039c3ed0ee4cc6a34ad5476ec15233',X'f2bd3d76037143c2a50d836f629f8a21',X'fded5213a21131c03b4480c25e8b4ea46146541b8c6ff47b3a47987b044504f2','5cRUK3_T',1796104070569532,1796104070572087,1796104070577216);
CREATE TABLE org_api_tokens (
        id BLOB NOT NULL PRIMARY KEY,
        name text,
        created_by text NOT NULL,
        org_id BLOB REFERENCES workspaces (id) ON DELETE SET NULL,
        hash BLOB NOT NULL UNIQUE,
        prefix text NOT NULL,
        created_at INTEGER NOT NULL,
        last_used_at INTEGER,
        revoked_at INTEGER
    ) STRICT;
INSERT INTO org_api_tokens VALUES(X'73c7015ce5fe41e3ac9de09dba707008','ci','admin-token',NULL,X'd9bd62fe43eb218dcd3ef96bc4856d04e4e23092ea0505a7cc341241a820a144','zdThoTZZ',1796104071293616,NULL,NULL);
CREATE TABLE login_sessions (
        id BLOB NOT NULL PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT;
CREATE TABLE workspace_secrets (
        workspace_id BLOB NOT NULL REFERENCES workspaces (id),
        key text NOT NULL,
        value BLOB NOT NULL,
        encryption_version INTEGER NOT NULL,
        key_id text NOT NULL,
        origin text NOT NULL CONSTRAINT workspace_secrets_origin_check CHECK (origin IN ('set', 'derived')),
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        PRIMARY KEY (workspace_id, key)
    ) STRICT;
INSERT INTO workspace_secrets VALUES(X'b9c183570b354ab6977b6d0701adc868','MODEL_KEY',X'f5e50060c141c10d914fa58a0832344332f0c4f2ba3abbbe117ac13adb',1,'4bb06f8e','set',1796104070580401,1796104070580401);
INSERT INTO workspace_secrets VALUES(X'3c1f50584aa54370ab04c9a27c4f1c76','API_KEY',X'dfa47bdd299a8b5ec394d1547addaa74e5fe26f314b4704905573f3d9beefe2f8e65',1,'4bb06f8e','set',1796104071169306,1796104071169306);
CREATE TABLE global_secrets (
        key text NOT NULL PRIMARY KEY,
        value BLOB NOT NULL,
        encryption_version INTEGER NOT NULL,
        key_id text NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
INSERT INTO global_secrets VALUES('GLOBAL_KEY',X'd464dee6a862fd929771b126cb0237224e915afc2e42e85c0bdd82ed1ba793ef',1,'4bb06f8e',1796104071265128,1796104071265128);
CREATE TABLE workspace_config (
        workspace_id BLOB NOT NULL PRIMARY KEY REFERENCES workspaces (id),
        data text NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
INSERT INTO workspace_config VALUES(X'b9c183570b354ab6977b6d0701adc868','{"name":"Managed","runtime":"echo","model":null,"tier":2,"template":null}',1796104070581669);
CREATE TABLE log_head (name text NOT NULL PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
INSERT INTO log_head VALUES('events',9,1796104070756496);
INSERT INTO log_head VALUES('activity',1,1796104070929281);
CREATE TABLE structure_events (
        seq INTEGER NOT NULL PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        event_type text NOT NULL,
        workspace_id BLOB,
        agent_id BLOB,
        target_id BLOB,
        payload text NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT;
INSERT INTO structure_events VALUES(1,X'01a23025259d7127944f2ae7151bdd05','WORKSPACE_AWAITING_AGENT',X'3c1f50584aa54370ab04c9a27c4f1c76',NULL,NULL,'{"name":"Lead","external":true}',1796104070557860);
INSERT INTO structure_events VALUES(2,X'01a2302525a37737a88466ea5dbe3707','WORKSPACE_AWAITING_AGENT',X'2bc6802d097440eca833174a0f9c49e6',NULL,NULL,'{"name":"Worker \"ümlaut\"","external":true}',1796104070563112);
INSERT INTO structure_events VALUES(3,X'01a2302525a9727d9ba71177b60bda7b','WORKSPACE_AWAITING_AGENT',X'f2bd3d76037143c2a50d836f629f8a21',NULL,NULL,'{"name":"Gone","external":true}',1796104070569571);
INSERT INTO structure_events VALUES(4,X'01a2302525ad772ba0addb13c62698f0','WORKSPACE_ONLINE',X'f2bd3d76037143c2a50d836f629f8a21',NULL,NULL,'{"recovered_from":"awaiting_agent"}',1796104070573198);
INSERT INTO structure_events VALUES(5,X'01a2302525b170c184504af94caf70e1','WORKSPACE_REMOVED',X'f2bd3d76037143c2a50d836f629f8a21',NULL,NULL,'{"cascade_deleted":0}',1796104070577393);
INSERT INTO structure_events VALUES(6,X'01a2302525b4710cbf2dc86030fca3df','WORKSPACE_PROVISIONING',X'b9c183570b354ab6977b6d0701adc868',NULL,NULL,'{"name":"Managed","tier":2,"runtime":"echo"}',1796104070580516);
INSERT INTO structure_events VALUES(7,X'01a2302525b873e88b88081ac56776c6','WORKSPACE_PROVISION_FAILED',X'b9c183570b354ab6977b6d0701adc868',NULL,NULL,'{"error":"no backend is configured to run workspaces: set MOLECULE_BACKEND to process, docker (with a Docker daemon), kubernetes or control-plane (MOLECULE_ORG_ID), then restart the workspace"}',1796104070584647);
INSERT INTO structure_events VALUES(8,X'01a2302525ba73d5b30a7d1c39f38317','WORKSPACE_ONLINE',X'3c1f50584aa54370ab04c9a27c4f1c76',NULL,NULL,'{"url":"","agent_card":{"name":"x","protocolVersion":"0.3.0"}}',1796104070586522);
INSERT INTO structure_events VALUES(9,X'01a23025266471419da94ac0a10e1354','WORKSPACE_ONLINE',X'2bc6802d097440eca833174a0f9c49e6',NULL,NULL,'{"url":"","agent_card":{"name":"x","protocolVersion":"0.3.0"}}',1796104070756496);
CREATE TABLE activity_logs (
        seq INTEGER NOT NULL PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        workspace_id BLOB NOT NULL,
        activity_type text NOT NULL,
        source_id BLOB,
        target_id BLOB,
        method text,
        summary text,
        request_body text,
        response_body text,
        tool_trace text,
        duration_ms INTEGER,
        status text NOT NULL DEFAULT 'ok',
        error_detail text,
        idempotency_key text,
        created_at INTEGER NOT NULL
    ) STRICT;
INSERT INTO activity_logs VALUES(1,X'01a2302526e8763798838ffc6cd59486',X'2bc6802d097440eca833174a0f9c49e6','a2a_receive',X'3c1f50584aa54370ab04c9a27c4f1c76',X'2bc6802d097440eca833174a0f9c49e6','message/send','message/send → Worker "ümlaut"','{"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": {"role": "user", "messageId": "m-1", "kind": "message", "parts": [{"kind": "text", "text": "do it"}]}}}',NULL,NULL,NULL,'ok',NULL,NULL,1796104070929281);
CREATE INDEX workspaces_parent ON workspaces (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX workspaces_forwarded ON workspaces (forwarded_to) WHERE forwarded_to IS NOT NULL;
CREATE INDEX workspaces_order ON workspaces (created_at, id) WHERE status <> 'removed';
CREATE INDEX workspaces_digest ON workspaces (runtime_image_digest) WHERE runtime_image_digest IS NOT NULL;
CREATE INDEX workspace_auth_tokens_live ON workspace_auth_tokens (workspace_id) WHERE revoked_at IS NULL;
CREATE INDEX org_api_tokens_org ON org_api_tokens (org_id) WHERE org_id IS NOT NULL;
CREATE INDEX structure_events_workspace ON structure_events (workspace_id, seq);
CREATE INDEX structure_events_created ON structure_events (created_at);
CREATE INDEX activity_logs_feed ON activity_logs (workspace_id, seq, activity_type);
CREATE INDEX activity_logs_created ON activity_logs (created_at);
CREATE INDEX activity_logs_source ON activity_logs (workspace_id, source_id, seq) WHERE source_id IS NOT NULL;
CREATE INDEX activity_logs_target ON activity_logs (workspace_id, target_id, seq) WHERE target_id IS NOT NULL;
CREATE INDEX activity_logs_open ON activity_logs (seq) WHERE status = 'in_progress';
CREATE UNIQUE INDEX activity_logs_idempotency ON activity_logs (workspace_id, idempotency_key)
        WHERE idempotency_key IS NOT NULL;
COMMIT;
