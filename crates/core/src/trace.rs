//! W3C trace context: the thread that leads from a caller through the platform to an agent and on.

use std::fmt;

use uuid::Uuid;

/// Header that carries it.
pub const TRACE_HEADER: &str = "traceparent";

/// Where a piece of work stands in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceContext {
    /// A trace that begins here.
    #[must_use]
    pub fn root() -> Self {
        Self {
            trace: Uuid::new_v4().as_u128(),
            span: fresh_span(),
            sampled: true,
        }
    }

    /// The next step of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span: fresh_span(),
            ..self
        }
    }

    /// Reads the header's value; `None` for what the standard tells to ignore: a new trace begins then.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (version, rest) = field(header, 2)?;
        let (trace, rest) = field(rest.strip_prefix('-')?, 32)?;
        let (span, rest) = field(rest.strip_prefix('-')?, 16)?;
        let (flags, rest) = field(rest.strip_prefix('-')?, 2)?;
        // Later versions may add members, this one has none.
        if version == "ff" || (version == "00" && !rest.is_empty()) || !(rest.is_empty() || rest.starts_with('-')) {
            return None;
        }
        let context = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (context.trace != 0 && context.span != 0).then_some(context)
    }

    /// The trace's id as logs show it: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> impl fmt::Display {
        struct TraceId(u128);
        impl fmt::Display for TraceId {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        TraceId(self.trace)
    }
}

/// The header's value.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, sampled } = self;
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(*sampled))
    }
}

/// A span's id is any number but zero.
fn fresh_span() -> u64 {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    (high ^ low).max(1)
}

/// So many lower-case hexadecimal digits, and what follows them.
fn field(text: &str, digits: usize) -> Option<(&str, &str)> {
    let (field, rest) = text.split_at_checked(digits)?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    field.bytes().all(hex).then_some((field, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_goes_on() {
        let caller = TraceContext::parse(HEADER).unwrap();
        assert_eq!(caller.to_string(), HEADER);
        assert_eq!(caller.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let next = caller.child();
        assert_ne!(next, caller);
        assert_eq!(next.trace_id().to_string(), caller.trace_id().to_string());
        assert_eq!(TraceContext::parse(&next.to_string()), Some(next));
        let root = TraceContext::root();
        assert_eq!(TraceContext::parse(&root.to_string()), Some(root));
    }

    #[test]
    fn what_is_no_context_is_ignored() {
        let later = HEADER.replacen("00", "cc", 1);
        assert!(TraceContext::parse(&later).is_some());
        assert!(TraceContext::parse(&format!("{later}-more")).is_some());
        for bad in [
            String::new(),
            "00".to_owned(),
            HEADER.to_uppercase(),
            HEADER.replacen("00", "ff", 1),
            format!("{HEADER}-more"),
            format!("{later}more"),
            HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            HEADER.replace("00f067aa0ba902b7", &"0".repeat(16)),
            HEADER.replace('-', "_"),
            "00-ü".repeat(20),
        ] {
            assert_eq!(TraceContext::parse(&bad), None, "{bad}");
        }
    }
}
