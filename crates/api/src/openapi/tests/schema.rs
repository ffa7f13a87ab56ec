//! As much of JSON Schema as the document uses. The linter has another reader of it.

use regex::Regex;
use serde_json::Value;

/// What is wrong with a value; nothing if it fits.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(document, schema, value, "$", &mut faults);
    faults
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else { return };
    for (rule, says) in rules {
        let fits = |choice: &Value| {
            let mut inner = Vec::new();
            check(document, choice, value, at, &mut inner);
            inner.is_empty()
        };
        let fault = match rule.as_str() {
            "$ref" => {
                let pointer = says.as_str().unwrap().trim_start_matches('#');
                check(document, document.pointer(pointer).unwrap(), value, at, faults);
                continue;
            }
            "allOf" => {
                for part in says.as_array().unwrap() {
                    check(document, part, value, at, faults);
                }
                continue;
            }
            "oneOf" => says.as_array().unwrap().iter().filter(|choice| fits(choice)).count() != 1,
            "anyOf" => !says.as_array().unwrap().iter().any(fits),
            "enum" => !says.as_array().unwrap().contains(value),
            "const" => says != value,
            "type" => !is_of(says, value),
            "format" => !has_format(says.as_str().unwrap(), value),
            "required" => {
                let lacks = |name: &Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                says.as_array().unwrap().iter().any(lacks)
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                size(rule, value).is_some_and(|size| beyond(rule, size as f64, says))
            }
            "minimum" | "maximum" => value.as_f64().is_some_and(|number| beyond(rule, number, says)),
            "pattern" => value
                .as_str()
                .is_some_and(|text| !Regex::new(says.as_str().unwrap()).unwrap().is_match(text)),
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, says, item, &format!("{at}[{n}]"), faults);
                }
                continue;
            }
            "properties" | "additionalProperties" | "propertyNames" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    let below = format!("{at}.{name}");
                    match rule.as_str() {
                        "properties" if says.get(name).is_some() => {
                            check(document, &says[name], member, &below, faults);
                        }
                        "propertyNames" => check(document, says, &Value::from(name.as_str()), &below, faults),
                        "additionalProperties" if schema["properties"].get(name).is_none() => {
                            check(document, says, member, &below, faults);
                        }
                        _ => {}
                    }
                }
                continue;
            }
            "description" | "title" | "default" | "example" | "examples" => continue,
            unknown => panic!("{at}: the document uses {unknown}, which nothing here checks"),
        };
        if fault {
            faults.push(format!("{at}: {rule} {says} is not met by {value}"));
        }
    }
}

fn is_of(types: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type: {other}"),
    };
    types.as_array().map_or_else(|| is(types), |types| types.iter().any(is))
}

fn has_format(format: &str, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return true };
    match format {
        "uuid" => text.parse::<molecule_core::WorkspaceId>().is_ok(),
        "date-time" => molecule_core::Timestamp::parse_rfc3339(text).is_ok(),
        _ => true,
    }
}

fn size(rule: &str, value: &Value) -> Option<usize> {
    match (rule, value) {
        ("minLength" | "maxLength", Value::String(text)) => Some(text.chars().count()),
        ("minItems" | "maxItems", Value::Array(items)) => Some(items.len()),
        ("minProperties" | "maxProperties", Value::Object(members)) => Some(members.len()),
        _ => None,
    }
}

fn beyond(rule: &str, number: f64, bound: &Value) -> bool {
    let bound = bound.as_f64().unwrap();
    if rule.starts_with("min") {
        number < bound
    } else {
        number > bound
    }
}
