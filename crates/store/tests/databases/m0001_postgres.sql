CREATE TABLE public.activity_logs (
    seq bigint NOT NULL,
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    activity_type text NOT NULL,
    source_id uuid,
    target_id uuid,
    method text,
    summary text,
    request_body text,
    response_body text,
    tool_trace text,
    duration_ms bigint,
    status text DEFAULT 'ok'::text NOT NULL,
    error_detail text,
    idempotency_key text,
    created_at bigint NOT NULL
);
CREATE TABLE public.canvas_layouts (
    workspace_id uuid NOT NULL,
    x double precision DEFAULT 0 NOT NULL,
    y double precision DEFAULT 0 NOT NULL,
    collapsed boolean DEFAULT false NOT NULL
);
CREATE TABLE public.global_secrets (
    key text NOT NULL,
    value bytea NOT NULL,
    encryption_version integer NOT NULL,
    key_id text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE TABLE public.log_head (
    name text NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL
);
CREATE TABLE public.login_sessions (
    id uuid NOT NULL,
    hash bytea NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE public.org_api_tokens (
    id uuid NOT NULL,
    name text,
    created_by text NOT NULL,
    org_id uuid,
    hash bytea NOT NULL,
    prefix text NOT NULL,
    created_at bigint NOT NULL,
    last_used_at bigint,
    revoked_at bigint
);
CREATE TABLE public.seaql_migrations (
    version character varying NOT NULL,
    applied_at bigint NOT NULL
);
CREATE TABLE public.structure_events (
    seq bigint NOT NULL,
    id uuid NOT NULL,
    event_type text NOT NULL,
    workspace_id uuid,
    agent_id uuid,
    target_id uuid,
    payload text NOT NULL,
    created_at bigint NOT NULL
);
CREATE TABLE public.workspace_auth_tokens (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    hash bytea NOT NULL,
    prefix text NOT NULL,
    created_at bigint NOT NULL,
    last_used_at bigint,
    revoked_at bigint
);
CREATE TABLE public.workspace_config (
    workspace_id uuid NOT NULL,
    data text NOT NULL,
    updated_at bigint NOT NULL
);
CREATE TABLE public.workspace_pulse (
    workspace_id uuid NOT NULL,
    last_beat_at bigint,
    uptime_seconds bigint DEFAULT 0 NOT NULL,
    error_rate double precision DEFAULT 0 NOT NULL,
    sample_error text DEFAULT ''::text NOT NULL,
    active_tasks bigint DEFAULT 0 NOT NULL,
    current_task text DEFAULT ''::text NOT NULL,
    monthly_spend bigint DEFAULT 0 NOT NULL,
    last_outbound_at bigint
);
CREATE TABLE public.workspace_secrets (
    workspace_id uuid NOT NULL,
    key text NOT NULL,
    value bytea NOT NULL,
    encryption_version integer NOT NULL,
    key_id text NOT NULL,
    origin text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT workspace_secrets_origin_check CHECK ((origin = ANY (ARRAY['set'::text, 'derived'::text])))
);
CREATE TABLE public.workspaces (
    id uuid NOT NULL,
    name text NOT NULL,
    role text,
    tier integer DEFAULT 1 NOT NULL,
    runtime text NOT NULL,
    status text NOT NULL,
    parent_id uuid,
    forwarded_to uuid,
    awareness_namespace text NOT NULL,
    source_bundle_id text,
    template text,
    agent_card text,
    url text DEFAULT ''::text NOT NULL,
    url_assigned boolean DEFAULT false NOT NULL,
    delivery_mode text,
    instance_ref text,
    start_files text,
    reset_session boolean DEFAULT false NOT NULL,
    restart_due boolean DEFAULT false NOT NULL,
    inbound_secret bytea,
    inbound_secret_key text,
    runtime_image_digest text,
    workspace_dir text,
    workspace_access text DEFAULT 'none'::text NOT NULL,
    budget_limit bigint,
    max_concurrent_tasks integer DEFAULT 1 NOT NULL,
    hibernation_idle_minutes integer,
    generation bigint DEFAULT 0 NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    status_changed_at bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT workspaces_access_check CHECK ((workspace_access = ANY (ARRAY['none'::text, 'read_only'::text, 'read_write'::text]))),
    CONSTRAINT workspaces_delivery_mode_check CHECK ((delivery_mode = ANY (ARRAY['push'::text, 'poll'::text]))),
    CONSTRAINT workspaces_status_check CHECK ((status = ANY (ARRAY['provisioning'::text, 'online'::text, 'degraded'::text, 'offline'::text, 'awaiting_agent'::text, 'failed'::text, 'paused'::text, 'hibernating'::text, 'hibernated'::text, 'removed'::text])))
);
INSERT INTO public.activity_logs VALUES (1, '01a23025-5a43-712a-a3b0-282b3fd55c44', 'ef48b2a6-2d33-49bb-8db5-1b2833388bc0', 'a2a_receive', '339ae360-d166-4fac-a911-e41743d176ac', 'ef48b2a6-2d33-49bb-8db5-1b2833388bc0', 'message/send', 'message/send → Worker "ümlaut"', '{"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": {"role": "user", "messageId": "m-1", "kind": "message", "parts": [{"kind": "text", "text": "do it"}]}}}', NULL, NULL, NULL, 'ok', NULL, NULL, 1796104084052418);
INSERT INTO public.canvas_layouts VALUES ('ef48b2a6-2d33-49bb-8db5-1b2833388bc0', 0, 0, false);
INSERT INTO public.canvas_layouts VALUES ('af5c1aff-8af5-43e5-8689-cbe0c44f5d4a', 0, 0, false);
INSERT INTO public.canvas_layouts VALUES ('339ae360-d166-4fac-a911-e41743d176ac', 3.5, -2, false);
INSERT INTO public.global_secrets VALUES ('GLOBAL_KEY', '\x5e809715e05cca2a58882ce3ab54711e0e962ce0b7744e69960db0bb06e546b3', 1, '4bb06f8e', 1796104084079794, 1796104084079794);
INSERT INTO public.log_head VALUES ('events', 9, 1796104084028147);
INSERT INTO public.log_head VALUES ('activity', 1, 1796104084052418);
INSERT INTO public.org_api_tokens VALUES ('b037515f-9507-4766-b9fb-612b3b43fb62', 'ci', 'admin-token', NULL, '\x6d172291b3c8963e3cf8361dfddd5b3e77eb65ec33ace8f638e6ad7d14ae2e53', 'p5Rc-1Yo', 1796104084082684, NULL, NULL);
INSERT INTO public.seaql_migrations VALUES ('m0001_initial', 1796104081);
INSERT INTO public.structure_events VALUES (1, '01a23025-549c-70fc-a482-ba7bd85e62f4', 'WORKSPACE_AWAITING_AGENT', '339ae360-d166-4fac-a911-e41743d176ac', NULL, NULL, '{"name":"Lead","external":true}', 1796104082533380);
INSERT INTO public.structure_events VALUES (2, '01a23025-553a-7313-8c11-51d15d6bd4da', 'WORKSPACE_AWAITING_AGENT', 'ef48b2a6-2d33-49bb-8db5-1b2833388bc0', NULL, NULL, '{"name":"Worker \"ümlaut\"","external":true}', 1796104082740369);
INSERT INTO public.structure_events VALUES (3, '01a23025-5692-7663-b77d-ee994cdfe451', 'WORKSPACE_AWAITING_AGENT', 'bff55bf7-8b8e-4955-815f-718227a80c07', NULL, NULL, '{"name":"Gone","external":true}', 1796104083083092);
INSERT INTO public.structure_events VALUES (4, '01a23025-56c6-7280-99a3-fc1263203b37', 'WORKSPACE_ONLINE', 'bff55bf7-8b8e-4955-815f-718227a80c07', NULL, NULL, '{"recovered_from":"awaiting_agent"}', 1796104083140927);
INSERT INTO public.structure_events VALUES (5, '01a23025-581b-7347-b34c-ee4adc08fb9f', 'WORKSPACE_REMOVED', 'bff55bf7-8b8e-4955-815f-718227a80c07', NULL, NULL, '{"cascade_deleted":0}', 1796104083468429);
INSERT INTO public.structure_events VALUES (6, '01a23025-5935-73d8-9160-7ebadcf85be4', 'WORKSPACE_PROVISIONING', 'af5c1aff-8af5-43e5-8689-cbe0c44f5d4a', NULL, NULL, '{"name":"Managed","tier":2,"runtime":"echo"}', 1796104083763788);
INSERT INTO public.structure_events VALUES (7, '01a23025-5a25-77b1-ae2d-a846618db6aa', 'WORKSPACE_PROVISION_FAILED', 'af5c1aff-8af5-43e5-8689-cbe0c44f5d4a', NULL, NULL, '{"error":"no backend is configured to run workspaces: set MOLECULE_BACKEND to process, docker (with a Docker daemon), kubernetes or control-plane (MOLECULE_ORG_ID), then restart the workspace"}', 1796104084005604);
INSERT INTO public.structure_events VALUES (8, '01a23025-5a2a-74d7-8400-5be33e2d8990', 'WORKSPACE_ONLINE', '339ae360-d166-4fac-a911-e41743d176ac', NULL, NULL, '{"url":"","agent_card":{"name":"x","protocolVersion":"0.3.0"}}', 1796104084009980);
INSERT INTO public.structure_events VALUES (9, '01a23025-5a3c-70ec-8b0d-a5332bb5eab0', 'WORKSPACE_ONLINE', 'ef48b2a6-2d33-49bb-8db5-1b2833388bc0', NULL, NULL, '{"url":"","agent_card":{"name":"x","protocolVersion":"0.3.0"}}', 1796104084028147);
INSERT INTO public.workspace_auth_tokens VALUES ('b1cbe43b-4e60-4f0a-bfa1-a1b4b203d451', 'bff55bf7-8b8e-4955-815f-718227a80c07', '\xa540092cef51d4dd79e71a2fcec561be9dae84d587626d449c9a95f6ebc70cd0', 'WvzYDzxd', 1796104082822785, 1796104083126397, 1796104083448907);
INSERT INTO public.workspace_auth_tokens VALUES ('0143521e-89ea-4fcb-9569-75b2457e8c33', 'ef48b2a6-2d33-49bb-8db5-1b2833388bc0', '\x6e5849a74ea4d4de4287282e69ced73dbb671553a437a18cf908cbe83491bebe', 'rc7GVLJ5', 1796104082733478, 1796104084033467, NULL);
INSERT INTO public.workspace_auth_tokens VALUES ('24c39e4c-00ce-455e-8f7d-66230c9f9eb6', '339ae360-d166-4fac-a911-e41743d176ac', '\x8d80e86e42792b65827dd837871a909c5e0f9836bc5791d9bb805276cc4fc41e', '06xEJ1Hl', 1796104082488800, 1796104084035254, NULL);
INSERT INTO public.workspace_config VALUES ('af5c1aff-8af5-43e5-8689-cbe0c44f5d4a', '{"name":"Managed","runtime":"echo","model":null,"tier":2,"template":null}', 1796104083876795);
INSERT INTO public.workspace_pulse VALUES ('bff55bf7-8b8e-4955-815f-718227a80c07', 1796104083251728, 1, 0, '', 0, '', 0, NULL);
INSERT INTO public.workspace_pulse VALUES ('af5c1aff-8af5-43e5-8689-cbe0c44f5d4a', NULL, 0, 0, 'no backend is configured to run workspaces: set MOLECULE_BACKEND to process, docker (with a Docker daemon), kubernetes or control-plane (MOLECULE_ORG_ID), then restart the workspace', 0, '', 0, NULL);
INSERT INTO public.workspace_pulse VALUES ('339ae360-d166-4fac-a911-e41743d176ac', 1796104084023714, 77, 0.25, 'some', 2, 'digging', 12, NULL);
INSERT INTO public.workspace_pulse VALUES ('ef48b2a6-2d33-49bb-8db5-1b2833388bc0', 1796104084034169, 77, 0.25, 'some', 2, 'digging', 12, NULL);
INSERT INTO public.workspace_secrets VALUES ('af5c1aff-8af5-43e5-8689-cbe0c44f5d4a', 'MODEL_KEY', '\x01cf737899cf2455817ee5b1fdd6446bafe3519d63c1ab2f9c054527ea', 1, '4bb06f8e', 'set', 1796104083761558, 1796104083761558);
INSERT INTO public.workspace_secrets VALUES ('339ae360-d166-4fac-a911-e41743d176ac', 'API_KEY', '\x1f71927e2fece84ca2cf0372069a7e18c5559d6176e993f559f4fdcc44bf0fef0147', 1, '4bb06f8e', 'set', 1796104084076775, 1796104084076775);
INSERT INTO public.workspaces VALUES ('bff55bf7-8b8e-4955-815f-718227a80c07', 'Gone', NULL, 2, 'external', 'removed', NULL, NULL, 'workspace:bff55bf7-8b8e-4955-815f-718227a80c07', NULL, NULL, NULL, '', false, NULL, NULL, NULL, false, false, '\xb17434f0301c1ea7aff47e85ebfcbbb220c5ea15ddeb39af98f47b553b7c37790f8e1eab4c82772b8284629fdf02339607caf28615e6e2232e38e9825ab47ad0f5770cd6c8d43f', '4bb06f8e', NULL, NULL, 'none', NULL, 1, NULL, 0, 3, 1796104083422598, 1796104082789332, 1796104083422598);
INSERT INTO public.workspaces VALUES ('ef48b2a6-2d33-49bb-8db5-1b2833388bc0', 'Worker "ümlaut"', NULL, 2, 'external', 'online', '339ae360-d166-4fac-a911-e41743d176ac', NULL, 'workspace:ef48b2a6-2d33-49bb-8db5-1b2833388bc0', NULL, NULL, '{"name": "x", "protocolVersion": "0.3.0"}', '', false, 'poll', NULL, NULL, false, false, '\x427014f99e1bf5046374e8c15645ad593c112d2096d4035ece89521e88ace8a7dbb4f8b9a5005c5e7098891cadf5da422da0e2d5c6be85f8f53a8adfc1754d2a9e3b2c9f31cd2c', '4bb06f8e', NULL, NULL, 'none', NULL, 1, NULL, 0, 2, 1796104084027203, 1796104082711814, 1796104084031283);
INSERT INTO public.workspaces VALUES ('af5c1aff-8af5-43e5-8689-cbe0c44f5d4a', 'Managed', NULL, 2, 'echo', 'failed', NULL, NULL, 'workspace:af5c1aff-8af5-43e5-8689-cbe0c44f5d4a', NULL, NULL, NULL, '', false, 'push', NULL, '"generated"', false, true, NULL, NULL, NULL, NULL, 'none', NULL, 1, NULL, 0, 1, 1796104084004891, 1796104083637768, 1796104084004891);
INSERT INTO public.workspaces VALUES ('339ae360-d166-4fac-a911-e41743d176ac', 'Lead', 'Leads', 2, 'external', 'online', NULL, NULL, 'workspace:339ae360-d166-4fac-a911-e41743d176ac', NULL, NULL, '{"name": "x", "protocolVersion": "0.3.0"}', '', false, 'poll', NULL, NULL, false, false, '\x20cde84dd75ebae1768907bdd6bbc528e0485642c4d83f005382b8bc3b4c71ec738091ba16a4205b4b1353525a1b07dae6e2b555fb0b7e942ec420b0b6836884e50ff9d56e20a2', '4bb06f8e', NULL, NULL, 'none', NULL, 1, NULL, 0, 3, 1796104084009266, 1796104082436352, 1796104084090126);
ALTER TABLE ONLY public.activity_logs
    ADD CONSTRAINT activity_logs_id_key UNIQUE (id);
ALTER TABLE ONLY public.activity_logs
    ADD CONSTRAINT activity_logs_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.canvas_layouts
    ADD CONSTRAINT canvas_layouts_pkey PRIMARY KEY (workspace_id);
ALTER TABLE ONLY public.global_secrets
    ADD CONSTRAINT global_secrets_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.log_head
    ADD CONSTRAINT log_head_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.login_sessions
    ADD CONSTRAINT login_sessions_hash_key UNIQUE (hash);
ALTER TABLE ONLY public.login_sessions
    ADD CONSTRAINT login_sessions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.org_api_tokens
    ADD CONSTRAINT org_api_tokens_hash_key UNIQUE (hash);
ALTER TABLE ONLY public.org_api_tokens
    ADD CONSTRAINT org_api_tokens_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.seaql_migrations
    ADD CONSTRAINT seaql_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.structure_events
    ADD CONSTRAINT structure_events_id_key UNIQUE (id);
ALTER TABLE ONLY public.structure_events
    ADD CONSTRAINT structure_events_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.workspace_auth_tokens
    ADD CONSTRAINT workspace_auth_tokens_hash_key UNIQUE (hash);
ALTER TABLE ONLY public.workspace_auth_tokens
    ADD CONSTRAINT workspace_auth_tokens_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workspace_config
    ADD CONSTRAINT workspace_config_pkey PRIMARY KEY (workspace_id);
ALTER TABLE ONLY public.workspace_pulse
    ADD CONSTRAINT workspace_pulse_pkey PRIMARY KEY (workspace_id);
ALTER TABLE ONLY public.workspace_secrets
    ADD CONSTRAINT workspace_secrets_pkey PRIMARY KEY (workspace_id, key);
ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_pkey PRIMARY KEY (id);
CREATE INDEX activity_logs_created ON public.activity_logs USING btree (created_at);
CREATE INDEX activity_logs_feed ON public.activity_logs USING btree (workspace_id, seq, activity_type);
CREATE UNIQUE INDEX activity_logs_idempotency ON public.activity_logs USING btree (workspace_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX activity_logs_open ON public.activity_logs USING btree (seq) WHERE (status = 'in_progress'::text);
CREATE INDEX activity_logs_source ON public.activity_logs USING btree (workspace_id, source_id, seq) WHERE (source_id IS NOT NULL);
CREATE INDEX activity_logs_target ON public.activity_logs USING btree (workspace_id, target_id, seq) WHERE (target_id IS NOT NULL);
CREATE INDEX org_api_tokens_org ON public.org_api_tokens USING btree (org_id) WHERE (org_id IS NOT NULL);
CREATE INDEX structure_events_created ON public.structure_events USING btree (created_at);
CREATE INDEX structure_events_workspace ON public.structure_events USING btree (workspace_id, seq);
CREATE INDEX workspace_auth_tokens_live ON public.workspace_auth_tokens USING btree (workspace_id) WHERE (revoked_at IS NULL);
CREATE INDEX workspaces_digest ON public.workspaces USING btree (runtime_image_digest) WHERE (runtime_image_digest IS NOT NULL);
CREATE INDEX workspaces_forwarded ON public.workspaces USING btree (forwarded_to) WHERE (forwarded_to IS NOT NULL);
CREATE INDEX workspaces_order ON public.workspaces USING btree (created_at, id) WHERE (status <> 'removed'::text);
CREATE INDEX workspaces_parent ON public.workspaces USING btree (parent_id) WHERE (parent_id IS NOT NULL);
ALTER TABLE ONLY public.canvas_layouts
    ADD CONSTRAINT canvas_layouts_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id);
ALTER TABLE ONLY public.org_api_tokens
    ADD CONSTRAINT org_api_tokens_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.workspaces(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.workspace_auth_tokens
    ADD CONSTRAINT workspace_auth_tokens_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id);
ALTER TABLE ONLY public.workspace_config
    ADD CONSTRAINT workspace_config_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id);
ALTER TABLE ONLY public.workspace_pulse
    ADD CONSTRAINT workspace_pulse_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id);
ALTER TABLE ONLY public.workspace_secrets
    ADD CONSTRAINT workspace_secrets_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id);
ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_forwarded_to_fkey FOREIGN KEY (forwarded_to) REFERENCES public.workspaces(id);
ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.workspaces(id);
