//! The trace that work in progress belongs to, so that whatever it calls can name it (W3C Trace Context).

use std::future::Future;

use molecule_core::trace::TraceContext;
use tokio::task_local;

task_local! {
    static CURRENT: TraceContext;
}

/// Runs `work` as a part of a trace. A task that it spawns is none of it unless it is scoped again.
pub async fn scope<F: Future>(context: TraceContext, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

/// The trace of the work in progress, as what it calls is to be told. `None` for work that nobody asked for.
#[must_use]
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// A step of the trace that a caller sent, or of one that begins here.
#[must_use]
pub fn enter(traceparent: Option<&str>, tracestate: Option<&str>) -> TraceContext {
    let span = rand::random();
    match traceparent.and_then(|parent| TraceContext::parse(parent, tracestate)) {
        Some(context) => context.step(span),
        None => TraceContext::begin(rand::random(), span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_knows_its_trace() {
        let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = enter(Some(sent), None);
        assert_eq!(context.trace_id().to_string(), &sent[3..35]);
        assert_ne!(context.traceparent(), sent, "a step of its own");
        assert_eq!(scope(context.clone(), async { current() }).await, Some(context));
        assert_eq!(current(), None);
        assert_ne!(enter(None, None).trace_id(), enter(Some("?"), None).trace_id());
    }
}
