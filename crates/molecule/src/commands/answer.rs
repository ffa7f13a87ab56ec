//! Prints an agent's answer as it comes: events of a stream, a whole reply, or an answer of the platform itself.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use molecule_a2a::jsonrpc::{Artifact, Event, Message, Part, Role, Task, TaskState, TaskStatus};
use serde::Deserialize;
use serde_json::Value;

use crate::{exit::CliError, output::Output};

/// A JSON-RPC response with whatever it holds.
#[derive(Deserialize)]
struct Envelope {
    result: Option<Value>,
    error: Option<Value>,
}

/// Reads one answer and prints what a person wants of it.
pub(super) struct Printer<'a> {
    out: &'a mut Output,
    /// Name of the target, for remarks.
    target: &'a str,
    /// How long the answer was waited for, if not as long as it takes.
    patience: Option<Duration>,
    /// What was printed of each artifact.
    artifacts: BTreeMap<String, String>,
    /// All that was printed.
    printed: String,
    /// The task that answers, once the agent has named it.
    task: Option<String>,
    /// The last printed character did not end a line.
    mid_line: bool,
    /// Something was printed.
    said: bool,
    failure: Option<String>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(out: &'a mut Output, target: &'a str, patience: Option<Duration>) -> Self {
        Self {
            out,
            target,
            patience,
            artifacts: BTreeMap::new(),
            printed: String::new(),
            task: None,
            mid_line: false,
            said: false,
            failure: None,
        }
    }

    /// Nothing stands on the current line, so that a spinner may be drawn on it.
    pub(super) fn at_line_start(&self) -> bool {
        !self.mid_line
    }

    pub(super) fn output(&self) -> &Output {
        self.out
    }

    /// The task that answers, once the agent has named it.
    pub(super) fn task_id(&self) -> Option<&str> {
        self.task.as_deref()
    }

    /// One frame of a stream.
    pub(super) fn frame(&mut self, data: &str) -> Result<()> {
        if self.out.is_json() {
            self.raw(data)?;
        }
        match serde_json::from_str::<Envelope>(data) {
            Ok(envelope) => self.envelope(envelope),
            Err(_) => self.say(data),
        }
    }

    /// A whole answer with a success status: the agent's, or the platform's that the message waits (A2A-40, A2A-89).
    pub(super) fn reply(&mut self, body: &[u8]) -> Result<()> {
        let text = String::from_utf8_lossy(body);
        if self.out.is_json() {
            self.raw(&text)?;
        }
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            return self.say(&text);
        };
        let is = |name: &str, word: &str| value.get(name).and_then(Value::as_str) == Some(word);
        if is("status", "queued") && is("delivery_mode", "poll") {
            return self.remark(format!(
                "queued: {} fetches its messages; the answer will show on the page and in `molecule activity`",
                self.target
            ));
        }
        if value.get("queued") == Some(&Value::Bool(true)) {
            let waiting = value.get("queue_depth").and_then(Value::as_u64).unwrap_or(1);
            let id = value.get("queue_id").and_then(Value::as_str).unwrap_or("unknown");
            return self.remark(format!(
                "queued: {} is busy; {waiting} waiting, queue item {id}. It will be delivered; the answer will show on the page and in `molecule activity`",
                self.target
            ));
        }
        match serde_json::from_value::<Envelope>(value) {
            Ok(envelope) => self.envelope(envelope),
            Err(_) => self.say(&text),
        }
    }

    /// Ends the last line and tells whether the agent did what it was asked.
    pub(super) fn finish(mut self) -> Result<()> {
        self.end_line()?;
        match self.failure {
            Some(failure) => Err(CliError::Failed(failure).into()),
            None => Ok(()),
        }
    }

    fn envelope(&mut self, envelope: Envelope) -> Result<()> {
        if let Some(error) = envelope.error {
            let text = error
                .get("message")
                .and_then(Value::as_str)
                .or(error.as_str())
                .unwrap_or("no reason given");
            self.failure = Some(match self.patience {
                // The platform's word for it (A2A-67); the agent never saw a limit.
                Some(patience) if text == "deadline exceeded" => format!(
                    "{} did not answer within {} s; it goes on working, and `molecule activity` will have its answer",
                    self.target,
                    patience.as_secs()
                ),
                _ => format!("{} answered with an error: {text}", self.target),
            });
            return Ok(());
        }
        let Some(result) = envelope.result else { return Ok(()) };
        match serde_json::from_value::<Event>(result.clone()) {
            Ok(Event::Message(message)) => self.say(&text_of(&message.parts)),
            Ok(Event::Task(task)) => {
                self.task = Some(task.id.clone());
                self.task(&task)
            }
            Ok(Event::StatusUpdate(update)) => {
                self.task = Some(update.task_id);
                self.status(&update.status)
            }
            Ok(Event::ArtifactUpdate(update)) => self.artifact(&update.artifact, update.append.unwrap_or(false)),
            // Newer than this program: show it rather than nothing.
            Err(_) => self.say(&result.to_string()),
        }
    }

    fn task(&mut self, task: &Task) -> Result<()> {
        for artifact in task.artifacts.iter().flatten() {
            self.artifact(artifact, false)?;
        }
        self.status(&task.status)?;
        let last = task
            .history
            .iter()
            .flatten()
            .rev()
            .find(|message| message.role == Role::Agent);
        match last.filter(|_| task.status.state.is_terminal() && !self.said) {
            Some(message) => self.say(&text_of(&message.parts)),
            None => Ok(()),
        }
    }

    fn status(&mut self, status: &TaskStatus) -> Result<()> {
        let text = status.message.as_ref().map(message_text).unwrap_or_default();
        match status.state {
            TaskState::Failed | TaskState::Canceled | TaskState::Rejected => {
                let what = match status.state {
                    TaskState::Canceled => "was canceled",
                    TaskState::Rejected => "refused the task",
                    _ => "failed",
                };
                let reason = if text.is_empty() {
                    String::new()
                } else {
                    format!(": {text}")
                };
                self.failure = Some(format!("{} {what}{reason}", self.target));
                Ok(())
            }
            TaskState::Submitted | TaskState::Working | TaskState::Unknown => {
                if text.is_empty() {
                    Ok(())
                } else {
                    self.remark(format!("… {text}"))
                }
            }
            TaskState::Completed => match continued(&self.printed, &text) {
                // The last word repeats what was said, or completes it.
                Some(rest) => self.piece(rest),
                None => self.say(&text),
            },
            TaskState::InputRequired | TaskState::AuthRequired => self.say(&text),
        }
    }

    /// Prints what is new of an artifact. Without `append` the text replaces what was sent of it before.
    fn artifact(&mut self, artifact: &Artifact, append: bool) -> Result<()> {
        let text = text_of(&artifact.parts);
        let before = self.artifacts.get(&artifact.artifact_id).cloned();
        let whole = match &before {
            Some(before) if append => format!("{before}{text}"),
            _ => text,
        };
        let new = match before.as_deref().map(|before| continued(before, &whole)) {
            Some(Some(rest)) => rest.to_owned(),
            Some(None) => {
                self.remark("… the agent put this in place of what it said before:".to_owned())?;
                whole.clone()
            }
            None => {
                self.end_line()?;
                whole.clone()
            }
        };
        self.artifacts.insert(artifact.artifact_id.clone(), whole);
        self.piece(&new)
    }

    /// A whole text on lines of its own.
    fn say(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.end_line()?;
        self.piece(text)?;
        self.end_line()
    }

    fn piece(&mut self, text: &str) -> Result<()> {
        if text.is_empty() || self.out.is_json() {
            return Ok(());
        }
        self.said = true;
        self.printed.push_str(text);
        self.mid_line = !text.ends_with('\n');
        Ok(self.out.text(text)?)
    }

    fn end_line(&mut self) -> Result<()> {
        if std::mem::take(&mut self.mid_line) {
            self.out.text("\n")?;
        }
        Ok(())
    }

    fn remark(&mut self, text: String) -> Result<()> {
        if self.out.is_json() {
            return Ok(());
        }
        self.end_line()?;
        Ok(self.out.note(text)?)
    }

    /// With `--json` every answer is one line, as it came.
    fn raw(&mut self, text: &str) -> Result<()> {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => Ok(self.out.json_line(&value)?),
            Err(_) => Ok(self.out.json_line(text)?),
        }
    }
}

/// What `text` says beyond `said`: nothing where it repeats all of it or its end, the rest where it continues it, `None`
/// where it is something else. White space counts for nothing: agents join their paragraphs in different ways.
fn continued<'t>(said: &str, text: &'t str) -> Option<&'t str> {
    if let Some(rest) = text.strip_prefix(said).filter(|_| !said.is_empty()) {
        return Some(rest);
    }
    let plain = |text: &str| {
        text.chars()
            .filter(|letter| !letter.is_whitespace())
            .collect::<String>()
    };
    let (before, now) = (plain(said), plain(text));
    if before.ends_with(&now) {
        return Some("");
    }
    if before.is_empty() || !now.starts_with(&before) {
        return None;
    }
    let last = text
        .char_indices()
        .filter(|(_, letter)| !letter.is_whitespace())
        .nth(before.chars().count() - 1);
    last.map(|(at, letter)| &text[at + letter.len_utf8()..])
}

fn message_text(message: &Message) -> String {
    text_of(&message.parts)
}

fn text_of(parts: &[Part]) -> String {
    let shown: Vec<String> = parts
        .iter()
        .map(|part| match part {
            Part::Text { text, .. } => text.clone(),
            Part::File { file, .. } => {
                let name = file.name.as_deref().unwrap_or("unnamed");
                format!(
                    "[file {name}{}]",
                    file.uri.as_ref().map_or_else(String::new, |uri| format!(" at {uri}"))
                )
            }
            Part::Data { data, .. } => data.to_string(),
            Part::Other(members) => Value::Object(members.clone()).to_string(),
        })
        .collect();
    shown.join("\n")
}

#[cfg(test)]
mod tests;
