//! `native`: an agent loop of our own against any OpenAI-compatible or Anthropic endpoint (D6).

mod conversation;
pub mod endpoint;
pub mod llm;
pub mod local;

use std::sync::Arc;

use async_trait::async_trait;
use molecule_a2a::jsonrpc::Usage;
use molecule_core::text::preview;
use molecule_tools::{Arguments, Caller, ToolHost};
use serde_json::{Value, json};

use self::{
    conversation::Conversation,
    llm::{
        Allowance, Llm,
        chat::{Answer, Message, Request, Said, Stop, ToolCall, ToolResult},
    },
};
use crate::{
    config::TurnLimits,
    engine::{Adapter, Category, Output, Reply, Session, SessionContext, ToolTrace, TurnError, TurnInput},
    journal::Journal,
    prompt::PromptBuilder,
};

/// Tries when the model says nothing at all (RUN-72).
const EMPTY_RETRIES: u32 = 2;
/// Bytes of one tool's result.
const RESULT_BYTES: usize = 128 << 10;
/// Characters of broken arguments that are kept in the conversation.
const BROKEN_CHARS: usize = 500;

/// The engine.
pub struct Native {
    llm: Llm,
    tools: Arc<dyn ToolHost>,
    prompt: PromptBuilder,
    journal: Journal,
    limits: TurnLimits,
}

/// What a turn has gathered so far.
#[derive(Default)]
struct Tally {
    tools: Vec<ToolTrace>,
    /// Tool calls, refused ones not among them.
    calls: u32,
    usage: Option<Usage>,
    /// Text of rounds before the last.
    earlier: String,
}

impl Native {
    /// An engine whose turns stay within `limits`.
    #[must_use]
    pub fn new(
        llm: Llm,
        tools: Arc<dyn ToolHost>,
        prompt: PromptBuilder,
        journal: Journal,
        limits: TurnLimits,
    ) -> Self {
        Self {
            llm,
            tools,
            prompt,
            journal,
            limits,
        }
    }

    async fn converse(
        &self,
        input: &TurnInput,
        output: &Output,
        conversation: &mut Conversation,
        tally: &mut Tally,
    ) -> Result<String, TurnError> {
        let system = self.prompt.build().await;
        let tools = self.tools.definitions().await;
        let mut allowance = Allowance::new(self.limits.duration);
        let mut used_up = false;
        let mut silent = 0;
        loop {
            let request = Request {
                system: &system,
                messages: &conversation.messages,
                tools: &tools,
            };
            let answer = match self.llm.ask(request, &mut allowance, |text| output.chunk(text)).await {
                Ok(answer) => answer,
                // Left as it is, the conversation would be refused in every later turn as well.
                Err(error) if error.category == Category::SessionError && conversation.halve() => {
                    tracing::warn!(
                        context = input.context_id,
                        "the conversation is too long for the model and is halved"
                    );
                    continue;
                }
                Err(error) => return Err(error),
            };
            tally.count(&answer);
            let Answer { said, stop, .. } = answer;
            if said.calls.is_empty() {
                if said.text.trim().is_empty() && stop.is_none() && silent < EMPTY_RETRIES {
                    silent += 1;
                    tracing::warn!(silent, "the model said nothing; asking again");
                    continue;
                }
                return Ok(finish(conversation, said.text, stop, tally));
            }
            if used_up {
                return Err(self.too_many_calls());
            }
            let wanted = u32::try_from(said.calls.len()).unwrap_or(u32::MAX);
            used_up = tally.calls.saturating_add(wanted) > self.limits.tool_calls;
            if !said.text.is_empty() {
                tally.earlier.push_str(&said.text);
                tally.earlier.push_str("\n\n");
                output.chunk("\n\n");
            }
            let results = self
                .run_tools(&said.calls, input, stop == Some(Stop::Length), tally)
                .await;
            conversation.messages.push(Message::Assistant(readable(said)));
            conversation.messages.push(Message::Tool { results });
        }
    }

    fn too_many_calls(&self) -> TurnError {
        let detail = format!(
            "the model kept asking for tools beyond the limit of {} calls",
            self.limits.tool_calls
        );
        TurnError::new(Category::Provider, detail)
    }

    /// Every call gets its result under its own id, in order: providers refuse conversations with gaps.
    async fn run_tools(
        &self,
        calls: &[ToolCall],
        input: &TurnInput,
        cut_off: bool,
        tally: &mut Tally,
    ) -> Vec<ToolResult> {
        let caller = Caller::in_context(&input.context_id);
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            let over = tally.calls >= self.limits.tool_calls;
            tally.calls += u32::from(!over);
            let content = match Arguments::from_json(call.arguments.clone()) {
                _ if over => format!(
                    "Error: the limit of {} tool calls for this turn is used up. Answer now with what you have.",
                    self.limits.tool_calls
                ),
                Ok(arguments) => {
                    let end = self.tools.call(&call.name, &arguments, &caller).await;
                    molecule_tools::shown(end, RESULT_BYTES)
                }
                Err(_) => complaint(&raw(&call.arguments), cut_off),
            };
            let entry = ToolTrace::new(&call.name, &raw(&call.arguments), &content);
            ToolTrace::record(&mut tally.tools, entry);
            results.push(ToolResult {
                id: call.id.clone(),
                content,
            });
        }
        results
    }
}

/// Arguments as the model wrote them.
fn raw(arguments: &Value) -> String {
    arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned)
}

/// Told to the model, which then usually does better.
fn complaint(arguments: &str, cut_off: bool) -> String {
    let why = match serde_json::from_str::<Value>(arguments) {
        Err(error) => format!("they are not valid JSON ({error})"),
        Ok(_) => "they are not a JSON object".to_owned(),
    };
    let hint = if cut_off {
        " They were cut off at your output limit: use a shorter call."
    } else {
        ""
    };
    format!(
        "Error: the arguments of this call were not understood: {why}. Nothing was done.{hint} Call the tool again with a complete JSON object."
    )
}

/// The model's message with its tool calls, as the next request repeats it. Arguments that were no object are replaced
/// by one that holds them: some providers refuse to read back what they wrote.
fn readable(mut said: Said) -> Said {
    for call in &mut said.calls {
        if let Value::String(text) = &call.arguments {
            call.arguments = json!({ "invalid_arguments": preview(text, BROKEN_CHARS, "…") });
        }
    }
    said
}

/// Ends the turn with the model's last words, or its earlier ones if it has no more, and with what kept it from saying
/// all it had to say.
fn finish(conversation: &mut Conversation, text: String, stop: Option<Stop>, tally: &Tally) -> String {
    let text = if text.trim().is_empty() {
        tally.earlier.trim_end().to_owned()
    } else {
        text
    };
    let note = stop.map(|stop| match stop {
        Stop::Length => "[The answer was cut off at the model's output limit.]",
        Stop::Refused => "[The model refused to answer.]",
        Stop::Filtered => "[The answer was stopped by the provider's content filter.]",
    });
    let reply = match note {
        None => text,
        Some(note) if text.is_empty() => note.to_owned(),
        Some(note) => format!("{text}\n\n{note}"),
    };
    if !reply.is_empty() {
        conversation.messages.push(Message::assistant(&*reply));
    }
    reply
}

impl Tally {
    fn count(&mut self, answer: &Answer) {
        let Some(usage) = answer.usage else { return };
        let total = self.usage.get_or_insert_default();
        total.input_tokens += usage.input;
        total.output_tokens += usage.output;
    }
}

#[async_trait]
impl Adapter for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    async fn start(self: Arc<Self>, _: SessionContext) -> Result<Box<dyn Session>, TurnError> {
        Ok(Box::new(NativeSession(self)))
    }
}

/// The conversation itself is in the journal, where it survives the process.
struct NativeSession(Arc<Native>);

#[async_trait]
impl Session for NativeSession {
    /// A failed turn leaves the conversation as it was, so that the next one starts from something every provider
    /// accepts.
    async fn turn(&mut self, input: &TurnInput, output: &Output) -> Result<Reply, TurnError> {
        let engine = &self.0;
        let mut conversation = Conversation::load(&engine.journal, &input.context_id, &input.history).await?;
        conversation.messages.push(Message::user(&*input.text));
        let mut tally = Tally::default();
        let text = engine.converse(input, output, &mut conversation, &mut tally).await?;
        if !text.is_empty() {
            conversation.save(&engine.journal, &input.context_id).await;
        }
        Ok(Reply {
            text,
            tools: tally.tools,
            usage: tally.usage,
        })
    }
}
