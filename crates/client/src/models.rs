//! Models of an endpoint, for finding out what a machine can think with.

use std::time::Duration;

use reqwest::header::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{Client, ClientError, call::Call};

#[derive(Deserialize)]
struct ModelList {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

/// Why an endpoint did not name its models. What [`ClientError`] tells to do about a failure is about a Molecule server.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// Nobody listens there.
    #[error("nothing answers at {url}: {reason}")]
    Unreachable {
        /// Base address.
        url: String,
        /// Innermost cause.
        reason: String,
    },
    /// It answered with an error status.
    #[error("it answers with {message} (HTTP {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// It answered with something else than a list of models.
    #[error("its answer is no list of models: {0}")]
    Strange(String),
    /// Everything else.
    #[error(transparent)]
    Other(ClientError),
}

impl From<ClientError> for ModelsError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Connect { url, reason } => Self::Unreachable { url, reason },
            ClientError::Status(error) => Self::Refused {
                status: error.status,
                message: error.message,
            },
            ClientError::Decode { reason, .. } => Self::Strange(reason),
            other => Self::Other(other),
        }
    }
}

/// Asks `GET <base_url>/models` which models an OpenAI-compatible endpoint serves.
///
/// # Errors
/// [`ModelsError`].
pub async fn list_models(
    base_url: &str,
    key: Option<SecretString>,
    timeout: Duration,
) -> Result<Vec<String>, ModelsError> {
    let client = Client::new(base_url, key)?.with_timeout(timeout);
    ids(client.get(&["models"])).await
}

/// The version of the wire that is spoken.
const ANTHROPIC_VERSION: (HeaderName, &str) = (HeaderName::from_static("anthropic-version"), "2023-06-01");
const ANTHROPIC_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Asks `GET <base_url>/models` which models an Anthropic endpoint serves.
///
/// # Errors
/// [`ModelsError`].
pub async fn list_anthropic_models(
    base_url: &str,
    key: &SecretString,
    timeout: Duration,
) -> Result<Vec<String>, ModelsError> {
    let (version, value) = ANTHROPIC_VERSION;
    let client = Client::new(base_url, None)?.with_timeout(timeout);
    let call = client.get(&["models"]).header(version, value)?;
    ids(call.header(ANTHROPIC_KEY, key.expose_secret())?).await
}

async fn ids(call: Call<'_>) -> Result<Vec<String>, ModelsError> {
    let list: ModelList = call.json().await?;
    Ok(list.data.into_iter().map(|model| model.id).collect())
}
