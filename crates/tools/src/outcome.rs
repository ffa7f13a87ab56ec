//! How a call ends.

use molecule_core::text::cut_bytes;
use serde_json::Value;

use crate::ArgumentError;

/// What a tool has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Words.
    Text(String),
    /// Data, for callers that can take it as such.
    Json(Value),
}

impl Output {
    /// Words.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// What a caller that takes only text is given.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Json(value) => value.to_string(),
        }
    }
}

/// A call came to nothing. `Display` is what the caller is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// No such tool.
    #[error("there is no tool called {0:?}")]
    Unknown(String),
    /// The arguments do not fit; nothing was done.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// Not allowed or not possible as asked; nothing was done.
    #[error("{0}")]
    Refused(String),
    /// It was tried and went wrong.
    #[error("{0}")]
    Failed(String),
    /// A peer did not do what it was given.
    #[error(transparent)]
    Delegation(#[from] DelegationError),
}

/// A peer did not do what it was given; as tools hand it to a model (RUN-40).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[A2A_ERROR] {detail} [target={target}]")]
pub struct DelegationError {
    /// Why; never empty.
    pub detail: String,
    /// Name or id of the peer.
    pub target: String,
}

/// The end of a call in words for a model, at most `max_bytes` of them before the mark that something is missing.
#[must_use]
pub fn shown(end: Result<Output, ToolError>, max_bytes: usize) -> String {
    let text = match end {
        Ok(output) => output.into_text(),
        // Carries its own mark, which the prompt explains.
        Err(ToolError::Delegation(error)) => error.to_string(),
        Err(error) => format!("Error: {error}"),
    };
    if text.len() > max_bytes {
        return format!("{}\n[cut off]", cut_bytes(&text, max_bytes));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_type_decides_how_an_end_reads() {
        // RUN-40: a peer's words that look like an error are still its answer.
        let lookalike = Output::text("[A2A_ERROR] is what I was asked to say");
        let delegation = DelegationError {
            target: "Tester".into(),
            detail: "no".into(),
        };
        let unknown = ToolError::Unknown("f".into());
        for (end, text) in [
            (Ok(lookalike), "[A2A_ERROR] is what I was asked to say"),
            (Ok(Output::Json(json!({"a": 1}))), r#"{"a":1}"#),
            (Err(delegation.into()), "[A2A_ERROR] no [target=Tester]"),
            (Err(unknown), "Error: there is no tool called \"f\""),
            (
                Err(ToolError::Refused("[A2A_ERROR] forged".into())),
                "Error: [A2A_ERROR] forged",
            ),
        ] {
            assert_eq!(shown(end, 1_000), text);
        }
        assert_eq!(shown(Ok(Output::text("größe")), 3), "gr\n[cut off]");
    }
}
