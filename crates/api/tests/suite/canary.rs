//! Secrets never appear: not in logs, events, errors, records, Debug output, or the text of the database (SEC-3, SEC-145,
//! SEC-147).

use std::sync::OnceLock;

use molecule_core::WorkspaceId;
use molecule_testkit::{both_engines, log::Captured};
use sea_orm::{FromQueryResult, Statement};

use crate::common::*;

/// Everything that was written to the log, by whichever test of the suite runs: its threads are the server's.
fn log() -> Captured {
    static LOG: OnceLock<Captured> = OnceLock::new();
    let begin = || {
        let log = Captured::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(
                "molecule_api=trace,molecule_platform=trace,molecule_store=trace,molecule_db=trace,sqlx=debug",
            )
            .with_ansi(false)
            .with_writer(move || writer.clone());
        tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
        log
    };
    LOG.get_or_init(begin).clone()
}

/// What must not be seen, by what it is.
#[derive(Default)]
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn plant(&mut self, what: &str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 8, "{what} would be found by chance");
        self.0.push((what.to_owned(), secret.clone()));
        secret
    }

    /// Also in hexadecimal, as databases print bytes.
    fn must_not_be_in(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for (what, secret) in &self.0 {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            for form in [secret, &hex] {
                let found = text.find(form.as_str());
                let around = found.map(|at| {
                    String::from_utf8_lossy(&bytes[at.saturating_sub(120)..(at + 20).min(bytes.len())]).into_owned()
                });
                assert_eq!(around, None, "{what} is in {place}");
            }
        }
    }
}

#[derive(FromQueryResult)]
struct Text {
    text: Option<String>,
}

/// The whole database as text.
async fn contents(server: &Server, url: &str) -> Vec<u8> {
    let db = server.store.db();
    if let Some(path) = url.strip_prefix("sqlite://") {
        let path = path.split('?').next().unwrap();
        let mut bytes = std::fs::read(path).unwrap();
        bytes.extend(std::fs::read(format!("{path}-wal")).unwrap_or_default());
        return bytes;
    }
    let backend = db.reader().get_database_backend();
    let tables = "SELECT relname::text AS text FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace";
    let tables = Text::find_by_statement(Statement::from_string(backend, tables))
        .all(db.reader())
        .await
        .unwrap();
    assert!(tables.len() > 10);
    let mut all = Vec::new();
    for table in tables.into_iter().filter_map(|table| table.text) {
        let rows = format!("SELECT string_agg(t::text, E'\\n') AS text FROM \"{table}\" t");
        let rows = Text::find_by_statement(Statement::from_string(backend, rows))
            .one(db.reader())
            .await
            .unwrap();
        all.extend(rows.and_then(|rows| rows.text).unwrap_or_default().into_bytes());
    }
    all
}

/// Every kind of operation that has to do with a secret. What is planted appears in the one answer that may carry it.
async fn live(server: &Server, canaries: &mut Canaries, replies: &mut Vec<u8>) -> WorkspaceId {
    let mut keep = |reply: &Reply| {
        replies.extend_from_slice(&reply.bytes);
        for value in reply.headers.values() {
            replies.extend_from_slice(value.as_bytes());
        }
    };
    canaries.plant("the operator's token", ADMIN);
    let workspace = server.workspace("w", None).await;
    canaries.plant("a workspace token", workspace.token.as_str());
    let register = json!({ "id": workspace.id, "agent_card": { "name": "w" }, "delivery_mode": "poll" });
    let registered = server
        .post("/registry/register", &register)
        .bearer(&workspace.token)
        .send()
        .await
        .expect(200);
    canaries.plant(
        "an inbound secret",
        registered["platform_inbound_secret"].as_str().unwrap(),
    );
    let base = format!("/workspaces/{}", workspace.id);
    let value = canaries.plant("a secret's value", "canary-of-a-workspace-secret");
    let global = canaries.plant("a global secret's value", "canary-of-a-global-secret");
    let path = format!("{base}/secrets");
    keep(
        &server
            .post(path.as_str(), &json!({ "key": "K", "value": value }))
            .bearer(ADMIN)
            .send()
            .await,
    );
    keep(
        &server
            .call(Method::PUT, path.as_str())
            .json(&json!({ "key": "K", "value": value }))
            .bearer(ADMIN)
            .send()
            .await,
    );
    keep(
        &server
            .post("/settings/secrets", &json!({ "key": "G", "value": global }))
            .bearer(ADMIN)
            .send()
            .await,
    );
    // What cannot be stored is in no answer either.
    keep(
        &server
            .post(path.as_str(), &json!({ "key": "a=b", "value": value }))
            .bearer(ADMIN)
            .send()
            .await,
    );
    keep(
        &server
            .post(path.as_str(), &json!({ "key": 7, "value": value }))
            .bearer(ADMIN)
            .send()
            .await,
    );
    keep(
        &server
            .post("/workspaces", &json!({ "name": "", "secrets": { "K": value } }))
            .bearer(ADMIN)
            .send()
            .await,
    );
    let org = canaries.plant("an org token", server.org_token().await);
    let session = canaries.plant("a session", server.session().await);
    let ticket = canaries.plant("a ticket", server.ticket(&session).await);
    let minted = server
        .post(format!("{base}/tokens"), &json!({}))
        .bearer(ADMIN)
        .send()
        .await
        .expect(201);
    let token = canaries.plant("a minted token", minted["auth_token"].as_str().unwrap());
    let wrong = canaries.plant("a wrong bearer", "canary-of-a-wrong-bearer");
    let cookie = canaries.plant("a cookie", "canary-of-a-cookie");
    let code = canaries.plant("a wrong login code", "canary-of-a-login-code");
    for bearer in [&org, &session, &token, &wrong] {
        for path in [
            "/workspaces",
            "/settings/secrets",
            "/org/tokens",
            "/auth/sessions",
            "/admin/audit",
            "/nowhere",
        ] {
            let call = server
                .get(path)
                .bearer(bearer)
                .header("cookie", format!("session={cookie}"));
            keep(&call.send().await);
        }
        keep(&server.get(format!("{base}/activity")).bearer(bearer).send().await);
        keep(
            &server
                .post(format!("{base}/a2a"), &json!({}))
                .bearer(bearer)
                .send()
                .await,
        );
    }
    keep(&server.get(format!("/ws?ticket={ticket}x")).upgrade().send().await);
    keep(&server.get(format!("/ws?ticket={ticket}")).send().await);
    keep(&server.post("/auth/login", &json!({ "code": code })).send().await);
    keep(
        &server
            .call(Method::DELETE, format!("{path}/K"))
            .bearer(ADMIN)
            .send()
            .await,
    );
    server
        .post(path.as_str(), &json!({ "key": "K", "value": value }))
        .bearer(ADMIN)
        .send()
        .await
        .expect(200);
    keep(
        &server
            .post(format!("{base}/restart"), &json!({}))
            .bearer(ADMIN)
            .send()
            .await,
    );
    keep(&server.get("/events").bearer(ADMIN).send().await);
    keep(&server.get(format!("{base}/tokens")).bearer(ADMIN).send().await);
    keep(&server.get(path.as_str()).bearer(ADMIN).send().await);
    keep(&server.get("/metrics").bearer(ADMIN).send().await);
    keep(&server.get("/admin/audit?limit=500").bearer(ADMIN).send().await);
    workspace.id
}

both_engines! {
    async fn no_secret_is_seen_anywhere(url: String) {
        let log = log();
        let server = Server::new(&url).await;
        let (mut canaries, mut replies) = (Canaries::default(), Vec::new());
        live(&server, &mut canaries, &mut replies).await;
        canaries.must_not_be_in("the answers", &replies);
        let written = log.text();
        assert!(written.contains("org token minted"), "there is a log");
        canaries.must_not_be_in("the log", written.as_bytes());
        canaries.must_not_be_in("the database", &contents(&server, &url).await);
        let shown = format!("{:?} {:?} {:?}", server.platform, server.api, server.platform.config);
        canaries.must_not_be_in("Debug output", shown.as_bytes());
    }
}
