//! An endpoint of one's own has no model that everybody knows: when nobody names one, it is asked what it serves.

use std::time::Duration;

use molecule_core::Runtime;

use super::endpoint::{self, EndpointError, LOCAL_BASE, LOCAL_KEY};
use crate::{config::Config, env::Settings};

/// How long the endpoint has to name its models.
const PATIENCE: Duration = Duration::from_secs(10);

/// The endpoint was asked and is of no help.
#[derive(Debug, thiserror::Error)]
pub enum LocalModelError {
    /// It serves nothing.
    #[error("no model is set (MODEL, or `model` in config.yaml), and the endpoint of {LOCAL_BASE} serves none")]
    None,
    /// It did not say.
    #[error(
        "no model is set (MODEL, or `model` in config.yaml), and the endpoint of {LOCAL_BASE} does not name its models"
    )]
    Unnamed(#[source] molecule_client::ModelsError),
}

/// Settles on the endpoint's first model where runtime `native` uses an endpoint of one's own without one (RUN-6:
/// adapter default). Everything else is left as it is.
///
/// # Errors
/// [`LocalModelError`].
pub async fn settle_model(settings: &mut Settings, config: &Config) -> Result<(), LocalModelError> {
    let runtime = settings.runtime.as_deref().or(config.runtime.as_deref());
    let native = runtime.is_some_and(|name| Runtime::parse(name.trim()) == Some(Runtime::Native));
    let open = matches!(
        endpoint::resolve(&settings.vars, config),
        Err(EndpointError::NoModel(provider)) if provider == endpoint::LOCAL_NAME
    );
    let Some(base) = settings.vars.get(LOCAL_BASE).filter(|_| native && open) else {
        return Ok(());
    };
    let models = molecule_client::list_models(base, settings.vars.secret(LOCAL_KEY), PATIENCE)
        .await
        .map_err(LocalModelError::Unnamed)?;
    let model = models.into_iter().next().ok_or(LocalModelError::None)?;
    tracing::info!(model, "no model is set; the endpoint's first is used");
    settings.vars.set("MODEL", model);
    Ok(())
}
