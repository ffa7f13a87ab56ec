//! `native`: an agent loop of our own against any OpenAI-compatible or Anthropic endpoint (D6).

pub mod endpoint;
pub mod llm;
pub mod local;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use genai::chat::{ChatMessage, ChatRequest, ContentPart, MessageContent, StreamEnd, ToolCall, ToolResponse};
use molecule_a2a::jsonrpc::Usage;
use molecule_core::text::preview;
use molecule_tools::{Arguments, Caller, Definition, ToolHost};
use serde_json::{Value, json};

use self::{
    llm::{Allowance, Llm},
    session::Conversation,
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
/// Appended to an answer that the model's limit ended.
const CUT_OFF: &str = "\n\n[The answer was cut off at the model's output limit.]";

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
        session: &mut Conversation,
        tally: &mut Tally,
    ) -> Result<String, TurnError> {
        let system = self.prompt.build().await;
        let tools: Vec<_> = self.tools.definitions().await.into_iter().map(offered).collect();
        let mut allowance = Allowance::new(self.limits.duration);
        let mut used_up = false;
        let mut silent = 0;
        loop {
            let request = ChatRequest::from_messages(session.messages.clone())
                .with_system(&system)
                .with_tools(tools.clone());
            let end = match self.llm.ask(&request, &mut allowance, |text| output.chunk(text)).await {
                Ok(end) => end,
                // Left as it is, the conversation would be refused in every later turn as well.
                Err(error) if error.category == Category::SessionError && session.halve() => {
                    tracing::warn!(
                        context = input.context_id,
                        "the conversation is too long for the model and is halved"
                    );
                    continue;
                }
                Err(error) => return Err(error),
            };
            tally.count(&end);
            let text = end.captured_texts().map(|texts| texts.concat()).unwrap_or_default();
            let calls: Vec<ToolCall> = end
                .captured_tool_calls()
                .unwrap_or_default()
                .into_iter()
                .cloned()
                .collect();
            if calls.is_empty() {
                if text.trim().is_empty() && silent < EMPTY_RETRIES {
                    silent += 1;
                    tracing::warn!(silent, "the model said nothing; asking again");
                    continue;
                }
                return Ok(finish(session, text, &end, tally));
            }
            if used_up {
                let detail = format!(
                    "the model kept asking for tools beyond the limit of {} calls",
                    self.limits.tool_calls
                );
                return Err(TurnError::new(Category::Provider, detail));
            }
            used_up = tally
                .calls
                .saturating_add(u32::try_from(calls.len()).unwrap_or(u32::MAX))
                > self.limits.tool_calls;
            if !text.is_empty() {
                tally.earlier.push_str(&text);
                tally.earlier.push_str("\n\n");
                output.chunk("\n\n");
            }
            let results = self.run_tools(&calls, input, llm::cut_off(&end), tally).await;
            session.messages.push(said(end, text));
            session
                .messages
                .push(ChatMessage::tool(MessageContent::from_tool_responses(results)));
        }
    }

    /// Every call gets its result under its own id, in order: providers refuse conversations with gaps.
    async fn run_tools(
        &self,
        calls: &[ToolCall],
        input: &TurnInput,
        cut_off: bool,
        tally: &mut Tally,
    ) -> Vec<ToolResponse> {
        let caller = Caller::in_context(&input.context_id);
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            let over = tally.calls >= self.limits.tool_calls;
            tally.calls += u32::from(!over);
            let result = match &call.fn_arguments {
                _ if over => format!(
                    "Error: the limit of {} tool calls for this turn is used up. Answer now with what you have.",
                    self.limits.tool_calls
                ),
                arguments => match Arguments::from_json(arguments.clone()) {
                    Ok(arguments) => {
                        let end = self.tools.call(&call.fn_name, &arguments, &caller).await;
                        molecule_tools::shown(end, RESULT_BYTES)
                    }
                    Err(_) => complaint(arguments, cut_off),
                },
            };
            let arguments = call
                .fn_arguments
                .as_str()
                .map_or_else(|| call.fn_arguments.to_string(), str::to_owned);
            ToolTrace::record(&mut tally.tools, ToolTrace::new(&call.fn_name, &arguments, &result));
            results.push(ToolResponse::from_tool_call(call, result));
        }
        results
    }
}

/// A tool as the library sends it.
fn offered(tool: Definition) -> genai::chat::Tool {
    genai::chat::Tool::new(tool.name)
        .with_description(tool.description)
        .with_schema(tool.input_schema)
}

/// Told to the model, which then usually does better.
fn complaint(arguments: &Value, cut_off: bool) -> String {
    let why = match arguments {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Err(error) => format!("they are not valid JSON ({error})"),
            Ok(_) => "they are not a JSON object".to_owned(),
        },
        _ => "they are not a JSON object".to_owned(),
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
fn said(mut end: StreamEnd, text: String) -> ChatMessage {
    if let Some(content) = &mut end.captured_content {
        for part in content.iter_mut() {
            if let ContentPart::ToolCall(call) = part
                && !call.fn_arguments.is_object()
            {
                let raw = call
                    .fn_arguments
                    .as_str()
                    .map_or_else(|| call.fn_arguments.to_string(), str::to_owned);
                call.fn_arguments = match call.fn_arguments {
                    Value::Null => json!({}),
                    _ => json!({ "invalid_arguments": preview(&raw, BROKEN_CHARS, "…") }),
                };
            }
        }
    }
    end.into_assistant_message_for_tool_use()
        .unwrap_or_else(|| ChatMessage::assistant(text))
}

/// Ends the turn with the model's last words, or its earlier ones if it has no more.
fn finish(session: &mut Conversation, text: String, end: &StreamEnd, tally: &mut Tally) -> String {
    let mut reply = if text.trim().is_empty() {
        tally.earlier.trim_end().to_owned()
    } else {
        text
    };
    if llm::cut_off(end) && !reply.is_empty() {
        reply.push_str(CUT_OFF);
    }
    if !reply.is_empty() {
        session.messages.push(ChatMessage::assistant(&*reply));
    }
    reply
}

impl Tally {
    fn count(&mut self, end: &StreamEnd) {
        let Some(usage) = &end.captured_usage else { return };
        let tokens = |count: Option<i32>| u64::try_from(count.unwrap_or(0)).unwrap_or(0);
        let total = self.usage.get_or_insert_default();
        total.input_tokens += tokens(usage.prompt_tokens);
        total.output_tokens += tokens(usage.completion_tokens);
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
        let mut session = Conversation::load(&engine.journal, &input.context_id, &input.history).await?;
        session.messages.push(ChatMessage::user(&*input.text));
        let mut tally = Tally::default();
        let text = engine.converse(input, output, &mut session, &mut tally).await?;
        if !text.is_empty() {
            session.save(&engine.journal, &input.context_id).await;
        }
        Ok(Reply {
            text,
            tools: tally.tools,
            usage: tally.usage,
        })
    }
}
