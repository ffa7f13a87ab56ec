//! The description of the API, made from the handlers' own annotations and the table of routes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{
    OpenApi,
    openapi::{
        HttpMethod, Ref, RefOr, Response,
        content::ContentBuilder,
        extensions::ExtensionsBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    a2a, activity, agents, artifacts, auth, canvas, events, ops, orgs, pages, registry,
    route::{Class, Route, Verb},
    routes::ROUTES,
    secrets, settings, teams, templates, tokens, workspaces,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Molecule",
        description = "Runs organisations of AI agents. `x-auth-class` says who may call an operation.",
    ),
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
    components(schemas(molecule_wire::ErrorBody, molecule_wire::a2a::PollQueued))
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
    document
}

/// The document as it is served.
pub(crate) fn document_json() -> String {
    // A document of maps, strings and numbers always serialises; an empty one would be noticed by its test.
    serde_json::to_string(&sorted()).unwrap_or_default()
}

/// The document with every object's members in order, so that it is the same text in every build.
fn sorted() -> Value {
    in_order(serde_json::to_value(document()).unwrap_or(json!({})))
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
            .build(),
    );
    let with = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    operation.security = Some(match route.class {
        Class::Public => Vec::new(),
        Class::Metrics => vec![SecurityRequirement::default(), with(BEARER)],
        _ if route.ticket.is_some() => vec![with(TICKET), with(BEARER)],
        _ => vec![with(BEARER)],
    });
    let known = &mut operation.responses.responses;
    for (status, description) in refusals(route) {
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

/// Refusals that no handler writes itself; a handler's own description of a status stands before these.
fn refusals(route: &Route) -> Vec<(&'static str, &'static str)> {
    let mut refusals = vec![("429", "Too many requests; `retry_after` says when to come back.")];
    if route.refuses_malformed_id() {
        refusals.push(("400", "The id in the path is none: `invalid workspace ID`."));
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
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

    #[test]
    fn the_table_and_the_document_agree() {
        let document = sorted();
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                documented.insert((method.to_uppercase(), path.clone()));
            }
        }
        let served = ROUTES
            .iter()
            .map(|route| (route.verb.as_str().to_owned(), documented_path(route)));
        let served: BTreeSet<_> = served.collect();
        assert_eq!(served, documented);
    }

    #[test]
    fn every_operation_is_named_once_and_has_its_class() {
        let document = sorted();
        let mut names = BTreeSet::new();
        for route in ROUTES {
            let operation = &document["paths"][documented_path(route)][route.verb.as_str().to_lowercase()];
            assert_eq!(operation["x-auth-class"], route.class.as_str(), "{}", route.path);
            assert!(
                names.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{operation}"
            );
            assert!(operation["summary"].is_string(), "{}", route.path);
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{}", route.path);
        }
    }

    #[test]
    fn refusals_nobody_writes_are_described() {
        // SEC-106, SEC-190, SEC-202
        let document = sorted();
        for route in ROUTES {
            let operation = &document["paths"][documented_path(route)][route.verb.as_str().to_lowercase()];
            let described = |status: &str| operation["responses"][status].is_object();
            let expected = [
                ("403", true),
                ("429", true),
                ("400", described("400") || route.refuses_malformed_id()),
                ("401", described("401") || route.class != Class::Public),
                ("408", operation["requestBody"].is_object()),
                (
                    "413",
                    operation["requestBody"].is_object() && route.class != Class::Message,
                ),
                ("500", !route.built_in),
            ];
            for (status, expected) in expected {
                assert_eq!(described(status), expected, "{} {status}", route.path);
            }
        }
        let message = &document["paths"]["/workspaces/{id}/a2a"]["post"]["responses"];
        assert!(message["default"].is_object(), "an agent's status is its own");
    }

    #[test]
    fn aliases_are_what_they_stand_for() {
        let document = sorted();
        let (alias, path) = (
            &document["paths"]["/admin/secrets"],
            &document["paths"]["/settings/secrets"],
        );
        assert_eq!(alias["post"]["requestBody"], path["post"]["requestBody"]);
        assert_eq!(alias["post"]["responses"], path["post"]["responses"]);
        assert_eq!(alias["get"]["operationId"], "admin_list_global_secrets");
        assert!(alias.get("put").is_none(), "the table has none");
    }

    #[test]
    fn the_checked_in_document_is_current() {
        let current = serde_json::to_string_pretty(&sorted()).unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(CHECKED_IN, &current).unwrap();
        }
        let checked_in = std::fs::read_to_string(CHECKED_IN).unwrap();
        assert!(
            checked_in == current,
            "openapi.json is not what the code says; run the test with UPDATE_OPENAPI=1"
        );
        assert!(current.contains(r#""openapi": "3.1"#));
    }

    #[test]
    fn references_lead_somewhere() {
        let document = sorted();
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    open.extend(members.values());
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
    }
}
