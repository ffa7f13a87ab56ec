//! Streams that are odd but legal, or at least clear: each is a habit of an endpoint that people use. One table for every
//! wire; whoever reads such streams is run against all of it.

mod anthropic;
mod openai;

use serde_json::{Value, json};

use super::Wire;

/// One stream and what it means.
#[derive(Debug, Clone)]
pub struct Odd {
    /// What is odd about it.
    pub name: &'static str,
    /// The whole body of the answer.
    pub body: String,
    /// Its media type.
    pub content_type: &'static str,
    /// What it says.
    pub expected: Expected,
}

/// What a stream says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// The words, with what is said about their end.
    pub reply: String,
    /// The tools it wants, in order, with their arguments.
    pub calls: Vec<(String, Value)>,
    /// A member of a call, or a block, that the endpoint wants back with the calls.
    pub echoed: Option<(&'static str, Value)>,
    /// Tokens read and written.
    pub usage: Option<(u64, u64)>,
}

impl Odd {
    fn new(name: &'static str, body: impl Into<String>) -> Self {
        Self {
            name,
            body: body.into(),
            content_type: "text/event-stream",
            expected: Expected::default(),
        }
    }

    fn labelled(mut self, content_type: &'static str) -> Self {
        self.content_type = content_type;
        self
    }

    fn says(mut self, reply: &str) -> Self {
        reply.clone_into(&mut self.expected.reply);
        self
    }

    /// Wants a file listed.
    fn lists(self, path: &str) -> Self {
        self.calls("list_files", json!({ "path": path }))
    }

    fn calls(mut self, tool: &str, arguments: Value) -> Self {
        self.expected.calls.push((tool.to_owned(), arguments));
        self
    }

    fn echoes(mut self, member: &'static str, value: Value) -> Self {
        self.expected.echoed = Some((member, value));
        self
    }

    fn costs(mut self, input: u64, output: u64) -> Self {
        self.expected.usage = Some((input, output));
        self
    }
}

/// The table of a wire.
#[must_use]
pub fn streams(wire: Wire) -> Vec<Odd> {
    match wire {
        Wire::OpenAi => openai::streams(),
        Wire::Anthropic => anthropic::streams(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_another_habit() {
        for wire in [Wire::OpenAi, Wire::Anthropic] {
            let mut names: Vec<_> = streams(wire).iter().map(|odd| odd.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{wire:?}");
            assert!(
                streams(wire)
                    .iter()
                    .all(|odd| !odd.expected.reply.is_empty() || !odd.expected.calls.is_empty()),
                "a row says what it means"
            );
        }
    }
}
