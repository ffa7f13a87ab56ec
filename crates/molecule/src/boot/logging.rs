//! The log on standard error.

use std::io::IsTerminal;

use molecule_api::LogControl;
use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

use super::BootError;
use crate::config::{LogConfig, LogFormat};

/// Variable with the log filter of an agent; a secret of that name sets it for a workspace.
pub const AGENT_LOG: &str = "MOLECULE_LOG";
/// What an agent logs unless told otherwise.
const AGENT_DEFAULT: &str = "info";

/// The filter of a log that has been set up.
#[derive(Debug, Clone)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

impl LogControl for LogHandle {
    fn filter(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    fn set_filter(&self, filter: &str) -> Result<(), String> {
        let filter = parse(filter)?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(filter).map_err(|error| error.to_string())
}

/// Sets the process' log up. Once per process, before the first event. The handle changes its filter later.
///
/// # Errors
/// [`BootError::Log`] if a log is set up already or the filter is bad.
pub fn init_logging(config: &LogConfig) -> Result<LogHandle, BootError> {
    let (filter, handle) = reload::Layer::new(parse(&config.filter).map_err(BootError::Log)?);
    let registry = tracing_subscriber::registry().with(filter);
    let stderr = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let done = match config.format {
        LogFormat::Pretty => registry.with(stderr).try_init(),
        LogFormat::Json => registry.with(stderr.json().flatten_event(true)).try_init(),
    };
    done.map_err(|error| BootError::Log(error.to_string()))?;
    Ok(LogHandle(handle))
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
    fn the_filter_is_changed_while_it_logs() {
        let (layer, handle) = reload::Layer::new(parse("info").unwrap());
        let handle = LogHandle(handle);
        let _subscriber = tracing_subscriber::registry().with(layer).set_default();
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        handle.set_filter("info,molecule=debug").unwrap();
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        assert!(handle.set_filter("info,molecule=loud").is_err());
        let shown = handle.filter();
        assert!(shown.contains("molecule=debug"), "the old one stays: {shown}");
    }

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
