//! Models of an OpenAI-compatible endpoint, for finding out what a machine can think with.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::{Client, ClientError};

#[derive(Deserialize)]
struct ModelList {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

/// Asks `GET <base_url>/models` which models an OpenAI-compatible endpoint serves.
///
/// # Errors
/// [`ClientError`].
pub async fn list_models(
    base_url: &str,
    key: Option<SecretString>,
    timeout: Duration,
) -> Result<Vec<String>, ClientError> {
    let list: ModelList = Client::new(base_url, key)?
        .with_timeout(timeout)
        .get(&["models"])
        .json()
        .await?;
    Ok(list.data.into_iter().map(|model| model.id).collect())
}
