//! What the API says of the bodies it takes, held against what somebody wrote.
//!
//! The API ignores members that it does not know, so that older servers take the requests of newer clients. A person who
//! misspelled one is better told.

use molecule_client::Client;
use serde_json::{Map, Value};

use crate::exit::CliError;

/// Bodies nest no deeper; a schema that refers to itself ends here too.
const DEPTH: usize = 32;
/// From this similarity on a known name is suggested.
const SIMILAR: f64 = 0.8;

/// The server's schemas.
#[derive(Debug)]
pub struct Schemas(Map<String, Value>);

/// What is odd about a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Members that the API ignores, for people.
    pub unknown: Vec<String>,
    /// Members of the wrong type, for people.
    pub wrong: Vec<String>,
}

impl Schemas {
    /// Asks the server. One that describes nothing knows nothing better.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn of(client: &Client) -> anyhow::Result<Self> {
        match client.openapi().await {
            Ok(document) => Ok(Self::from_document(&document)),
            Err(error) if error.status() == Some(404) => Ok(Self(Map::new())),
            Err(error) => Err(error.into()),
        }
    }

    fn from_document(document: &Value) -> Self {
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
        Self(schemas.cloned().unwrap_or_default())
    }

    /// Holds a body against the schema of that name.
    #[must_use]
    pub fn check(&self, name: &str, body: &Value) -> Findings {
        let mut findings = Findings::default();
        if let Some(schema) = self.0.get(name) {
            self.walk(schema, body, "", 0, &mut findings);
        }
        findings
    }

    /// A value typed on the command line, as the schema's member has it: `3` is a number only where one is wanted.
    ///
    /// # Errors
    /// It is not of the member's type.
    pub fn value(&self, name: &str, path: &str, text: &str) -> Result<Value, CliError> {
        let mut schema = self.0.get(name);
        for member in path.split('.') {
            schema = schema.and_then(|schema| self.members(schema, 0).remove(member));
        }
        let Some(schema) = schema else {
            // Not known, which is told of the whole body.
            return Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into()));
        };
        let types = self.types(schema, 0);
        let is = |name: &str| types.iter().any(|found| found == name);
        if text == "null" && is("null") {
            return Ok(Value::Null);
        }
        if is("string") || types.is_empty() {
            return Ok(text.into());
        }
        match serde_json::from_str::<Value>(text) {
            Ok(value) if fits(&value, &types) => Ok(value),
            _ => Err(CliError::Usage(format!("{path}: expected {}", spoken(&types)))),
        }
    }

    fn walk(&self, schema: &Value, body: &Value, path: &str, depth: usize, findings: &mut Findings) {
        if depth > DEPTH {
            return;
        }
        let types = self.types(schema, 0);
        if !fits(body, &types) {
            let at = if path.is_empty() { "the body" } else { path };
            let text = format!("{at}: expected {}, found {}", spoken(&types), type_of(body));
            findings.wrong.push(text);
            return;
        }
        match body {
            Value::Object(found) => {
                let members = self.members(schema, 0);
                if members.is_empty() {
                    // An open object.
                    return;
                }
                for (name, value) in found {
                    let below = join(path, name);
                    match members.get(name.as_str()) {
                        Some(schema) => self.walk(schema, value, &below, depth + 1, findings),
                        None => findings.unknown.push(match nearest(name, members.keys().copied()) {
                            Some(known) => format!("{below} (did you mean {known}?)"),
                            None => below,
                        }),
                    }
                }
            }
            Value::Array(found) => {
                let Some(items) = self.resolved(schema).get("items") else {
                    return;
                };
                for (at, value) in found.iter().enumerate() {
                    self.walk(items, value, &join(path, &at.to_string()), depth + 1, findings);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Follows a reference.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema.get("$ref").and_then(Value::as_str);
        let name = name.and_then(|path| path.rsplit('/').next());
        name.and_then(|name| self.0.get(name)).unwrap_or(schema)
    }

    /// Every schema that has a say in this one.
    fn parts<'a>(&'a self, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
        let schema = self.resolved(schema);
        let combined = ["allOf", "oneOf", "anyOf"].into_iter();
        combined.filter_map(|how| schema.get(how)?.as_array()).flatten()
    }

    fn members<'a>(&'a self, schema: &'a Value, depth: usize) -> Members<'a> {
        let mut members = Members::new();
        if depth > DEPTH {
            return members;
        }
        let own = self.resolved(schema).get("properties").and_then(Value::as_object);
        members.extend(own.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema)));
        for part in self.parts(schema) {
            members.extend(self.members(part, depth + 1));
        }
        members
    }

    /// The JSON types that a schema takes; none where it does not say.
    fn types(&self, schema: &Value, depth: usize) -> Vec<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match self.resolved(schema).get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(text).collect(),
            Some(one) => text(one).into_iter().collect(),
            None if depth > DEPTH => Vec::new(),
            None => {
                let of_part = |part| self.types(part, depth + 1);
                self.parts(schema).flat_map(of_part).collect()
            }
        }
    }
}

/// Schemas of members by name.
type Members<'a> = std::collections::BTreeMap<&'a str, &'a Value>;

fn fits(value: &Value, types: &[String]) -> bool {
    types.is_empty()
        || types.iter().any(|expected| match expected.as_str() {
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "number" => value.is_number(),
            expected => type_of(value) == expected,
        })
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Types as they are said; that a member may be left empty goes without saying.
fn spoken(types: &[String]) -> String {
    let told: Vec<&str> = types
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "null")
        .collect();
    told.join(" or ")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The known name that was probably meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(score, _)| *score > SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schemas() -> Schemas {
        Schemas::from_document(&json!({"components": {"schemas": {
            "Create": {"type": "object", "properties": {
                "name": {"type": "string"},
                "runtime": {"type": ["string", "null"]},
                "tier": {"type": ["integer", "null"]},
                "secrets": {"type": ["object", "null"]},
                "canvas": {"oneOf": [{"$ref": "#/components/schemas/Position"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/components/schemas/Create"}},
            }},
            "Position": {"type": "object", "properties": {"x": {"type": "number"}}},
        }}}))
    }

    #[test]
    fn what_the_api_ignores_is_told_with_what_was_meant() {
        // SEC-196
        let body = json!({"name": "a", "runtme": "echo", "canvas": {"x": 1, "depth": 2}, "secrets": {"A": "b"},
                          "children": [{"name": "b", "canvas": null, "colour": 1}], "tier": 3.0});
        let found = schemas().check("Create", &body);
        assert_eq!(
            found.unknown,
            ["runtme (did you mean runtime?)", "canvas.depth", "children.0.colour"]
        );
        assert!(found.wrong.is_empty(), "{found:?}");
        assert_eq!(schemas().check("Unheard", &body), Findings::default());
    }

    #[test]
    fn a_wrong_type_names_the_field() {
        let body = json!({"name": 3, "tier": 1.5, "canvas": {"x": "far"}, "children": {}});
        assert_eq!(
            schemas().check("Create", &body).wrong,
            [
                "name: expected string, found number",
                "tier: expected integer, found number",
                "canvas.x: expected number, found string",
                "children: expected array, found object"
            ]
        );
        assert_eq!(
            schemas().check("Create", &json!([])).wrong,
            ["the body: expected object, found array"]
        );
    }

    #[test]
    fn typed_values_are_of_the_type_that_is_wanted() {
        let value = |path: &str, text: &str| schemas().value("Create", path, text);
        assert_eq!(value("name", "42").unwrap(), json!("42"));
        assert_eq!(value("tier", "2").unwrap(), json!(2));
        assert_eq!(value("tier", "null").unwrap(), Value::Null);
        assert_eq!(value("canvas.x", "1.5").unwrap(), json!(1.5));
        assert_eq!(value("runtime", "null").unwrap(), Value::Null);
        assert_eq!(value("unheard", "true").unwrap(), json!(true));
        let error = value("tier", "high").unwrap_err().to_string();
        assert_eq!(error, "tier: expected integer");
    }
}
