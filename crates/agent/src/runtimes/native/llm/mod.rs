//! One exchange with the model: streamed, with deadlines for silence, retried while nothing has been shown yet.
//!
//! A client of our own, small because it speaks two wires only, and lenient because whoever calls himself compatible with
//! one of them writes it in a way of his own. What is known of such ways is the table `molecule_testkit::llm::odd`.

mod anthropic;
pub mod chat;
mod failure;
mod openai;
mod surrogates;
mod thinking;
mod wire;

use std::time::Duration;

use reqwest::{
    Client, Response,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout};
use url::Url;

use self::{
    chat::{Answer, Request},
    failure::{Again, Failure},
    wire::{Decoder, Reading, Seen},
};
use super::endpoint::{Endpoint, Wire};
use crate::engine::{Category, TurnError};

/// Bytes of a refusal that are read.
const REFUSAL_BYTES: usize = 64 << 10;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);

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
    http: Client,
    url: Url,
    headers: HeaderMap,
    wire: Wire,
    model: String,
    patience: Patience,
}

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the model client could not be built: {0}")]
pub struct BuildError(String);

impl Llm {
    /// A client of this endpoint.
    ///
    /// # Errors
    /// TLS could not be set up, or the credential cannot be in a header.
    pub fn new(endpoint: &Endpoint, patience: Patience) -> Result<Self, BuildError> {
        let mut http = Client::builder()
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            // The credential is for this address only.
            .redirect(redirect::Policy::none());
        if endpoint.url.scheme() == "http" {
            // Slim images have no certificates to load.
            http = http.tls_certs_only([]);
        }
        let broken = |error: &dyn std::error::Error| BuildError(error.to_string());
        let path = match endpoint.wire {
            Wire::OpenAi => "chat/completions",
            Wire::Anthropic => "messages",
        };
        let mut url = endpoint.url.join(path).map_err(|error| broken(&error))?;
        url.set_query(endpoint.url.query());
        Ok(Self {
            http: http.build().map_err(|error| broken(&error))?,
            url,
            headers: headers(endpoint)?,
            wire: endpoint.wire,
            model: endpoint.model.clone(),
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
        request: Request<'_>,
        allowance: &mut Allowance,
        mut show: impl FnMut(&str) + Send,
    ) -> Result<Answer, TurnError> {
        let (begun, time) = (Instant::now(), allowance.time);
        let asked = timeout(time, self.ask_patiently(request, &mut allowance.bytes, &mut show)).await;
        allowance.time = time.saturating_sub(begun.elapsed());
        asked.unwrap_or_else(|_| {
            let detail = "the task used up its time with the model (compliance.max_task_duration_seconds)";
            Err(TurnError::new(Category::Timeout, detail))
        })
    }

    async fn ask_patiently(
        &self,
        request: Request<'_>,
        left: &mut usize,
        show: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Answer, TurnError> {
        let mut tries = 0;
        let mut stumbled = false;
        loop {
            let mut begun = false;
            let seen = Seen {
                begun: &mut begun,
                left,
                limit: TURN_BYTES,
            };
            let failure = match self.exchange(request, seen, show).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let pause = match failure.again {
                Again::Once if !stumbled => Duration::ZERO,
                Again::Later(wish) if tries < self.patience.retries => {
                    let pause = wish.unwrap_or(self.patience.pause.saturating_mul(1 << tries.min(10)));
                    tries += 1;
                    pause.min(self.patience.longest_pause)
                }
                _ => return Err(failure.at(&self.url)),
            };
            if begun {
                return Err(failure.at(&self.url));
            }
            stumbled |= failure.again == Again::Once;
            tracing::warn!(tries, ?pause, category = %failure.category, "the model could not be asked; trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn exchange(
        &self,
        request: Request<'_>,
        seen: Seen<'_>,
        show: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Answer, Failure> {
        let (body, decoder): (_, Box<dyn Decoder>) = match self.wire {
            Wire::OpenAi => (openai::body(&self.model, &request), Box::<openai::Reader>::default()),
            Wire::Anthropic => (
                anthropic::body(&self.model, &request),
                Box::<anthropic::Reader>::default(),
            ),
        };
        let silence = self.patience.silence;
        let sent = self
            .http
            .post(self.url.clone())
            .headers(self.headers.clone())
            .json(&body)
            .send();
        let response = timeout(silence, sent)
            .await
            .map_err(|_| Failure::silence(silence))?
            .map_err(|error| Failure::transport(&error))?;
        if !response.status().is_success() {
            return Err(refused(response, silence).await);
        }
        Reading::new(decoder, seen, show).read(response, silence).await
    }
}

fn headers(endpoint: &Endpoint) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    if endpoint.wire == Wire::Anthropic {
        let name = HeaderName::from_static("anthropic-version");
        headers.insert(name, HeaderValue::from_static(anthropic::VERSION));
    }
    let Some(key) = &endpoint.key else {
        return Ok(headers);
    };
    let key = key.expose_secret();
    let (name, text) = match endpoint.wire {
        Wire::OpenAi => (AUTHORIZATION, format!("Bearer {key}")),
        Wire::Anthropic => (HeaderName::from_static("x-api-key"), key.to_owned()),
    };
    // What is wrong with it may hold a part of it.
    let mut value =
        HeaderValue::try_from(text).map_err(|_| BuildError("the credential cannot be in a header".to_owned()))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

/// What the endpoint says instead of an answer.
async fn refused(mut response: Response, silence: Duration) -> Failure {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend_from_slice(&bytes);
            if body.len() >= REFUSAL_BYTES {
                break;
            }
        }
    };
    // What came of it in time is enough.
    timeout(silence, read).await.ok();
    body.truncate(REFUSAL_BYTES);
    Failure::of_status(status, &headers, &String::from_utf8_lossy(&body))
}
