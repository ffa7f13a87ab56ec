//! The log on standard error.

use std::{
    backtrace::Backtrace,
    io::IsTerminal,
    panic::{self, PanicHookInfo},
};

use molecule_api::LogControl;
use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

use super::{BootError, naming::NamingStderr};
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
        LogFormat::Pretty if std::io::stderr().is_terminal() => {
            registry.with(stderr.with_writer(|| NamingStderr)).try_init()
        }
        LogFormat::Pretty => registry.with(stderr).try_init(),
        LogFormat::Json => registry.with(stderr.json().flatten_event(true)).try_init(),
    };
    done.map_err(|error| BootError::Log(error.to_string()))?;
    panic::set_hook(Box::new(log_panic));
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
    panic::set_hook(Box::new(log_panic));
    if let Some(problem) = problem {
        tracing::warn!(%problem, "{AGENT_LOG} is not a log filter; {AGENT_DEFAULT} is used");
    }
}

/// A panic is one record with its stack, whoever catches it afterwards (SEC-148, SEC-214). A stripped program knows no
/// names: addresses less `base` are places in it, which its symbols name.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let stack = Backtrace::force_capture();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        reason = panic.payload_as_str().unwrap_or("no text"),
        place,
        thread = std::thread::current().name().unwrap_or_default(),
        base = load_base().unwrap_or_default(),
        stack = %format_args!("{stack:#}"),
        "panicked"
    );
}

/// Where this program lies in memory.
fn load_base() -> Option<String> {
    let program = std::fs::read_link("/proc/self/exe").ok()?;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let first = maps
        .lines()
        .find(|line| line.ends_with(program.to_string_lossy().as_ref()))?;
    Some(format!("0x{}", first.split('-').next()?))
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
    use std::io::{Read, Seek};

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
    fn a_panic_is_one_record_with_its_stack() {
        // SEC-148, SEC-214, LIFE-175
        for json in [true, false] {
            let mut file = tempfile::tempfile().unwrap();
            let layer = fmt::layer()
                .with_writer(std::sync::Arc::new(file.try_clone().unwrap()))
                .with_ansi(false);
            let registry = tracing_subscriber::registry();
            let log = if json {
                registry.with(layer.json().flatten_event(true)).set_default()
            } else {
                registry.with(layer).set_default()
            };
            let usual = panic::take_hook();
            panic::set_hook(Box::new(log_panic));
            let caught = panic::catch_unwind(|| panic!("broken\nby {}", "a caller"));
            panic::set_hook(usual);
            drop(log);
            assert!(caught.is_err());
            file.rewind().unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert!(text.contains(r"broken\nby a caller"), "quoted: {text}");
            assert!(text.contains(file!()), "{text}");
            assert!(text.contains("a_panic_is_one_record_with_its_stack"), "{text}");
            if json {
                let record: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(
                    (&record["level"], &record["message"]),
                    (&"ERROR".into(), &"panicked".into())
                );
                assert!(record["stack"].as_str().unwrap().lines().count() > 1, "{record}");
                assert!(record["base"].as_str().unwrap().starts_with("0x"), "{record}");
            }
        }
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
