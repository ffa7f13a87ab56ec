//! One exchange with the model: streamed, with deadlines for silence, retried while nothing has been shown yet.

use std::{collections::HashMap, error::Error as StdError, time::Duration};

use futures_util::StreamExt;
use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    chat::{ChatOptions, ChatRequest, ChatStreamEvent, StopReason, StreamEnd},
    resolver::{AuthData, Endpoint as GenaiEndpoint},
    webc::StreamTimeout,
};
use molecule_core::text::preview;
use secrecy::ExposeSecret;
use tokio::time::Instant;
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use super::endpoint::{Endpoint, Wire};
use crate::engine::{Category, TurnError};

/// Characters of a provider's error that reach the log.
const DETAIL_CHARS: usize = 1_000;

/// Patience with a provider.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Tries after the first (RUN-72).
    pub retries: u32,
    /// Pause before the first of them; doubled each time (RUN-72).
    pub pause: Duration,
    /// Longest pause, whatever the provider asks for.
    pub longest_pause: Duration,
    /// Longest silence before and within an answer.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retries: 3,
            pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(60),
            silence: Duration::from_secs(180),
        }
    }
}

/// Bytes that the model may say in one turn, its thoughts and tool calls included.
const TURN_BYTES: usize = 4 << 20;

/// What a turn may still take of the model.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    time: Duration,
    bytes: usize,
}

impl Allowance {
    /// For a new turn, with this much time.
    #[must_use]
    pub fn new(time: Duration) -> Self {
        Self {
            time,
            bytes: TURN_BYTES,
        }
    }
}

/// The model.
pub struct Llm {
    client: Client,
    target: ServiceTarget,
    options: ChatOptions,
    patience: Patience,
}

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the model client could not be built: {0}")]
pub struct BuildError(String);

/// Why an exchange failed, and what may be done about it.
struct Failure {
    category: Category,
    detail: String,
    /// Another try may help.
    transient: bool,
    /// The provider's own wish.
    retry_after: Option<Duration>,
}

impl Llm {
    /// A client of this endpoint.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub fn new(endpoint: &Endpoint, patience: Patience) -> Result<Self, BuildError> {
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(15))
            .tcp_nodelay(true);
        if endpoint.url.scheme() == "http" {
            // Slim images have no certificates to load.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|error| BuildError(error.to_string()))?;
        let client = Client::builder()
            .with_reqwest(http)
            .build()
            .map_err(|error| BuildError(error.to_string()))?;
        let kind = match endpoint.wire {
            Wire::OpenAi => AdapterKind::OpenAI,
            Wire::Anthropic => AdapterKind::Anthropic,
        };
        // The library insists on a key; endpoints that want none ignore it.
        let key = endpoint.key.as_ref().map_or("none", |key| key.expose_secret());
        let target = ServiceTarget {
            endpoint: GenaiEndpoint::from_owned(endpoint.url.as_str()),
            auth: AuthData::from_single(key),
            model: ModelIden::new(kind, endpoint.model.clone()),
        };
        let options = ChatOptions::default()
            .with_capture_content(true)
            .with_capture_tool_calls(true)
            .with_capture_reasoning_content(true)
            .with_capture_usage(true)
            .with_stream_header_timeout(patience.silence)
            .with_stream_read_timeout(patience.silence);
        Ok(Self {
            client,
            target,
            options,
            patience,
        })
    }

    /// Asks within the allowance, passing text on as it comes. Tried again only while nothing of an answer has arrived:
    /// afterwards text has been shown, and tools may have been chosen.
    ///
    /// # Errors
    /// [`TurnError`] with the provider's words as detail; [`Category::SessionError`] when the conversation is too long
    /// for the model.
    pub async fn ask(
        &self,
        request: &ChatRequest,
        allowance: &mut Allowance,
        show: impl FnMut(&str),
    ) -> Result<StreamEnd, TurnError> {
        let (begun, time) = (Instant::now(), allowance.time);
        let asked = tokio::time::timeout(time, self.ask_patiently(request, &mut allowance.bytes, show)).await;
        allowance.time = time.saturating_sub(begun.elapsed());
        asked.unwrap_or_else(|_| {
            let detail = "the task used up its time with the model (compliance.max_task_duration_seconds)";
            Err(TurnError::new(Category::Timeout, detail))
        })
    }

    async fn ask_patiently(
        &self,
        request: &ChatRequest,
        bytes: &mut usize,
        mut show: impl FnMut(&str),
    ) -> Result<StreamEnd, TurnError> {
        let mut tries = 0;
        loop {
            let mut begun = false;
            let failure = match self.stream(request, bytes, &mut begun, &mut show).await {
                Ok(end) => return Ok(end),
                Err(failure) => failure,
            };
            if begun || !failure.transient || tries >= self.patience.retries {
                return Err(TurnError::new(failure.category, failure.detail));
            }
            let pause = failure
                .retry_after
                .unwrap_or(self.patience.pause.saturating_mul(1 << tries.min(10)));
            let pause = pause.min(self.patience.longest_pause);
            tries += 1;
            tracing::warn!(tries, ?pause, category = %failure.category, "the model could not be asked; trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn stream(
        &self,
        request: &ChatRequest,
        bytes: &mut usize,
        begun: &mut bool,
        show: &mut impl FnMut(&str),
    ) -> Result<StreamEnd, Failure> {
        // The library logs providers' errors as they are, and those may repeat the credential. Ours are logged redacted.
        let answer = self
            .client
            .exec_chat_stream(self.target.clone(), request.clone(), Some(&self.options))
            .with_subscriber(NoSubscriber::new())
            .await;
        let mut events = answer.map_err(|error| Failure::of(&error))?.stream;
        // Arguments of a tool call come as all that is there so far.
        let mut arguments = HashMap::new();
        while let Some(event) = events.next().with_subscriber(NoSubscriber::new()).await {
            let said = match event.map_err(|error| Failure::of(&error))? {
                ChatStreamEvent::Chunk(chunk) => {
                    show(&chunk.content);
                    chunk.content.len()
                }
                ChatStreamEvent::ReasoningChunk(chunk) | ChatStreamEvent::ThoughtSignatureChunk(chunk) => {
                    chunk.content.len()
                }
                ChatStreamEvent::ToolCallChunk(chunk) => {
                    let length = chunk.tool_call.fn_arguments.as_str().map_or(0, str::len);
                    let before = arguments.insert(chunk.tool_call.call_id, length).unwrap_or(0);
                    length.saturating_sub(before)
                }
                ChatStreamEvent::Start | ChatStreamEvent::Heartbeat => continue,
                ChatStreamEvent::End(end) => return Ok(end),
            };
            *begun = true;
            *bytes = bytes
                .checked_sub(said)
                .ok_or_else(|| Failure::provider(format!("the model says more than {TURN_BYTES} bytes in one turn")))?;
        }
        // Without an end marker nothing says that the answer is whole.
        Err(Failure {
            transient: true,
            ..Failure::provider("the stream ended before the answer did")
        })
    }
}

impl Failure {
    fn provider(detail: impl Into<String>) -> Self {
        let detail = preview(&detail.into(), DETAIL_CHARS, "…");
        Self {
            category: Category::Provider,
            detail,
            transient: false,
            retry_after: None,
        }
    }

    fn of(error: &genai::Error) -> Self {
        use genai::Error;
        match error {
            Error::WebStream { error, cause, .. } => Self::of_transport(error.as_ref(), cause),
            Error::HttpError {
                status, body, headers, ..
            } => Self::of_status(status.as_u16(), body, headers),
            Error::ChatResponse { body, .. } => Self::of_event(&body.to_string()),
            // Nonsense from a gateway is often gone with the next try.
            Error::StreamParse { serde_error, .. } => Self {
                transient: true,
                ..Self::provider(format!("the answer is not what the protocol says: {serde_error}"))
            },
            Error::JsonValueExt(_) | Error::SerdeJson(_) | Error::InvalidJsonResponseElement { .. } => Self {
                transient: true,
                ..Self::provider(format!("the answer is not what the protocol says: {error}"))
            },
            other => Self::provider(other.to_string()),
        }
    }

    fn of_transport(error: &(dyn StdError + Send + Sync + 'static), cause: &str) -> Self {
        if let Some(inner) = error.downcast_ref::<genai::Error>() {
            return Self::of(inner);
        }
        let timed_out = error.downcast_ref::<StreamTimeout>().is_some()
            || error
                .downcast_ref::<reqwest::Error>()
                .is_some_and(reqwest::Error::is_timeout);
        let category = if timed_out {
            Category::Timeout
        } else {
            Category::Provider
        };
        // Addresses may carry credentials in their query.
        let text = error
            .downcast_ref::<reqwest::Error>()
            .map_or_else(|| cause.to_owned(), root_cause);
        Self {
            category,
            transient: true,
            ..Self::provider(text)
        }
    }

    fn of_status(status: u16, body: &str, headers: &reqwest::header::HeaderMap) -> Self {
        let retry_after = headers
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let (category, transient) = match status {
            401 | 403 => (Category::AuthFailed, false),
            429 => (Category::RateLimited, true),
            408 | 504 => (Category::Timeout, true),
            500.. => (Category::Provider, true),
            400 | 413 if is_too_long(body) => (Category::SessionError, false),
            _ => (Category::Provider, false),
        };
        Self {
            category,
            transient,
            retry_after,
            ..Self::provider(format!("HTTP {status}: {body}"))
        }
    }

    /// An error inside a stream that began with 200.
    fn of_event(body: &str) -> Self {
        let (category, transient) = if is_too_long(body) {
            (Category::SessionError, false)
        } else if body.contains("rate_limit") {
            (Category::RateLimited, true)
        } else if body.contains("authentication") || body.contains("permission") {
            (Category::AuthFailed, false)
        } else {
            (
                Category::Provider,
                body.contains("overloaded") || body.contains("server_error") || body.contains("api_error"),
            )
        };
        Self {
            category,
            transient,
            ..Self::provider(body)
        }
    }
}

/// Does a provider say that the conversation exceeds what the model can read? Each has words of its own.
fn is_too_long(body: &str) -> bool {
    const WORDS: [&str; 6] = [
        "context_length_exceeded",
        "maximum context length",
        "context length",
        "context window",
        "context size",
        "prompt is too long",
    ];
    let body = body.to_ascii_lowercase();
    WORDS.iter().any(|words| body.contains(words))
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Did the model stop because it may not say more?
#[must_use]
pub fn cut_off(end: &StreamEnd) -> bool {
    matches!(end.captured_stop_reason, Some(StopReason::MaxTokens(_)))
}
