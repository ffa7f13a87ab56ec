//! What a tool looks like from outside.

use serde_json::{Value, json};

/// Name, purpose and input of a tool.
///
/// The schema is always an object with `properties` and no alternatives at its top: some clients show no tools at all
/// when one of them is described otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Name: `[A-Za-z0-9_-]`, at most 64 characters.
    pub name: &'static str,
    /// What it is for, in words for a model.
    pub description: &'static str,
    /// JSON Schema of the input.
    pub input_schema: Value,
}

impl Definition {
    /// A tool that takes an object with these members.
    #[must_use]
    pub fn new(name: &'static str, description: &'static str, properties: Value, required: &[&str]) -> Self {
        let mut input_schema = json!({ "type": "object" });
        input_schema["properties"] = properties;
        if !required.is_empty() {
            input_schema["required"] = json!(required);
        }
        Self {
            name,
            description,
            input_schema,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_objects_with_properties() {
        let none = Definition::new("a", "b", json!({}), &[]);
        assert_eq!(none.input_schema, json!({"type": "object", "properties": {}}));
        let one = Definition::new("a", "b", json!({"x": {"type": "string"}}), &["x"]);
        assert_eq!(one.input_schema["required"], json!(["x"]));
    }
}
