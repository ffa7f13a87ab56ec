//! The log on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::BootError;
use crate::config::{LogConfig, LogFormat};

/// Variable with the log filter of an agent; a secret of that name sets it for a workspace.
pub const AGENT_LOG: &str = "MOLECULE_LOG";
/// What an agent logs unless told otherwise.
const AGENT_DEFAULT: &str = "info";

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

/// Sets the log of an agent up: its standard error, which its backend keeps as the workspace's log (RUN-57). A filter
/// that cannot be used is told there, and the default stands in for it: no agent stays down for the sake of its log.
pub fn init_agent_logging(filter: Option<&str>) {
    let (filter, problem) = agent_filter(filter);
    let stderr = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if let Err(error) = tracing_subscriber::registry().with(filter).with(stderr).try_init() {
        // The only voice left.
        eprintln!("the log cannot be set up: {error}");
    }
    if let Some(problem) = problem {
        tracing::warn!(%problem, "{AGENT_LOG} is not a log filter; {AGENT_DEFAULT} is used");
    }
}

/// The filter, and what is wrong with the one that was asked for.
fn agent_filter(asked: Option<&str>) -> (EnvFilter, Option<String>) {
    match asked.map(|text| EnvFilter::builder().parse(text)) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(AGENT_DEFAULT), Some(error.to_string())),
        None => (EnvFilter::new(AGENT_DEFAULT), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_log_whatever_the_filter_says() {
        // RUN-57
        for (asked, shown) in [
            (None, "info"),
            (Some("warn,molecule_agent=debug"), "molecule_agent=debug"),
        ] {
            let (filter, problem) = agent_filter(asked);
            let text = filter.to_string();
            assert!(problem.is_none() && text.contains(shown), "{text}");
        }
        let (filter, problem) = agent_filter(Some("molecule_agent=loud"));
        assert!(problem.is_some() && filter.to_string().contains(AGENT_DEFAULT));
    }
}
