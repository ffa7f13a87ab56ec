//! Position of a request in a distributed trace: W3C Trace Context, level 1.

use std::{fmt, sync::Arc};

/// Bytes of a `tracestate` that are carried; a longer one is dropped, which the standard allows.
const STATE_BYTES: usize = 512;

/// What `traceparent` and `tracestate` say: which trace a request belongs to, and which step of it caused the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
    state: Option<Arc<str>>,
}

/// Id of a trace, 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TraceContext {
    /// A trace that begins here. Zero stands for "none" in the standard and becomes one.
    #[must_use]
    pub fn begin(trace: u128, span: u64) -> Self {
        Self {
            trace: trace.max(1),
            span: span.max(1),
            flags: 0,
            state: None,
        }
    }

    /// What a caller sent. `None` for anything that is no `traceparent`: the trace then begins here.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let (version, rest) = traceparent.split_at_checked(2)?;
        let version = hex(version, 2)?;
        let fields = rest.get(..53)?;
        // Later versions may have more behind the flags; this one has not.
        let rest = &rest[53..];
        let complete = rest.is_empty() || (version > 0 && rest.starts_with('-'));
        let mut fields = fields.strip_prefix('-')?.split('-');
        let trace = hex(fields.next()?, 32)?;
        let span = u64::try_from(hex(fields.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(fields.next()?, 2)?).ok()?;
        let valid = complete && version != 0xff && trace != 0 && span != 0 && fields.next().is_none();
        valid.then(|| Self {
            trace,
            span,
            flags,
            state: tracestate.filter(|state| fits(state)).map(Arc::from),
        })
    }

    /// The same trace, one step further: what is called from here names `span` as its cause.
    #[must_use]
    pub fn step(&self, span: u64) -> Self {
        Self {
            span: span.max(1),
            ..self.clone()
        }
    }

    /// Which trace.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        TraceId(self.trace)
    }

    /// Value of `traceparent` for what is called from here.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }

    /// Value of `tracestate`, as the caller sent it.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Exactly so many lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let valid = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    valid.then(|| u128::from_str_radix(text, 16).ok())?
}

fn fits(state: &str) -> bool {
    !state.is_empty() && state.len() <= STATE_BYTES && state.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_was_sent_is_carried() {
        let context = TraceContext::parse(SENT, Some("vendor=1")).unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.traceparent(), SENT);
        let step = context.step(0xa);
        assert_eq!(
            step.traceparent(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-000000000000000a-01"
        );
        assert_eq!(step.tracestate(), Some("vendor=1"));
        let later = SENT.replacen("00", "cc", 1) + "-what-comes";
        assert_eq!(TraceContext::parse(&later, None).unwrap().traceparent(), SENT);
    }

    #[test]
    fn what_is_none_begins_anew() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.x",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
            "é0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad}");
        }
        assert_eq!(TraceContext::parse(SENT, Some("a\nb")).unwrap().tracestate(), None);
        let long = "x".repeat(STATE_BYTES + 1);
        assert_eq!(TraceContext::parse(SENT, Some(&long)).unwrap().tracestate(), None);
        let begun = TraceContext::begin(0, 0).traceparent();
        assert_eq!(begun, "00-00000000000000000000000000000001-0000000000000001-00");
    }
}
