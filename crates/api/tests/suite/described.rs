//! The description of the API and the server agree: what the document allows is taken, what it does not allow is refused
//! with 400, at every boundary that it states.

use molecule_testkit::both_engines;
use regex::Regex;

use crate::common::*;

/// Operations whose body is not held against the document, and why.
const UNHELD: [(&str, &str); 2] = [
    (
        "send_message",
        "messages are carried as they are; the corpus of their shapes is checked elsewhere",
    ),
    ("restart_workspace", "LIFE §9: a malformed body is as none"),
];

/// Members that depend on another one or on what is there: only what is refused is looked at.
const DEPENDENT: [(&str, &str); 7] = [
    ("register", "url"),
    ("create_workspace", "workspace_access"),
    ("create_workspace", "workspace_dir"),
    ("update_workspace", "workspace_access"),
    ("update_workspace", "workspace_dir"),
    ("create_ticket", "workspace_id"),
    ("import_org", "dir"),
];

/// Parameters that mean their default when they are malformed (SEC-14, ACT-16).
const FORGIVING: [&str; 2] = ["limit", "offset"];

/// One value of a member, and what the document says of it.
struct Probe {
    /// Where, in words.
    at: String,
    body: Value,
    valid: bool,
}

both_engines! {
    async fn bodies(url: String) {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            templates: vec![directory.path().to_owned()],
            ..Options::default()
        };
        let server = Server::with(&url, options).await;
        let world = World::of(&server).await;
        let document = server.get("/openapi.json").bearer(ADMIN).send().await.expect(200);
        let (mut sent, mut wrong) = (0, Vec::new());
        for operation in operations(&document) {
            let media = &operation.raw["requestBody"]["content"]["application/json"];
            if media.is_null() || UNHELD.iter().any(|(name, _)| *name == operation.name) {
                continue;
            }
            let base = world.own(&operation.name, &media["example"]);
            let optional = operation.raw["requestBody"]["required"] == false;
            let mut probes = whole(&base, optional);
            members(&document, &media["schema"], &base, &mut |at, body, valid| {
                let member = at.split(['.', '[']).next().unwrap_or_default();
                let dependent = DEPENDENT.contains(&(operation.name.as_str(), member));
                if !(valid && dependent) {
                    probes.push(
                        (Probe {
                            at: at.to_owned(),
                            body,
                            valid,
                        })
                        .into(),
                    );
                }
            });
            for probe in probes {
                let reply = world.call(&server, &operation).body(probe.text.clone()).send().await;
                let shown: String = probe.text.chars().take(300).collect();
                let status = reply.status.as_u16();
                if (status != 400) != probe.valid || (status >= 500 && !matches!(status, 501 | 503)) {
                    let said = reply.json();
                    wrong.push(format!("{} {}: {status} {said} to {shown}", operation.name, probe.at));
                }
                sent += 1;
            }
        }
        assert!(wrong.is_empty(), "{} of {sent}:\n{}", wrong.len(), wrong.join("\n"));
        assert!(sent > 500, "{sent} bodies were tried");
    }

    async fn parameters(url: String) {
        let server = Server::new(&url).await;
        let world = World::of(&server).await;
        let document = server.get("/openapi.json").bearer(ADMIN).send().await.expect(200);
        let mut sent = 0;
        for operation in operations(&document) {
            for parameter in operation.raw["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                if parameter["in"] != "query" || FORGIVING.contains(&name) || name == "ticket" {
                    continue;
                }
                let schema = resolve(&document, &parameter["schema"]);
                for (value, valid) in spellings(&document, schema) {
                    let call = world.call_with(&server, &operation, &format!("?{name}={value}"));
                    let status = call.send().await.status.as_u16();
                    // A cursor that names nothing is gone (ACT-26).
                    let refused = status == 400 || (name == "since_id" && status == 410);
                    assert_eq!(!refused, valid, "{} ?{name}={value}: {status}", operation.name);
                    sent += 1;
                }
            }
        }
        assert!(sent > 20, "{sent} parameters were tried");
    }

    // SEC-18
    async fn no_body_that_is_none_mints_a_token(url: String) {
        let server = Server::new(&url).await;
        let tokens = async || server.get("/org/tokens").bearer(ADMIN).send().await.expect(200)["count"].clone();
        for body in ["[null,null]", "[]", "null", "3", "{", r#"{"name":3}"#, "\"x\""] {
            let mint = server.call(Method::POST, "/org/tokens").bearer(ADMIN).body(body);
            mint.send().await.refused(400, "invalid request body");
        }
        assert_eq!(tokens().await, 0);
        for body in ["", "{}", r#"{"name":null}"#] {
            let mint = server.call(Method::POST, "/org/tokens").bearer(ADMIN).body(body);
            mint.send().await.expect(200);
        }
        assert_eq!(tokens().await, 3);
    }
}

/// What the examples are about, here.
struct World {
    managed: String,
    external: Workspace,
}

struct Operation {
    name: String,
    method: Method,
    path: String,
    raw: Value,
}

/// A body about to be sent.
struct Body {
    at: String,
    text: String,
    valid: bool,
}

impl From<Probe> for Body {
    fn from(probe: Probe) -> Self {
        Self {
            at: probe.at,
            text: probe.body.to_string(),
            valid: probe.valid,
        }
    }
}

impl World {
    async fn of(server: &Server) -> Self {
        let body = json!({ "name": "managed", "runtime": "echo" });
        let created = server.post("/workspaces", &body).bearer(ADMIN).send().await.expect(201);
        Self {
            managed: created["id"].as_str().unwrap().to_owned(),
            external: server.workspace("external", None).await,
        }
    }

    /// The example, of workspaces that are here.
    fn own(&self, operation: &str, example: &Value) -> Value {
        let mut own = example.clone();
        for member in ["id", "workspace_id", "caller_id", "target_id"] {
            if own.get(member).is_some() {
                own[member] = json!(self.external.id);
            }
        }
        if operation == "register" {
            own["url"] = json!("http://localhost:9/");
        }
        own
    }

    fn call(&self, server: &Server, operation: &Operation) -> Call {
        self.call_with(server, operation, "")
    }

    fn call_with(&self, server: &Server, operation: &Operation, query: &str) -> Call {
        let path = operation.path.replace("{id}", &self.managed).replace("{key}", "KEY");
        let call = server.call(operation.method.clone(), format!("{path}{query}"));
        match operation.raw["x-auth-class"].as_str() {
            Some("registry") => call.bearer(&self.external.token),
            Some("peer") => call
                .bearer(&self.external.token)
                .header("x-workspace-id", self.external.id.to_string()),
            _ => call.bearer(ADMIN),
        }
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, raw) in item.as_object().unwrap() {
            all.push(Operation {
                name: raw["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                raw: raw.clone(),
            });
        }
    }
    all
}

/// A body as a whole: the example is taken, what is no object is not, and none is where the document says so.
fn whole(base: &Value, optional: bool) -> Vec<Body> {
    let body = |text: &str, valid| Body {
        at: "as a whole".to_owned(),
        text: text.to_owned(),
        valid,
    };
    let mut all: Vec<_> = ["null", "[]", "[null,null]", "3", "true", "\"x\"", "{", "{}x"]
        .map(|text| body(text, false))
        .into();
    all.push(body("", optional));
    all.push(body(&base.to_string(), true));
    all
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(pointer) => resolve(document, document.pointer(&pointer[1..]).unwrap()),
        None => schema,
    }
}

/// What a member may be: the schemas that it may have, null apart.
fn choices<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = resolve(document, schema);
    match schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array) {
        Some(several) if schema.get("properties").is_none() => {
            several.iter().flat_map(|one| choices(document, one)).collect()
        }
        _ => vec![schema],
    }
}

fn types_of<'a>(choices: &[&'a Value]) -> Vec<&'a str> {
    let named = choices.iter().flat_map(|choice| match &choice["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    });
    named.collect()
}

/// Tries every member of `base`, as its schema has them, at every boundary. `found` gets where, the body and whether the
/// document allows it.
fn members(document: &Value, schema: &Value, base: &Value, found: &mut dyn FnMut(&str, Value, bool)) {
    let schema = resolve(document, schema);
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, member) in properties {
        let mut without = base.clone();
        without.as_object_mut().unwrap().remove(name);
        found(name, without, !required.contains(&json!(name)));
        let mut tried = |value: Value, valid: bool| {
            let mut body = base.clone();
            body[name] = value;
            found(name, body, valid);
        };
        values(document, member, &base[name], &mut tried);
        // What is in it.
        for choice in choices(document, member) {
            if choice["properties"].is_object() && base[name].is_object() {
                members(document, choice, &base[name], &mut |at, value, valid| {
                    let mut body = base.clone();
                    body[name] = value;
                    found(&format!("{name}.{at}"), body, valid);
                });
            }
            if choice["items"].is_object() && base[name][0].is_object() {
                members(document, &choice["items"], &base[name][0], &mut |at, value, valid| {
                    let mut body = base.clone();
                    body[name][0] = value;
                    found(&format!("{name}[0].{at}"), body, valid);
                });
            }
        }
    }
}

/// Values of a member: of every type, and at every boundary.
fn values(document: &Value, schema: &Value, base: &Value, tried: &mut dyn FnMut(Value, bool)) {
    let choices = choices(document, schema);
    let types = types_of(&choices);
    if types.is_empty() {
        // Anything goes.
        for value in [json!(null), json!(7), json!("text"), json!([]), json!({})] {
            tried(value, true);
        }
        return;
    }
    let may = |name: &str| types.contains(&name);
    for (value, fits) in [
        (json!(null), may("null")),
        (json!(true), may("boolean")),
        (json!(1.5), may("number")),
    ] {
        tried(value, fits);
    }
    if !may("array") {
        tried(json!([]), false);
    }
    if !may("array") || choices.iter().any(|choice| choice["items"].is_object()) {
        tried(json!([[]]), false);
    }
    if !may("object") {
        tried(json!({}), false);
    }
    if !may("integer") && !may("number") {
        tried(json!(7), false);
    }
    if !may("string") {
        tried(json!("text"), false);
    }
    for choice in choices {
        match types_of(&[choice]).as_slice() {
            kinds if kinds.contains(&"string") && kinds.len() <= 2 => strings(choice, base, tried),
            kinds if kinds.contains(&"integer") => numbers(choice, tried),
            kinds if kinds.contains(&"array") && kinds.len() <= 2 => {
                if let (Some(most), Some(item)) = (choice["maxItems"].as_u64(), base.get(0)) {
                    let most = usize::try_from(most).unwrap();
                    tried(json!(vec![item; most]), true);
                    tried(json!(vec![item; most + 1]), false);
                }
            }
            kinds if kinds.contains(&"object") => objects(choice, tried),
            _ => {}
        }
    }
}

fn strings(schema: &Value, base: &Value, tried: &mut dyn FnMut(Value, bool)) {
    if let Some(words) = schema["enum"].as_array() {
        for word in words {
            tried(word.clone(), true);
        }
        tried(json!("no-such-word"), false);
        return;
    }
    if schema["format"] == "uuid" {
        tried(json!("no-id"), false);
        tried(json!(""), false);
        if !base.is_null() {
            tried(base.clone(), true);
        }
        return;
    }
    let pattern = schema["pattern"].as_str().map(|pattern| Regex::new(pattern).unwrap());
    let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap();
    let most = schema["maxLength"].as_u64().map(|most| usize::try_from(most).unwrap());
    let fits = |text: &str| {
        let length = text.chars().count();
        length >= least
            && most.is_none_or(|most| length <= most)
            && pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    };
    let mut texts = vec![String::new(), "x".to_owned()];
    if let Some(most) = most {
        texts.extend(["x".repeat(most), "x".repeat(most + 1)]);
    }
    // Where there is no pattern, what a text means is another matter.
    if pattern.is_some() {
        let odd = [
            "a\0b",
            "a\nb",
            "a=b",
            " ",
            "a\u{200b}b",
            "/srv/x",
            "relative",
            "界",
            "a\u{1b}b",
        ];
        texts.extend(odd.map(str::to_owned));
    }
    let unbound = pattern.is_none() && least == 0 && most.is_none();
    for text in texts.into_iter().filter(|_| !unbound) {
        let valid = fits(&text);
        tried(json!(text), valid);
    }
}

fn numbers(schema: &Value, tried: &mut dyn FnMut(Value, bool)) {
    let (Some(least), Some(most)) = (schema["minimum"].as_i64(), schema["maximum"].as_u64()) else {
        panic!("an integer without bounds: {schema}");
    };
    tried(json!(least), true);
    tried(json!(most), true);
    tried(most.checked_add(1).map_or(json!(2e19), |above| json!(above)), false);
    tried(least.checked_sub(1).map_or(json!(-1e19), |below| json!(below)), false);
}

fn objects(schema: &Value, tried: &mut dyn FnMut(Value, bool)) {
    let of = |n: u64| (0..n).map(|n| (format!("f{n}.md"), json!("x"))).collect::<Value>();
    if let Some(least) = schema["minProperties"].as_u64() {
        tried(of(least), true);
        tried(of(least - 1), false);
    }
    if let Some(most) = schema["maxProperties"].as_u64() {
        tried(of(most), true);
        tried(of(most + 1), false);
    }
    if schema["additionalProperties"]["type"] == "string" {
        tried(json!({ "f.md": 3 }), false);
    }
    if schema["propertyNames"]["pattern"].is_string() {
        tried(json!({ "A=B": "x" }), false);
        tried(json!({ "A": "a\0b" }), false);
        tried(json!({ "A": "" }), true);
    }
}

/// Spellings of a parameter's value.
fn spellings(document: &Value, schema: &Value) -> Vec<(String, bool)> {
    let said = |text: &str, valid| (text.to_owned(), valid);
    match schema["type"].as_str() {
        Some("boolean") => vec![said("false", true), said("maybe", false), said("1", false)],
        Some("integer") => {
            let least = schema["minimum"].as_i64().unwrap();
            vec![
                (least.to_string(), true),
                ((least - 1).to_string(), false),
                said("x", false),
                said("1.5", false),
            ]
        }
        Some("string") if schema["enum"].is_array() => {
            let words = schema["enum"].as_array().unwrap().iter();
            let mut all: Vec<_> = words.map(|word| said(word.as_str().unwrap(), true)).collect();
            all.push(said("no-such-word", false));
            all
        }
        Some("string") if schema["format"] == "uuid" => vec![said("no-id", false)],
        Some("string") if schema["format"] == "date-time" => {
            vec![said("2026-12-01T00:00:00Z", true), said("yesterday", false)]
        }
        _ => {
            assert!(document.is_object());
            vec![said("x", true)]
        }
    }
}
