//! The engines that come with the agent.

pub mod echo;
pub mod exec;
pub mod native;

use std::sync::Arc;

use molecule_core::Runtime;

use self::{
    echo::Echo,
    exec::Exec,
    native::{
        Native, endpoint,
        llm::{self, Llm, Patience},
    },
};
use crate::{
    config::Config, delegation::Delegator, engine::Adapter, env::Settings, journal::Journal, peers::Directory,
    platform::Platform, plugins::Extensions, prompt::PromptBuilder, tools,
};

/// What engines are made of.
pub struct EngineContext<'a> {
    /// The environment.
    pub settings: &'a Settings,
    /// `config.yaml`.
    pub config: &'a Config,
    /// Skills and plugins.
    pub extensions: Arc<Extensions>,
    /// The way to the platform.
    pub platform: Arc<Platform>,
    /// Whom the workspace works with.
    pub directory: Arc<Directory>,
    /// Hands tasks to them.
    pub delegator: Arc<Delegator>,
    /// Where conversations are kept.
    pub journal: Journal,
    /// With a model's provider.
    pub patience: Patience,
}

/// An engine cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// `exec` without a command.
    #[error("runtime exec needs runtime_config.command")]
    NoCommand,
    /// `native` without a model endpoint.
    #[error("native")]
    Endpoint(#[from] endpoint::EndpointError),
    /// `native` without a client for it.
    #[error("native")]
    Client(#[from] llm::BuildError),
    /// Not one of ours.
    #[error("the adapter for runtime {0} is not part of this build")]
    Absent(Runtime),
}

/// Builds the engine of a runtime.
///
/// # Errors
/// See [`BuildError`].
pub fn build(runtime: Runtime, context: &EngineContext<'_>) -> Result<Arc<dyn Adapter>, BuildError> {
    match runtime {
        Runtime::Echo => Ok(Arc::new(Echo::new(context))),
        Runtime::Exec => {
            let settings = context.settings;
            let exec = Exec::new(
                &context.config.runtime_config,
                settings.work_dir.clone(),
                settings.vars.clone(),
            );
            Ok(Arc::new(exec.ok_or(BuildError::NoCommand)?))
        }
        Runtime::Native => native(context),
        other => Err(BuildError::Absent(other)),
    }
}

fn native(context: &EngineContext<'_>) -> Result<Arc<dyn Adapter>, BuildError> {
    let EngineContext { settings, config, .. } = *context;
    let endpoint = endpoint::resolve(&settings.vars, config)?;
    tracing::info!(?endpoint, "model endpoint");
    let llm = Llm::new(&endpoint, context.patience)?;
    let tools = tools::toolbox(
        &context.platform,
        &context.directory,
        &context.delegator,
        settings,
        config.command_timeout,
    );
    let prompt = PromptBuilder::new(
        Arc::clone(&context.directory),
        settings,
        config,
        Arc::clone(&context.extensions),
        tools::communication,
    );
    Ok(Arc::new(Native::new(
        llm,
        Arc::new(tools),
        prompt,
        context.journal.clone(),
        config.limits,
    )))
}
