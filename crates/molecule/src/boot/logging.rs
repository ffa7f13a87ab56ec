//! The log on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::BootError;
use crate::config::{LogConfig, LogFormat};

/// Sets the process' log up. Once per process, before the first event.
///
/// # Errors
/// [`BootError::Log`] if a log is set up already or the filter is bad.
pub fn init_logging(config: &LogConfig) -> Result<(), BootError> {
    let filter = EnvFilter::builder()
        .parse(&config.filter)
        .map_err(|error| BootError::Log(error.to_string()))?;
    let registry = tracing_subscriber::registry().with(filter);
    let stderr = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let done = match config.format {
        LogFormat::Pretty => registry.with(stderr).try_init(),
        LogFormat::Json => registry.with(stderr.json().flatten_event(true)).try_init(),
    };
    done.map_err(|error| BootError::Log(error.to_string()))
}
