//! What a test writes down.

use serde_json::Value;

use super::odd::Odd;

/// Characters of one streamed piece.
const FRAGMENT: usize = 5;

/// Part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Words.
    Text(String),
    /// A tool call; the arguments are raw, so that they can be wrong.
    Tool {
        /// Name of the tool.
        name: String,
        /// Its arguments, as the model writes them.
        arguments: String,
    },
}

/// Where an answer goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Whole,
    /// It stops at the output limit.
    Truncated,
    /// The connection breaks after so many frames.
    CutAfter(usize),
    /// Nothing follows these frames until the test releases it.
    StallAfter(usize),
    /// A frame that is no JSON.
    Garbage,
    /// The last words are repeated for ever.
    Endless,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Turn {
    pub(super) pieces: Vec<Piece>,
    pub(super) ending: Ending,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<u64>,
    pub(super) problem: Option<String>,
    /// The whole answer as it is sent, with its media type.
    pub(super) raw: Option<(&'static str, String)>,
}

impl Turn {
    fn new(pieces: Vec<Piece>) -> Self {
        Self {
            pieces,
            ending: Ending::Whole,
            status: None,
            retry_after: None,
            problem: None,
            raw: None,
        }
    }

    /// A stream out of the ordinary, in small pieces.
    #[must_use]
    pub fn odd(odd: &Odd) -> Self {
        Self {
            raw: Some((odd.content_type, odd.body.clone())),
            ..Self::new(Vec::new())
        }
    }

    /// Words.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(vec![Piece::Text(text.to_owned())])
    }

    /// A tool call.
    #[must_use]
    pub fn tool(name: &str, arguments: &Value) -> Self {
        Self::raw_tool(name, &arguments.to_string())
    }

    /// A tool call with arguments as written, right or wrong.
    #[must_use]
    pub fn raw_tool(name: &str, arguments: &str) -> Self {
        Self::new(vec![Piece::Tool {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }])
    }

    /// An answer that says nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(Vec::new())
    }

    /// An error status instead of an answer.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::new(Vec::new())
        }
    }

    /// A 200 whose content is no JSON.
    #[must_use]
    pub fn garbage() -> Self {
        Self {
            ending: Ending::Garbage,
            ..Self::new(Vec::new())
        }
    }

    /// Followed by more words.
    #[must_use]
    pub fn and_text(mut self, text: &str) -> Self {
        self.pieces.push(Piece::Text(text.to_owned()));
        self
    }

    /// Followed by another tool call.
    #[must_use]
    pub fn and_tool(mut self, name: &str, arguments: &Value) -> Self {
        self.pieces.push(Piece::Tool {
            name: name.to_owned(),
            arguments: arguments.to_string(),
        });
        self
    }

    /// With this text in the error.
    #[must_use]
    pub fn saying(mut self, problem: &str) -> Self {
        self.problem = Some(problem.to_owned());
        self
    }

    /// With `Retry-After`, seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Stopped by the output limit: the last tool call is left unfinished as it is written.
    #[must_use]
    pub fn truncated(mut self) -> Self {
        self.ending = Ending::Truncated;
        self
    }

    /// The connection breaks after this many frames.
    #[must_use]
    pub fn cut_after(mut self, frames: usize) -> Self {
        self.ending = Ending::CutAfter(frames);
        self
    }

    /// Falls silent after this many frames, until `ScriptedLlm::release`.
    #[must_use]
    pub fn stall_after(mut self, frames: usize) -> Self {
        self.ending = Ending::StallAfter(frames);
        self
    }

    /// Repeats its last words, whole, for ever.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.ending = Ending::Endless;
        self
    }

    /// Characters of one streamed piece.
    pub(super) fn fragment(&self) -> usize {
        if self.ending == Ending::Endless {
            usize::MAX
        } else {
            FRAGMENT
        }
    }

    pub(super) fn has_tools(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Tool { .. }))
    }
}
