//! `molecule up` and `molecule server`.

use anyhow::Result;

use crate::{
    boot,
    cli::{Global, ServerArgs},
    config::{Sources, load},
    server::{Mode, run_server},
};

pub(super) async fn run(args: &ServerArgs, global: &Global, mode: Mode) -> Result<()> {
    let loaded = load(&Sources::of_process(args.flags(global), args.config.as_deref()))?;
    boot::init_logging(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = boot::exposure(&loaded.config) {
        tracing::warn!("{warning}");
    }
    run_server(loaded.config, mode).await
}
