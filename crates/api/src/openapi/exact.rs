//! What annotations of types cannot say, so that the document and the server agree at every boundary.

use serde_json::{Value, json};

/// Completes the document.
pub(super) fn say(document: &mut Value) {
    bound_integers(document);
    for operation in super::operations(document) {
        require_no_null(operation);
    }
    let schemas = &mut document["components"]["schemas"];
    let files = &mut schemas["ImportTemplate"]["properties"]["files"];
    files["minProperties"] = json!(1);
    files["maxProperties"] = json!(molecule_core::limits::TEMPLATE_FILES);
    schemas["Attachment"]["properties"]["size"]["maximum"] = json!(u64::MAX);
    // The word that says nothing is the empty one.
    for words in ["AskedDeliveryMode", "AskedAccess"] {
        schemas[words]["enum"][0] = json!("");
    }
    // A key becomes the name of a variable, a value its value.
    let secrets = &mut schemas["CreateWorkspace"]["properties"]["secrets"];
    secrets["propertyNames"] = json!({ "type": "string", "pattern": r"^[^=\x00\x0a\x0d]+$" });
    secrets["additionalProperties"] = json!({ "type": "string", "pattern": r"^[^\x00]*$" });
    schemas["A2aMessage"]["properties"]["content"]["type"] = json!(["string", "array"]);
    schemas["A2aMessage"]["anyOf"] = json!([
        { "properties": { "parts": {} }, "required": ["parts"] },
        { "properties": { "content": {} }, "required": ["content"] },
    ]);
}

/// A format is a hint to readers; the bounds of an integer are said in numbers.
fn bound_integers(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_integer = members.get("type").is_some_and(|of| {
                of == "integer"
                    || of
                        .as_array()
                        .is_some_and(|types| types.iter().any(|one| one == "integer"))
            });
            let format = members.get("format").and_then(Value::as_str).unwrap_or_default();
            let signed = members.get("minimum").is_none_or(|minimum| minimum != 0);
            let bounds = match (is_integer, format, signed) {
                (true, "int32", true) => Some((json!(i32::MIN), json!(i32::MAX))),
                (true, "int32", false) => Some((json!(0), json!(u32::MAX))),
                (true, "int64", true) => Some((json!(i64::MIN), json!(i64::MAX))),
                (true, "int64", false) => Some((json!(0), json!(i64::MAX))),
                _ => None,
            };
            if let Some((minimum, maximum)) = bounds {
                members.entry("minimum").or_insert(minimum);
                members.entry("maximum").or_insert(maximum);
            }
            members.values_mut().for_each(bound_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

/// A body that may be absent is no body that may be `null`; nor is a parameter, which has no way to say it.
fn require_no_null(operation: &mut Value) {
    if let Some(body) = operation.get_mut("requestBody") {
        let schema = &mut body["content"]["application/json"]["schema"];
        let optional = without_null(schema);
        body["required"] = json!(!optional);
    }
    for parameter in super::parameters(operation) {
        without_null(&mut parameter["schema"]);
    }
}

/// Takes the null out of a schema. Was there one?
fn without_null(schema: &mut Value) -> bool {
    if let Some(types) = schema.get("type").and_then(Value::as_array) {
        let others: Vec<_> = types.iter().filter(|one| *one != "null").cloned().collect();
        let had = others.len() < types.len();
        schema["type"] = match <[Value; 1]>::try_from(others) {
            Ok([only]) => only,
            Err(several) => Value::Array(several),
        };
        return had;
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        let others: Vec<_> = choices.iter().filter(|one| one["type"] != "null").cloned().collect();
        let had = others.len() < choices.len();
        if let Ok([only]) = <[Value; 1]>::try_from(others) {
            *schema = only;
        }
        return had;
    }
    false
}
