//! From the body of an answer to what was said in it, whichever of the two wires it came over.

use std::time::Duration;

use futures_util::StreamExt;
use molecule_a2a::sse::{Frame, Parser};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    chat::{Answer, Stop},
    failure::{Again, Failure},
    surrogates::Surrogates,
    thinking::Thinking,
};
use crate::engine::Category;

/// Bytes of one event, and of an answer that comes whole.
const EVENT_BYTES: usize = 8 << 20;
/// How long an answer that is complete is listened to, for what it cost.
const TAIL: Duration = Duration::from_secs(5);

/// What an event adds.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Words.
    pub(super) text: String,
    /// Bytes of thoughts and of tool calls.
    pub(super) unsaid: usize,
    /// Bytes that are kept though nothing was said.
    pub(super) held: usize,
    /// Nothing follows.
    pub(super) end: bool,
}

/// Understands the events of one wire.
pub(super) trait Decoder: Send {
    /// Must an event of this name be understood? Others may hold anything.
    fn knows(&self, event: Option<&str>) -> bool;

    /// Takes one event.
    ///
    /// # Errors
    /// It says that the endpoint failed.
    fn event(&mut self, event: Option<&str>, data: &Value) -> Result<Heard, Failure>;

    /// Takes an answer that was not streamed.
    ///
    /// # Errors
    /// It says that the endpoint failed, or nothing.
    fn whole(&mut self, body: &Value) -> Result<Heard, Failure>;

    /// Has the model said that it is done?
    fn is_complete(&self) -> bool;

    /// What was understood, but for the text.
    fn answer(self: Box<Self>) -> Answer;
}

/// What of an answer has been seen, for whoever has to decide about another try.
pub(super) struct Seen<'a> {
    /// Anything of it.
    pub(super) begun: &'a mut bool,
    /// Bytes that may still come.
    pub(super) left: &'a mut usize,
    /// Bytes there were to begin with.
    pub(super) limit: usize,
}

/// How the body is written.
enum Form {
    /// Not a single character so far that would tell.
    Unknown(Vec<u8>),
    Events(Box<Parser>),
    Whole(Vec<u8>),
}

/// An answer that is being read.
pub(super) struct Reading<'a> {
    decoder: Box<dyn Decoder>,
    form: Form,
    surrogates: Surrogates,
    thinking: Thinking,
    text: String,
    /// The wire's own last word was seen.
    done: bool,
    seen: Seen<'a>,
    show: &'a mut (dyn FnMut(&str) + Send),
}

impl<'a> Reading<'a> {
    pub(super) fn new(decoder: Box<dyn Decoder>, seen: Seen<'a>, show: &'a mut (dyn FnMut(&str) + Send)) -> Self {
        Self {
            decoder,
            form: Form::Unknown(Vec::new()),
            surrogates: Surrogates::default(),
            thinking: Thinking::default(),
            text: String::new(),
            done: false,
            seen,
            show,
        }
    }

    /// Reads the whole body, given up after so much silence. What says that it is done is complete, however the body
    /// ends.
    pub(super) async fn read(mut self, response: reqwest::Response, silence: Duration) -> Result<Answer, Failure> {
        let mut body = response.bytes_stream();
        loop {
            let complete = self.decoder.is_complete();
            let patience = if complete { silence.min(TAIL) } else { silence };
            match timeout(patience, body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    if self.take(&bytes)? {
                        break;
                    }
                }
                Ok(None) => {
                    self.end_of_body()?;
                    break;
                }
                Ok(Some(Err(_))) | Err(_) if complete => break,
                Ok(Some(Err(error))) => return Err(Failure::transport(&error)),
                Err(_) => return Err(Failure::silence(silence)),
            }
        }
        self.finish()
    }

    /// Takes bytes; `true`: nothing follows.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        if let Form::Unknown(held) = &mut self.form {
            held.extend_from_slice(bytes);
            let Some(form) = form(held) else { return Ok(false) };
            let held = std::mem::take(held);
            self.form = form;
            return self.take(&held);
        }
        match &mut self.form {
            Form::Whole(body) => {
                if body.len() + bytes.len() > EVENT_BYTES {
                    return Err(Failure::endless(EVENT_BYTES));
                }
                body.extend_from_slice(bytes);
                Ok(false)
            }
            Form::Events(parser) => {
                let mut frames = Vec::new();
                let pushed = parser.push(bytes, &mut frames);
                for frame in frames {
                    if self.frame(&frame)? {
                        return Ok(true);
                    }
                }
                pushed.map_err(|_| Failure::endless(EVENT_BYTES))?;
                Ok(false)
            }
            // It was settled above.
            Form::Unknown(_) => Ok(false),
        }
    }

    fn end_of_body(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.form, Form::Unknown(Vec::new())) {
            Form::Unknown(_) => Ok(()),
            Form::Events(parser) => {
                if let Some(frame) = parser.finish() {
                    self.frame(&frame)?;
                }
                Ok(())
            }
            Form::Whole(body) => {
                let text = String::from_utf8_lossy(&body);
                let value = self.json(text.trim_start_matches('\u{feff}'))?;
                let heard = self.decoder.whole(&value)?;
                self.hear(&heard)
            }
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<bool, Failure> {
        let data = frame.data.trim();
        if data == "[DONE]" {
            self.done = true;
            return Ok(true);
        }
        let event = frame.event.as_deref();
        if data.is_empty() {
            return Ok(false);
        }
        let value = match self.json(data) {
            Ok(value) => value,
            Err(failure) if self.decoder.knows(event) => return Err(failure),
            Err(_) => return Ok(false),
        };
        let heard = self.decoder.event(event, &value)?;
        self.hear(&heard)?;
        Ok(heard.end)
    }

    fn json(&mut self, text: &str) -> Result<Value, Failure> {
        let mended = self.surrogates.mend(text);
        serde_json::from_str(mended.as_deref().unwrap_or(text)).map_err(|error| Failure::nonsense(error.to_string()))
    }

    fn hear(&mut self, heard: &Heard) -> Result<(), Failure> {
        let said = heard.text.len() + heard.unsaid;
        *self.seen.begun |= said > 0;
        let left = self.seen.left.checked_sub(said + heard.held);
        *self.seen.left = left.ok_or_else(|| Failure::endless(self.seen.limit))?;
        let words = self.thinking.push(&heard.text);
        self.say(&words);
        Ok(())
    }

    fn say(&mut self, words: &str) {
        if !words.is_empty() {
            (self.show)(words);
            self.text.push_str(words);
        }
    }

    fn finish(mut self) -> Result<Answer, Failure> {
        if !self.done && !self.decoder.is_complete() {
            // Without an end nothing says that the answer is whole.
            let detail = "the stream ended before the answer did";
            return Err(Failure::new(Category::Provider, Again::Later(None), detail));
        }
        let thinking = std::mem::take(&mut self.thinking);
        let mut answer = self.decoder.answer();
        let rest = thinking.finish(answer.stop == Some(Stop::Length));
        if !rest.is_empty() {
            (self.show)(&rest);
            self.text.push_str(&rest);
        }
        answer.said.text = self.text;
        Ok(answer)
    }
}

/// Events begin with a field or a comment, an answer that comes whole with its JSON. `None`: not to be seen yet.
fn form(body: &[u8]) -> Option<Form> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match text.iter().find(|byte| !byte.is_ascii_whitespace())? {
        // The first bytes of a byte order mark.
        0xEF | 0xBB if body.len() < 3 => None,
        b'{' | b'[' => Some(Form::Whole(Vec::new())),
        _ => Some(Form::Events(Box::new(Parser::new(EVENT_BYTES)))),
    }
}
