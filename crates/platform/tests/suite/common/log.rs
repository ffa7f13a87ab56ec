//! What the services log as errors, and what starts log, for tests that wait until it was met.

use std::{fmt::Write, sync::OnceLock};

use molecule_core::WorkspaceId;
use parking_lot::Mutex;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

static ERRORS: OnceLock<Mutex<Vec<String>>> = OnceLock::new();

/// Collects the errors of every test of this process; each looks for its own workspace.
struct Collector;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let starts = ["provisioning", "messaging::restarted"].iter().any(|module| {
            target
                .strip_prefix("molecule_platform::")
                .is_some_and(|rest| rest.starts_with(module))
        });
        metadata.is_event() && (*metadata.level() == Level::ERROR || starts && *metadata.level() <= Level::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        errors().lock().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn errors() -> &'static Mutex<Vec<String>> {
    ERRORS.get_or_init(Mutex::default)
}

/// Begins to collect. Every harness does.
pub(crate) fn collect() {
    // Refused when another test of this process was first.
    tracing::subscriber::set_global_default(Collector).ok();
}

/// Waits for a line that speaks of the workspace and has `text`.
pub(crate) async fn until_logged(id: WorkspaceId, text: &str) {
    let id = id.to_string();
    let logged = || {
        let errors = errors().lock();
        errors.iter().any(|line| line.contains(&id) && line.contains(text))
    };
    super::eventually(text, async || logged()).await;
}
