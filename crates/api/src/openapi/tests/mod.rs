mod schema;

use std::collections::BTreeSet;

use super::*;

const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

/// Rows that the document describes: what is not built yet and what is only handed on has no entry.
fn entered() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| !route.later && !route.streams)
}

#[test]
fn the_table_and_the_document_agree() {
    let document = complete_document();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let served = entered().map(|route| (route.verb.as_str().to_owned(), documented_path(route)));
    let served: BTreeSet<_> = served.collect();
    assert_eq!(served, documented);
}

#[test]
fn every_operation_is_named_once_and_has_its_class() {
    let document = complete_document();
    let mut names = BTreeSet::new();
    for route in entered() {
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
    let document = complete_document();
    for route in entered() {
        let operation = &document["paths"][documented_path(route)][route.verb.as_str().to_lowercase()];
        let described = |status: &str| operation["responses"][status].is_object();
        let expected = [
            ("403", true),
            ("429", true),
            ("400", true),
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
    let document = complete_document();
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
    let current = serde_json::to_string_pretty(&complete_document()).unwrap() + "\n";
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
    let document = complete_document();
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

/// Every operation with its method and path.
fn described() -> Vec<(String, Value)> {
    let mut document = complete_document();
    operations(&mut document)
        .map(|operation| (operation["operationId"].as_str().unwrap().to_owned(), operation.clone()))
        .collect()
}

#[test]
fn every_operation_has_examples_that_fit() {
    let document = complete_document();
    let mut known: BTreeSet<_> = examples::all().iter().map(|example| example.operation).collect();
    for (name, operation) in described() {
        known.remove(name.as_str());
        for (media, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let faults = schema::faults(&document, &content["schema"], &content["example"]);
            assert!(faults.is_empty(), "{name} is asked {media}: {faults:#?}");
        }
        let responses = operation["responses"].as_object().unwrap();
        let told: Vec<_> = responses
            .iter()
            .filter(|(status, _)| matches!(status.as_bytes()[0], b'1' | b'2'))
            .collect();
        for (status, response) in &told {
            for (media, content) in response["content"].as_object().unwrap() {
                let faults = schema::faults(&document, &content["schema"], &content["example"]);
                assert!(faults.is_empty(), "{name} gives {status} {media}: {faults:#?}");
            }
        }
        let only_refuses = operation["responses"]["501"]["x-error-codes"] == json!(["not_implemented"]);
        assert!(!told.is_empty() || only_refuses, "{name} answers nothing");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let faults = schema::faults(&document, &parameter["schema"], &parameter["example"]);
            assert!(faults.is_empty(), "{name}, {}: {faults:#?}", parameter["name"]);
        }
    }
    assert!(known.is_empty(), "examples of operations that are not there: {known:?}");
}

#[test]
fn people_are_told_no_requirement_ids() {
    let id = regex::Regex::new(r"\b(?:[A-Z][A-Z0-9]{1,4}-[A-Z]?\d|D\d{1,2}\b|OP-\d)|§|\.md`").unwrap();
    let mut open = vec![complete_document()];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::String(text) if matches!(name.as_str(), "description" | "summary") => {
                            let text = text.replace("UTF-8", "").replace("UUIDv4", "");
                            assert!(!id.is_match(&text), "{text}");
                        }
                        other => open.push(other),
                    }
                }
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[test]
fn groups_are_explained_and_all_used() {
    let document = complete_document();
    let tags = document["tags"].as_array().unwrap().iter();
    let mut explained: BTreeSet<_> = tags
        .inspect(|tag| assert!(tag["description"].is_string(), "{tag}"))
        .map(|tag| tag["name"].as_str().unwrap().to_owned())
        .collect();
    let used: BTreeSet<_> = described()
        .iter()
        .map(|(_, operation)| operation["tags"][0].as_str().unwrap().to_owned())
        .collect();
    explained.retain(|tag| !used.contains(tag));
    assert!(explained.is_empty(), "{explained:?} are empty");
    assert_eq!(document["tags"].as_array().unwrap().len(), used.len());
    assert_eq!(document["servers"][0]["url"], ".");
    assert_eq!(
        document["x-auth-classes"].as_object().unwrap().len(),
        Class::all().count()
    );
}

#[test]
fn every_code_is_listed_somewhere() {
    // D11
    let schemas = &complete_document()["components"]["schemas"];
    let mut unused: BTreeSet<_> = schemas["ErrorCode"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap().to_owned())
        .collect();
    for (name, operation) in described() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for code in response["x-error-codes"].as_array().into_iter().flatten() {
                unused.remove(code.as_str().unwrap());
                assert!(status.as_bytes()[0] >= b'4', "{name} {status}");
            }
        }
    }
    assert!(unused.is_empty(), "no operation has {unused:?}");
}

#[test]
fn codes_of_refusals_are_those_that_are_sent() {
    // SEC-150: what each operation can say to an org token, and to whoever governs itself.
    let described: BTreeMap<_, _> = described().into_iter().collect();
    for (operation, codes) in [
        ("list_workspaces", vec![]),
        ("create_ticket", vec![]),
        ("logout", vec![]),
        ("login", vec![]),
        ("register", vec![]),
        ("openapi", vec![]),
        ("get_workspace", vec!["out_of_reach"]),
        ("check_access", vec!["out_of_reach"]),
        ("list_workspace_events", vec!["out_of_reach"]),
        ("set_viewport", vec!["read_only"]),
        ("create_workspace", vec!["out_of_reach", "read_only"]),
        ("send_message", vec!["out_of_reach", "read_only"]),
        ("set_workspace_budget", vec!["out_of_reach", "read_only"]),
        ("update_workspace", vec!["admin_only", "out_of_reach", "read_only"]),
        ("move_agent", vec!["admin_only", "out_of_reach", "read_only"]),
    ] {
        let found = described[operation]["responses"]["403"]["x-error-codes"].clone();
        let found: Vec<String> = serde_json::from_value(found).unwrap_or_default();
        assert_eq!(found, codes, "{operation}");
    }
}

#[test]
fn what_a_full_disk_refuses_is_described() {
    let document = complete_document();
    for route in entered() {
        let operation = &document["paths"][documented_path(route)][route.verb.as_str().to_lowercase()];
        let name = operation["operationId"].as_str().unwrap();
        let full = operation["responses"]["507"]["x-error-codes"] == json!(["disk_full"]);
        assert_eq!(full, codes::writes(route, name), "{name}");
    }
}

#[test]
fn messages_are_typed_as_agents_and_callers_write_them() {
    // A2A-20…32: the corpus of shapes that clients send.
    let document = complete_document();
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../a2a/corpus");
    let request = json!({ "$ref": "#/components/schemas/A2aRequest" });
    let mut read = 0;
    for (directory, good) in [("valid", true), ("invalid", false)] {
        for file in std::fs::read_dir(format!("{corpus}/{directory}")).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let case: Value = serde_json::from_str(&text).unwrap();
            let faults = schema::faults(&document, &request, case.get("body").unwrap_or(&case));
            // What says nothing of itself is completed by the server; what is wrong is wrong by the schema too.
            assert_eq!(faults.is_empty(), good, "{}: {faults:#?}", path.display());
            read += 1;
        }
    }
    assert!(read > 20, "{read}");
}

#[test]
fn reported_kinds_are_those_that_the_server_takes() {
    // ACT-45
    let document = complete_document();
    let words = document["components"]["schemas"]["ReportedActivityType"]["enum"].clone();
    let reportable: Vec<_> = molecule_core::activity::ActivityType::ALL
        .into_iter()
        .filter(|kind| kind.is_reportable())
        .map(molecule_core::activity::ActivityType::as_str)
        .collect();
    assert_eq!(words, json!(reportable));
}
