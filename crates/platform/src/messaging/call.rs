//! A message on its way to an agent, all decisions but the dial made, and the clocks it runs under.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use molecule_a2a::{Normalised, ProtocolVersion, upstream::TransportFailure};
use molecule_core::{limits, trace::TraceContext};

use super::{Caller, Messenger};
use crate::{dial::Endpoint, directory::Route, pulses::Busy};

/// The message. Taken apart only by what dispatches, relays and records it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) route: Arc<Route>,
    pub(super) endpoint: Endpoint,
    pub(super) request: Normalised,
    pub(super) target_version: ProtocolVersion,
    pub(super) clocks: Clocks,
    /// What the agent is told of the trace.
    pub(super) trace: TraceContext,
    /// Leave a row, tell the canvas.
    pub(super) record: bool,
    /// Its place among the messages under way; its agent is not idle meanwhile.
    pub(super) _busy: Busy,
}

/// The clocks of one call (A2A-64…67).
#[derive(Debug)]
pub(super) struct Clocks {
    begun: Instant,
    idle: Duration,
    ceiling: Option<Duration>,
}

impl Clocks {
    /// They start now. Callers and agents name any number of seconds; a clock does not reach that far.
    pub(super) fn start(idle: Duration, ceiling: Option<Duration>) -> Self {
        Self {
            begun: Instant::now(),
            idle: idle.min(limits::A2A_LONGEST_TIMEOUT),
            ceiling: ceiling.map(|ceiling| ceiling.min(limits::A2A_LONGEST_TIMEOUT)),
        }
    }
}

impl Call {
    /// What happens to it is told within this span.
    pub(super) fn span(&self) -> tracing::Span {
        let caller = self.caller;
        tracing::info_span!("a2a_call", target = %self.route.id, %caller, trace = %self.trace.trace_id())
    }

    /// Since it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.clocks.begun.elapsed()
    }
}

impl Messenger {
    /// Resolves when the call has run out of time: its ceiling, or silence since `active`. Any event of the target resets
    /// the idle timer (A2A-65).
    pub(super) async fn expired(&self, call: &Call, active: Instant) -> TransportFailure {
        let clocks = &call.clocks;
        let ceiling = clocks.ceiling.map(|ceiling| clocks.begun + ceiling);
        loop {
            let heard = self
                .inner
                .events
                .last_heard(call.route.id)
                .unwrap_or(active)
                .max(active);
            let silent_at = heard + clocks.idle;
            let next = ceiling.map_or(silent_at, |ceiling| ceiling.min(silent_at));
            let at = Instant::now();
            if at >= next {
                return if ceiling.is_some_and(|ceiling| at >= ceiling) {
                    TransportFailure::Deadline
                } else {
                    TransportFailure::Idle
                };
            }
            tokio::time::sleep_until(next.into()).await;
        }
    }
}
