//! `molecule up` and `molecule server`.

use anyhow::Result;

use crate::{
    boot,
    cli::{Global, ServerArgs},
    config::{Sources, load, settings},
    server::{Mode, run_server},
};

/// What `up` logs unless told otherwise.
const QUIET: &str = "warn";

pub(super) async fn run(args: &ServerArgs, global: &Global, mode: Mode) -> Result<()> {
    let mut loaded = load(&Sources::of_process(args.flags(global), args.config.as_deref()))?;
    if mode == Mode::Up && loaded.is_default(&settings::LOG) {
        // Whoever starts it by hand wants to know what is wrong, not what goes on: `molecule events -f` tells that.
        QUIET.clone_into(&mut loaded.config.log.filter);
    }
    let log = boot::init_logging(&loaded.config.log)?;
    boot::allow_files();
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = boot::exposure(&loaded.config) {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = boot::plain_http(&loaded.config) {
        tracing::warn!("{warning}");
    }
    run_server(loaded.config, mode, log).await
}
