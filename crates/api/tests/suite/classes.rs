//! Every route with every kind of caller, in both modes.

use molecule_api::{Class, ROUTES, Reach, Route, Standing, Verb, Verdict};
use molecule_platform::AuthMode;
use molecule_testkit::both_engines;

use crate::common::*;

/// Does the class let the caller in? Written down here once more, from the specification and D2.
fn may(class: Class, who: Standing, open: bool) -> bool {
    use Standing::*;
    let admin = matches!(who, Org | Session | Member | Operator) || (open && who == Anonymous);
    match class {
        Class::Public | Class::Signed | Class::Proxied => true,
        // In open mode older clients show the token of their workspace here, too (D2).
        Class::Admin | Class::Metrics => admin || (open && matches!(who, Own | Other)),
        Class::Workspace => admin || who == Own,
        // The workspace has a live token, so that nobody else's will do (SEC-78, REG-10).
        Class::WorkspaceOnly | Class::Registry => who == Own,
        Class::Peer => matches!(who, Own | Session | Member) || (open && who == Anonymous),
        Class::Topology | Class::Socket | Class::Queue => admin || matches!(who, Own | Other),
        // `Other` is a sibling, which may send. A bearer that proves nothing is the canvas in open mode (D2).
        Class::Message => admin || matches!(who, Own | Other) || (open && who == Unproven),
        Class::TestToken | Class::Operator => who == Operator || (open && who == Anonymous),
    }
}

/// What is said to those who may not.
fn refusal(class: Class, who: Standing) -> &'static str {
    let anonymous = who == Standing::Anonymous;
    match class {
        // SEC-101
        Class::Queue => "not found",
        Class::TestToken => "admin auth required",
        Class::Admin | Class::Metrics | Class::Socket | Class::Operator if anonymous => "admin auth required",
        Class::Admin | Class::Metrics | Class::Socket | Class::Operator => "invalid admin auth token",
        Class::Message if anonymous => "missing caller auth token",
        Class::Message => "invalid caller auth token",
        _ if anonymous => "missing workspace auth token",
        _ => "invalid workspace auth token",
    }
}

// SEC-40…52, SEC-70…78, D2
#[test]
fn the_matrix_says_what_the_specification_says() {
    let scoped = [Standing::OrgElsewhere, Standing::OrgReadOnly];
    for class in Class::all() {
        for who in Standing::ALL.into_iter().filter(|who| !scoped.contains(who)) {
            for open in [false, true] {
                let about = format!("{class:?} {who:?} open: {open}");
                match class.verdict(who, open) {
                    Verdict::Allowed => assert!(may(class, who, open), "{about}"),
                    Verdict::Refused(refused) => {
                        assert!(!may(class, who, open), "{about}");
                        let status = if class == Class::Queue { 404 } else { 401 };
                        assert_eq!((refused.status, refused.text), (status, refusal(class, who)), "{about}");
                    }
                    Verdict::WhileTokenless(refused) => {
                        assert!(class == Class::WorkspaceOnly && !may(class, who, open), "{about}");
                        assert_eq!((refused.status, refused.text), (401, refusal(class, who)), "{about}");
                    }
                }
            }
        }
    }
}

/// How the path spells the workspace; neither may open what the other does not.
#[derive(Debug, Clone, Copy)]
enum Spelling {
    Plain,
    /// Its first character percent-encoded.
    Encoded,
}

impl Spelling {
    fn of(self, id: &str) -> String {
        match self {
            Self::Plain => id.to_owned(),
            Self::Encoded => format!("%{:02x}{}", id.as_bytes()[0], &id[1..]),
        }
    }
}

/// Who calls; several callers may stand the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Anonymous,
    Garbage,
    Own,
    Other,
    Removed,
    Org,
    Anchored,
    Elsewhere,
    ReadOnly,
    Admin,
    Session,
    Member,
}

const EVERYBODY: [Who; 12] = [
    Who::Anonymous,
    Who::Garbage,
    Who::Own,
    Who::Other,
    Who::Removed,
    Who::Org,
    Who::Anchored,
    Who::Elsewhere,
    Who::ReadOnly,
    Who::Admin,
    Who::Session,
    Who::Member,
];

impl Who {
    /// What the caller is to the workspace that the route is asked about.
    fn standing(self, route: &Route) -> Standing {
        match self {
            Self::Anonymous => Standing::Anonymous,
            Self::Garbage | Self::Removed => Standing::Unproven,
            Self::Own => Standing::Own,
            Self::Other => Standing::Other,
            Self::ReadOnly if route.changes() => Standing::OrgReadOnly,
            Self::Org | Self::Anchored | Self::Elsewhere | Self::ReadOnly => {
                let reaches = match self {
                    Self::Anchored => route.names_workspace(),
                    Self::Elsewhere => false,
                    // SEC-150: they are not anchored.
                    _ => route.reach != Reach::Exactly,
                };
                if reaches { Standing::Org } else { Standing::OrgElsewhere }
            }
            Self::Admin => Standing::Operator,
            Self::Session => Standing::Session,
            Self::Member => Standing::Member,
        }
    }
}

struct World {
    server: Server,
    /// The workspace in the paths. It has a child, so that nobody deletes it by the way.
    own: Workspace,
    other: Workspace,
    removed: Workspace,
    org: String,
    /// At the workspace in the paths.
    anchored: String,
    /// At another.
    elsewhere: String,
    read_only: String,
    /// Its cookie.
    member: String,
    _control_plane: ControlPlane,
}

impl World {
    async fn new(url: &str, mut options: Options) -> Self {
        let control_plane = ControlPlane::new().await;
        options.api.control_plane = Some(control_plane.config("acme"));
        let server = Server::with(url, options).await;
        let own = server.workspace("own", None).await;
        server.workspace("child", Some(&own)).await;
        let other = server.workspace("other", None).await;
        let removed = server.workspace("removed", None).await;
        server.remove(&removed).await;
        Self {
            org: server.org_token().await,
            anchored: server.org_token_for(&json!({ "org_id": own.id })).await,
            elsewhere: server.org_token_for(&json!({ "org_id": other.id })).await,
            read_only: server.org_token_for(&json!({ "read_only": true })).await,
            member: control_plane.cookie_of("user-1"),
            server,
            own,
            other,
            removed,
            _control_plane: control_plane,
        }
    }

    async fn bearer(&self, who: Who) -> Option<String> {
        Some(match who {
            Who::Anonymous | Who::Member => return None,
            Who::Garbage => "garbage".to_owned(),
            Who::Own => self.own.token.clone(),
            Who::Other => self.other.token.clone(),
            Who::Removed => self.removed.token.clone(),
            Who::Org => self.org.clone(),
            Who::Anchored => self.anchored.clone(),
            Who::Elsewhere => self.elsewhere.clone(),
            Who::ReadOnly => self.read_only.clone(),
            Who::Admin => ADMIN.to_owned(),
            // A fresh one: signing out is among the routes.
            Who::Session => self.server.session().await,
        })
    }

    async fn ask(&self, route: &Route, who: Who, spelling: Spelling) -> Reply {
        let id = self.own.id.to_string();
        let method: Method = route.verb.as_str().parse().unwrap();
        let body = match route.class {
            Class::Registry => {
                json!({ "id": id, "workspace_id": id, "agent_card": {}, "delivery_mode": "poll" })
            }
            _ => json!({}),
        };
        let body = if route.path == "/registry/register" {
            without(body, "workspace_id")
        } else {
            body
        };
        let mut call = self.server.call(method, path_of(route, &spelling.of(&id)));
        if route.verb != Verb::Get {
            call = call.json(&body);
        }
        if route.path.starts_with("/registry/discover/") {
            call = call.header("x-workspace-id", &id);
        }
        if route.class == Class::Socket {
            call = call.upgrade();
        }
        if who == Who::Member {
            return call.header("cookie", &self.member).send().await;
        }
        match self.bearer(who).await {
            Some(bearer) => call.bearer(&bearer).send().await,
            None => call.send().await,
        }
    }
}

/// The path of a route, asked about a workspace; whatever else it names is not there.
fn path_of(route: &Route, workspace: &str) -> String {
    let part = |part: &str| match part {
        "{id}" | "{workspaceId}" => workspace.to_owned(),
        "{key}" => "NOT_THERE".to_owned(),
        "{*path}" => "app.js".to_owned(),
        other if other.starts_with('{') => "6fa459ea-ee8a-4ca4-894e-db77e160355e".to_owned(),
        other => other.to_owned(),
    };
    route.path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// `workspace_id` is an alias of `id` in a registration; both at once are one too many.
fn without(mut body: Value, member: &str) -> Value {
    body.as_object_mut().unwrap().remove(member);
    body
}

async fn walk(url: &str, options: Options, open: bool) {
    let world = World::new(url, options).await;
    for (route, spelling) in ROUTES.iter().flat_map(|route| {
        let encoded = route.path.contains("{id}").then_some(Spelling::Encoded);
        std::iter::once((route, Spelling::Plain)).chain(encoded.map(|spelling| (route, spelling)))
    }) {
        for who in EVERYBODY {
            let reply = world.ask(route, who, spelling).await;
            let about = format!(
                "{} {} {spelling:?} by {who:?}, open: {open}: {reply:?}",
                route.verb.as_str(),
                route.path
            );
            // The workspace in the paths has a token.
            match route.verdict(who.standing(route), open) {
                Verdict::Allowed if route.later => assert_eq!(reply.status, StatusCode::NOT_FOUND, "{about}"),
                Verdict::Allowed => {
                    assert_ne!(reply.status, StatusCode::UNAUTHORIZED, "{about}");
                    assert_ne!(reply.json()["code"], "read_only", "{about}");
                    // What is not built says so, and a handler may narrow.
                    let failed = reply.status.is_server_error() && reply.status != StatusCode::NOT_IMPLEMENTED;
                    assert!(!failed, "{about}");
                }
                Verdict::Refused(refusal) | Verdict::WhileTokenless(refusal) => {
                    assert_eq!(reply.status.as_u16(), refusal.status, "{about}");
                    assert_eq!(reply.error(), refusal.text, "{about}");
                    let code = refusal.code.map_or(Value::Null, |code| code.as_str().into());
                    assert_eq!(reply.json()["code"], code, "{about}");
                }
            }
        }
    }
    // Nothing above removed it.
    world
        .server
        .get(format!("/workspaces/{}", world.own.id))
        .bearer(ADMIN)
        .send()
        .await
        .expect(200);
}

both_engines! {
    // SEC-40…52, SEC-70…84, D2
    async fn every_route_and_every_caller_in_required_mode(url: String) {
        walk(&url, Options::default(), false).await;
    }

    // D2
    async fn every_route_and_every_caller_in_open_mode(url: String) {
        walk(&url, open_mode(), true).await;
    }

    // D2: open mode is for this machine only
    async fn a_rebound_name_is_not_local(url: String) {
        let server = Server::with(&url, open_mode()).await;
        server.get("/workspaces").send().await.expect(200);
        server
            .get("/workspaces")
            .header("host", "evil.example")
            .send()
            .await
            .refused(401, "admin auth required");
        let listed = server.get("/workspaces").header("origin", "http://localhost:3000");
        listed.send().await.refused(401, "admin auth required");
        // A bearer that proves nothing gets no more than none.
        let workspace = server.workspace("w", None).await;
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "message/send", "params": { "message": { "parts": [] } } });
        let send = || server.post(format!("/workspaces/{}/a2a", workspace.id), &message);
        send().bearer("garbage").send().await.expect(200);
        let rebound = || send().header("host", "evil.example");
        rebound().send().await.refused(401, "missing caller auth token");
        rebound()
            .bearer("garbage")
            .send()
            .await
            .refused(401, "invalid caller auth token");
    }

    // D2: a page of another origin asks as an image or a link does, without an `Origin`
    async fn other_pages_are_nobody_in_open_mode(url: String) {
        let server = Server::with(&url, open_mode()).await;
        let workspace = server.workspace("w", None).await;
        let listed = || server.get("/workspaces");
        listed()
            .header("sec-fetch-site", "same-origin")
            .send()
            .await
            .expect(200);
        listed().header("sec-fetch-site", "none").send().await.expect(200);
        for site in ["cross-site", "same-site"] {
            listed()
                .header("sec-fetch-site", site)
                .send()
                .await
                .refused(401, "admin auth required");
            let beat = server.post("/registry/heartbeat", &json!({ "workspace_id": workspace.id }));
            beat.header("sec-fetch-site", site)
                .send()
                .await
                .refused(401, "missing workspace auth token");
            let socket = server.get("/ws").upgrade().header("sec-fetch-site", site);
            socket.send().await.refused(401, "admin auth required");
        }
    }

    // SEC-120, D2: what is minted by GET is not minted by a link
    async fn no_page_of_another_origin_mints(url: String) {
        let server = Server::with(&url, open_mode()).await;
        let workspace = server.workspace("w", None).await;
        let path = format!("/workspaces/{}/tokens", workspace.id);
        let count = async || server.get(path.as_str()).send().await.expect(200)["count"].clone();
        let before = count().await;
        let mint = || server.get(format!("/admin/workspaces/{}/test-token", workspace.id));
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            // From a browser that says no more.
            ("referer", "http://evil.example/"),
        ] {
            for call in [mint(), mint().bearer(ADMIN)] {
                let reply = call.header(name, value).send().await;
                assert_eq!(
                    (reply.status, reply.bytes.len()),
                    (StatusCode::FORBIDDEN, 0),
                    "{name} {value}"
                );
            }
        }
        assert_eq!(count().await, before);
        mint().header("sec-fetch-site", "none").send().await.expect(200);
    }

    // SEC-52, D2: a lookup that fails is no refusal
    async fn a_failed_lookup_is_503(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        server.store.clone().close().await.unwrap();
        for call in [
            server.get("/workspaces"),
            server.get(format!("/workspaces/{}", workspace.id)),
            server.post(format!("/workspaces/{}/a2a", workspace.id), &json!({})),
            server.post("/registry/heartbeat", &json!({ "workspace_id": workspace.id })),
        ] {
            let reply = call.bearer("not in any cache").send().await;
            assert_eq!(reply.json()["code"], "platform_unavailable");
            reply.refused(503, "platform datastore unavailable — retry shortly");
        }
        // SEC-210
        server
            .get("/health")
            .bearer("not in any cache")
            .send()
            .await
            .expect(200);
    }

    // LIFE-89a, OP-17
    async fn a_withdrawn_token_learns_that_its_workspace_is_gone(url: String) {
        let server = Server::new(&url).await;
        let (gone, other) = (
            server.workspace("gone", None).await,
            server.workspace("other", None).await,
        );
        server.remove(&gone).await;
        let path = format!("/workspaces/{}", gone.id);
        for query in ["", "?include_removed=true"] {
            let body = server
                .get(format!("{path}{query}"))
                .bearer(&gone.token)
                .send()
                .await
                .expect(410);
            assert_eq!(
                (&body["error"], &body["id"]),
                (&json!("workspace removed"), &json!(gone.id))
            );
            assert!(body["removed_at"].is_string() && body["hint"].as_str().unwrap().starts_with("Regenerate"));
        }
        let state = server
            .get(format!("{path}/state"))
            .bearer(&gone.token)
            .send()
            .await
            .expect(404);
        assert_eq!(
            state,
            json!({ "workspace_id": gone.id, "status": "removed", "deleted": true })
        );
        // Of another workspace, and anywhere else, it proves nothing.
        let elsewhere = server.get(format!("/workspaces/{}", other.id)).bearer(&gone.token);
        elsewhere.send().await.refused(401, "invalid workspace auth token");
        let secrets = server.get(format!("{path}/secrets/values")).bearer(&gone.token);
        secrets.send().await.refused(401, "invalid workspace auth token");
        // LIFE-89, LIFE-91
        server.get(path.as_str()).bearer(ADMIN).send().await.expect(410);
        let shown = server
            .get(format!("{path}?include_removed=true"))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        assert_eq!(shown["status"], "removed");
    }

    // SEC-78, PROV-121
    async fn secrets_are_read_by_their_workspace_only(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let path = format!("/workspaces/{}/secrets", workspace.id);
        server
            .post(path.as_str(), &json!({ "key": "A", "value": "1" }))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let values = format!("{path}/values");
        let body = server
            .get(values.as_str())
            .bearer(&workspace.token)
            .send()
            .await
            .expect(200);
        assert_eq!(body, json!({ "A": "1" }));
        server
            .get(values.as_str())
            .bearer(ADMIN)
            .send()
            .await
            .refused(401, "invalid workspace auth token");
        // Without any live token the operator may.
        let tokens = server
            .get(format!("/workspaces/{}/tokens", workspace.id))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        for token in tokens["tokens"].as_array().unwrap() {
            let path = format!("/workspaces/{}/tokens/{}", workspace.id, token["id"].as_str().unwrap());
            server.call(Method::DELETE, path).bearer(ADMIN).send().await.expect(200);
        }
        server.get(values.as_str()).bearer(ADMIN).send().await.expect(200);
        server
            .get(values.as_str())
            .bearer(&workspace.token)
            .send()
            .await
            .refused(401, "invalid workspace auth token");
    }

    // SEC-120
    async fn test_tokens_are_off_in_production(url: String) {
        let options = Options::default();
        let config = molecule_platform::Config {
            production: true,
            ..options.config
        };
        let server = Server::with(&url, Options { config, ..options }).await;
        let workspace = server.workspace("w", None).await;
        let path = format!("/admin/workspaces/{}/test-token", workspace.id);
        server.get(path).bearer(ADMIN).send().await.refused(404, "not found");
    }

    // SEC-120, SEC-122: where nobody need show anything, production has none
    async fn test_tokens_are_on_in_production_by_choice(url: String) {
        for (auth, on) in [(AuthMode::Required, true), (AuthMode::Open, false)] {
            let mut options = Options::default();
            options.config.production = true;
            options.config.auth = auth;
            options.api.test_tokens = true;
            let server = Server::with(&url, options).await;
            let workspace = server.workspace("w", None).await;
            let path = format!("/admin/workspaces/{}/test-token", workspace.id);
            let ask = || server.get(path.as_str());
            if on {
                ask().bearer(ADMIN).send().await.expect(200);
                ask().send().await.refused(401, "admin auth required");
                ask()
                    .bearer(&workspace.token)
                    .send()
                    .await
                    .refused(401, "admin auth required");
            } else {
                ask().bearer(ADMIN).send().await.refused(404, "not found");
                ask().send().await.refused(404, "not found");
            }
        }
    }

    // SEC-120, SEC-121
    async fn test_tokens(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let path = format!("/admin/workspaces/{}/test-token", workspace.id);
        let body = server.get(path.as_str()).bearer(ADMIN).send().await.expect(200);
        let token = body["auth_token"].as_str().unwrap();
        server
            .get(format!("/workspaces/{}/activity", workspace.id))
            .bearer(token)
            .send()
            .await
            .expect(200);
        for id in ["nonsense", "6fa459ea-ee8a-4ca4-894e-db77e160355e"] {
            let path = format!("/admin/workspaces/{id}/test-token");
            server
                .get(path)
                .bearer(ADMIN)
                .send()
                .await
                .refused(404, "workspace not found");
        }
        server.remove(&workspace).await;
        server
            .get(path.as_str())
            .bearer(ADMIN)
            .send()
            .await
            .refused(404, "workspace not found");
    }

    // SEC-212, D2
    async fn metrics_are_public_by_choice(url: String) {
        let options = Options::default();
        let api = molecule_api::ApiConfig {
            metrics_public: true,
            ..options.api
        };
        let server = Server::with(&url, Options { api, ..options }).await;
        server.get("/nowhere/secret-path").send().await.expect(404);
        let reply = server.get("/metrics").send().await;
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        let text = String::from_utf8(reply.bytes.to_vec()).unwrap();
        assert!(text.contains(r#"path="unmatched",status="404"} 1"#), "{text}");
        assert!(!text.contains("secret-path"));
        assert!(text.contains("molecule_websocket_connections_active 0"));
    }
}
