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
    a2a, activity, auth, events, ops, orgs, pages, registry,
    routes::{Class, ROUTES, Route, Verb},
    secrets, settings, templates, tokens, workspaces,
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
        workspaces::logs,
        a2a::send,
        activity::list,
        activity::report,
        activity::notify,
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
        secrets::admin_list,
        secrets::admin_set,
        secrets::admin_delete,
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
        orgs::templates,
        orgs::import,
        events::list,
        events::of_workspace,
        events::open,
    ),
    components(schemas(molecule_wire::ErrorBody, molecule_wire::a2a::PollQueued))
)]
struct Described;

const BEARER: &str = "bearer";
const TICKET: &str = "ticket";

/// The whole document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Described::openapi();
    for route in ROUTES {
        if let Some(operation) = operation_of(&mut document, route) {
            complete(operation, route.class);
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

fn operation_of<'a>(document: &'a mut utoipa::openapi::OpenApi, route: &Route) -> Option<&'a mut Operation> {
    let item = document.paths.paths.get_mut(&documented_path(route))?;
    let operation = match method_of(route.verb) {
        HttpMethod::Get => &mut item.get,
        HttpMethod::Post => &mut item.post,
        HttpMethod::Put => &mut item.put,
        HttpMethod::Patch => &mut item.patch,
        HttpMethod::Delete => &mut item.delete,
        _ => return None,
    };
    operation.as_mut()
}

/// What follows from the class: who may call, and the refusals of the guard.
fn complete(operation: &mut Operation, class: Class) {
    operation.extensions = Some(ExtensionsBuilder::new().add("x-auth-class", class.as_str()).build());
    let with = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    operation.security = Some(match class {
        Class::Public => Vec::new(),
        Class::Metrics => vec![SecurityRequirement::default(), with(BEARER)],
        Class::Socket => vec![with(TICKET), with(BEARER)],
        _ => vec![with(BEARER)],
    });
    let mut refusals = vec![("429", "Too many requests; `retry_after` says when to come back.")];
    if class != Class::Public {
        refusals.push(("401", "The credential is missing or proves nothing."));
        refusals.push((
            "503",
            "Not now; `code` is `platform_unavailable` if a credential could not be looked up.",
        ));
    }
    for (status, description) in refusals {
        let known = operation.responses.responses.contains_key(status);
        if !known {
            operation
                .responses
                .responses
                .insert(status.to_owned(), RefOr::T(refusal(description)));
        }
    }
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
