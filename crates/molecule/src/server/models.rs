//! Tries what agents think with, as the server's own secrets say.

use std::time::Duration;

use molecule_agent::{
    env::Vars,
    runtimes::native::endpoint::{self, Configured, Wire},
};
use molecule_api::{ModelTrial, Tried};
use molecule_client::{ModelsError, list_anthropic_models, list_models};
use molecule_platform::secrets::Secrets;
use molecule_wire::ops::ModelEndpoint;
use secrecy::ExposeSecret;
use url::Url;

/// Time that each endpoint has.
const PATIENCE: Duration = Duration::from_secs(5);

/// The endpoints that global secrets lead to.
pub(super) struct StoredModels(Secrets);

impl StoredModels {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self(secrets)
    }
}

impl ModelTrial for StoredModels {
    fn try_all(&self) -> Tried<'_> {
        Box::pin(async move {
            let values = self.0.global_values().await.map_err(|error| error.to_string())?;
            let vars: Vars = values
                .into_iter()
                .map(|(key, value)| (key, value.expose_secret().to_owned()))
                .collect();
            let mut tried = tokio::task::JoinSet::new();
            for (place, endpoint) in endpoint::configured(&vars).into_iter().enumerate() {
                tried.spawn(async move { (place, attempt(endpoint).await) });
            }
            let mut tried = tried.join_all().await;
            tried.sort_by_key(|(place, _)| *place);
            Ok(tried.into_iter().map(|(_, endpoint)| endpoint).collect())
        })
    }
}

/// Without a user's name and password.
fn shown(mut url: Url) -> String {
    // Only URLs without a host refuse this, and those carry neither.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.to_string()
}

async fn attempt(endpoint: Configured) -> ModelEndpoint {
    let (url, outcome) = match endpoint.url {
        Ok(url) => {
            let listed = match (endpoint.wire, endpoint.key) {
                (Wire::Anthropic, Some(key)) => list_anthropic_models(url.as_str(), &key, PATIENCE).await,
                (Wire::Anthropic | Wire::OpenAi, key) => list_models(url.as_str(), key, PATIENCE).await,
            };
            (shown(url), listed.map_err(|error: ModelsError| error.to_string()))
        }
        Err(error) => (String::new(), Err(error.to_string())),
    };
    ModelEndpoint {
        credential: endpoint.credential.to_owned(),
        url,
        models: outcome.as_ref().ok().map(Vec::len),
        error: outcome.err(),
    }
}
