//! The description of the API, made from the handlers' own annotations and the table of routes: `texts` says what is
//! for people, `codes` which errors a status may have, `examples` has one of every operation, and `exact` says what
//! annotations cannot.

mod codes;
mod exact;
mod examples;
mod texts;

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::{
    OpenApi,
    openapi::{
        HttpMethod, Ref, RefOr, Response, Server,
        content::ContentBuilder,
        extensions::ExtensionsBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    a2a, activity, admin, agents, allowlists, artifacts, audit, auth, budget, canvas, events,
    matrix::{Standing, Verdict},
    ops, orgs, pages, registry,
    route::{Class, Route, Verb},
    routes::ROUTES,
    secrets, settings, teams, templates, tokens, workspaces,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Molecule"),
    paths(
        pages::index,
        pages::docs,
        pages::asset,
        ops::health,
        ops::build_info,
        ops::metrics,
        ops::openapi,
        ops::liveness,
        ops::server,
        ops::models,
        ops::ready,
        ops::log_filter,
        ops::set_log_filter,
        auth::login,
        auth::logout,
        auth::login_code,
        auth::ticket,
        auth::sessions,
        auth::end_session,
        audit::list,
        audit::verify,
        admin::rotate_token,
        admin::rotate_secrets,
        allowlists::list,
        allowlists::replace,
        workspaces::list,
        workspaces::create,
        workspaces::get,
        workspaces::update,
        workspaces::delete,
        workspaces::workspace_state,
        workspaces::restart,
        workspaces::pause,
        workspaces::resume,
        workspaces::hibernate,
        workspaces::wake,
        workspaces::restore,
        workspaces::bootstrap_failed,
        teams::expand,
        teams::collapse,
        agents::assign,
        agents::replace,
        agents::remove,
        agents::relocate,
        workspaces::logs,
        budget::show,
        budget::set,
        a2a::send,
        activity::list,
        activity::report,
        activity::notify,
        artifacts::show,
        artifacts::create,
        artifacts::fork,
        artifacts::token,
        tokens::list,
        tokens::mint,
        tokens::revoke,
        tokens::test_token,
        tokens::list_org,
        tokens::mint_org,
        tokens::revoke_org,
        secrets::list,
        secrets::set,
        secrets::put,
        secrets::values,
        secrets::delete,
        secrets::list_global,
        secrets::set_global,
        secrets::put_global,
        secrets::delete_global,
        settings::model,
        settings::set_model,
        settings::provider,
        settings::set_provider,
        registry::register,
        registry::heartbeat,
        registry::update_card,
        registry::check_access,
        registry::discover,
        registry::peers,
        templates::list,
        templates::import,
        orgs::templates,
        orgs::import,
        canvas::viewport,
        canvas::set_viewport,
        events::list,
        events::of_workspace,
        events::open,
    ),
    components(schemas(
        molecule_wire::ErrorBody,
        molecule_wire::a2a::A2aTask,
        molecule_wire::words::A2aMethod,
        molecule_wire::words::ActivitySource,
        molecule_wire::words::AskedAccess,
        molecule_wire::words::AskedDeliveryMode,
    ))
)]
struct Described;

const BEARER: &str = "bearer";
const TICKET: &str = "ticket";

/// Paths at which handlers of another path answer too; they are described once.
const ALIASES: [(&str, &str); 2] = [
    ("/admin/secrets", "/settings/secrets"),
    ("/admin/secrets/{key}", "/settings/secrets/{key}"),
];

/// The whole document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Described::openapi();
    describe_aliases(&mut document);
    for route in ROUTES {
        if let Some(operation) = operation_of(&mut document, &documented_path(route), route.verb) {
            complete(operation, route);
        }
    }
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "A session, the operator's token, an org token or a workspace's token.",
    ));
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    let ticket = ApiKey::Query(ApiKeyValue::with_description(
        "ticket",
        "Single use, from `POST /auth/tickets`.",
    ));
    components.add_security_scheme(TICKET, SecurityScheme::ApiKey(ticket));
    document.info.description = Some(texts::introduction());
    document.tags = Some(texts::tags());
    let mut here = Server::new(".");
    here.description = Some("The server that this description comes from; below a sub-path too.".to_owned());
    document.servers = Some(vec![here]);
    document
}

/// The document as it is served, made when it is first asked for.
pub(crate) fn document_json() -> Bytes {
    // A document of maps, strings and numbers always serialises; an empty one would be noticed by its test.
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&complete_document()).unwrap_or_default().into());
    DOCUMENT.clone()
}

/// The document with what is said of values, and with every object's members in order, so that it is the same text in
/// every build.
fn complete_document() -> Value {
    let mut document = serde_json::to_value(document()).unwrap_or(json!({}));
    texts::rid_of_ids(&mut document);
    exact::say(&mut document);
    for route in ROUTES {
        let pointer = ["paths", &documented_path(route), &route.verb.as_str().to_lowercase()]
            .map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1")));
        if let Some(operation) = document.pointer_mut(&pointer.concat()) {
            name_codes(operation, route);
        }
    }
    let classes = Class::all().map(|class| (class.as_str().to_owned(), json!(texts::who(class))));
    document["x-auth-classes"] = Value::Object(classes.collect());
    exemplify(&mut document);
    in_order(document)
}

/// Puts the codes beside the statuses that may have them.
fn name_codes(operation: &mut Value, route: &Route) {
    let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, response) in responses {
        let codes = codes::of(route, &name, status);
        if !codes.is_empty() {
            response["x-error-codes"] = json!(codes);
        }
    }
}

/// Puts the examples where they belong.
fn exemplify(document: &mut Value) {
    let examples: BTreeMap<_, _> = examples::all()
        .into_iter()
        .map(|example| (example.operation, example))
        .collect();
    for operation in operations(document) {
        for parameter in parameters(operation) {
            if let Some(value) = parameter["name"].as_str().and_then(examples::parameter) {
                parameter["example"] = value;
            }
        }
        let Some(example) = operation["operationId"].as_str().and_then(|name| examples.get(name)) else {
            continue;
        };
        if let Some(request) = &example.request {
            operation["requestBody"]["content"]["application/json"]["example"] = request.clone();
        }
        for (status, media, body) in &example.answers {
            operation["responses"][status]["content"][media]["example"] = body.clone();
        }
    }
}

/// The parameters of an operation.
fn parameters(operation: &mut Value) -> impl Iterator<Item = &mut Value> {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    parameters.into_iter().flatten()
}

/// Every operation of the document.
fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths
        .filter_map(|(_, item)| item.as_object_mut())
        .flatten()
        .map(|(_, operation)| operation)
}

/// Whether maps keep their order depends on what else is built into the program; here it must not.
fn in_order(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<String, Value> = members
                .into_iter()
                .map(|(name, value)| (name, in_order(value)))
                .collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(in_order).collect()),
        other => other,
    }
}

/// A row's path as OpenAPI spells it.
fn documented_path(route: &Route) -> String {
    route.path.replace("{*", "{")
}

const fn method_of(verb: Verb) -> HttpMethod {
    match verb {
        Verb::Get => HttpMethod::Get,
        Verb::Post => HttpMethod::Post,
        Verb::Put => HttpMethod::Put,
        Verb::Patch => HttpMethod::Patch,
        Verb::Delete => HttpMethod::Delete,
    }
}

fn describe_aliases(document: &mut utoipa::openapi::OpenApi) {
    for (alias, path) in ALIASES {
        for route in ROUTES.iter().filter(|route| route.path == alias) {
            let Some(mut operation) = operation_of(document, path, route.verb).cloned() else {
                continue;
            };
            operation.operation_id = operation.operation_id.map(|id| format!("admin_{id}"));
            operation.summary = Some(format!("The same as `{} {path}`.", route.verb.as_str()));
            operation.description = None;
            document
                .paths
                .add_path_operation(alias, vec![method_of(route.verb)], operation);
        }
    }
}

fn operation_of<'a>(document: &'a mut utoipa::openapi::OpenApi, path: &str, verb: Verb) -> Option<&'a mut Operation> {
    let item = document.paths.paths.get_mut(path)?;
    let operation = match method_of(verb) {
        HttpMethod::Get => &mut item.get,
        HttpMethod::Post => &mut item.post,
        HttpMethod::Put => &mut item.put,
        HttpMethod::Patch => &mut item.patch,
        HttpMethod::Delete => &mut item.delete,
        _ => return None,
    };
    operation.as_mut()
}

/// What follows from the row: who may call, and the refusals of the guard and of the extractors.
fn complete(operation: &mut Operation, route: &Route) {
    operation.extensions = Some(
        ExtensionsBuilder::new()
            .add("x-auth-class", route.class.as_str())
            .add("x-auth-callers", callers(route))
            .build(),
    );
    let with = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    let anonymous = route.verdict(Standing::Anonymous, false) == Verdict::Allowed;
    operation.security = Some(match route.class {
        _ if anonymous => Vec::new(),
        Class::Metrics => vec![SecurityRequirement::default(), with(BEARER)],
        _ if route.ticket.is_some() => vec![with(TICKET), with(BEARER)],
        _ => vec![with(BEARER)],
    });
    let known = &mut operation.responses.responses;
    let name = operation.operation_id.as_deref().unwrap_or_default();
    for (status, description) in refusals(route, name) {
        known
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(refusal(description)));
    }
    // Refused before anything is known of the request (SEC-202).
    let foreign = "The page that asks is of a foreign origin; no body.";
    known
        .entry("403".to_owned())
        .or_insert_with(|| RefOr::T(Response::new(foreign)));
}

/// Whom the matrix lets in, in required mode.
fn callers(route: &Route) -> Vec<&'static str> {
    let admitted = |who: &Standing| !matches!(route.verdict(*who, false), Verdict::Refused(_));
    Standing::ALL
        .into_iter()
        .filter(admitted)
        .map(Standing::as_str)
        .collect()
}

/// Refusals that no handler writes itself; a handler's own description of a status stands before these.
fn refusals(route: &Route, operation: &str) -> Vec<(&'static str, &'static str)> {
    let mut refusals = vec![("429", "Too many requests; `retry_after` says when to come back.")];
    refusals.push(if route.refuses_malformed_id() {
        (
            "400",
            "The id in the path is none: `invalid workspace ID`; or a header was sent more than once.",
        )
    } else {
        ("400", "A header was sent more than once.")
    });
    if codes::writes(route, operation) {
        refusals.push(("507", "The server has no disk space left; nothing was changed."));
    }
    // A message that is too long is no JSON-RPC request (A2A-2).
    if route.body > 0 && route.class != Class::Message {
        refusals.push(("413", "The body is too long."));
    }
    if route.body > 0 {
        refusals.push(("408", "The body did not arrive in time."));
    }
    if !route.built_in {
        refusals.push(("500", "Something failed here; the log says what."));
    }
    if route.class != Class::Public {
        refusals.push(("401", "The credential is missing or proves nothing."));
    }
    if route.class != Class::Public || route.body > 0 {
        refusals.push((
            "503",
            "Not now; `code` is `platform_unavailable` if a credential could not be looked up, `out_of_memory` if \
             others are sending large bodies.",
        ));
    }
    refusals
}

fn refusal(description: &str) -> Response {
    let mut response = Response::new(description);
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("ErrorBody")))
        .build();
    response.content.insert("application/json".to_owned(), RefOr::T(body));
    response
}

#[cfg(test)]
mod tests;
