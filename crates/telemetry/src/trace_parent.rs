//! The place of a span in a trace, as programs tell each other.

use std::{fmt, str::FromStr};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// A span that others are below: a W3C `traceparent` (Trace Context, version 00).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

/// A text that is no traceparent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is 00-<32 hexadecimal digits>-<16 hexadecimal digits>-<2 hexadecimal digits>")]
pub struct TraceParentError;

impl TraceParent {
    /// The place of a span; nothing where it has none.
    pub(crate) fn of(context: &SpanContext) -> Option<Self> {
        let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
        context.is_valid().then_some(Self { trace, span, flags })
    }

    pub(crate) fn context(self) -> SpanContext {
        SpanContext::new(self.trace, self.span, self.flags, true, TraceState::NONE)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags & TraceFlags::SAMPLED)
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    /// Reads version 00, and of later ones what they share with it; ids of zeros stand for none.
    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let is_hex = |digits: &str| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('-');
        let mut part = |length: usize| {
            parts.next().filter(|part| part.len() == length && is_hex(part)).ok_or(TraceParentError)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version == "ff" || version == "00" && parts.next().is_some() {
            return Err(TraceParentError);
        }
        let read = Self {
            trace: TraceId::from_hex(trace).map_err(|_| TraceParentError)?,
            span: SpanId::from_hex(span).map_err(|_| TraceParentError)?,
            flags: TraceFlags::new(u8::from_str_radix(flags, 16).map_err(|_| TraceParentError)?),
        };
        let is_whole = read.trace != TraceId::INVALID && read.span != SpanId::INVALID;
        if is_whole { Ok(read) } else { Err(TraceParentError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_written_as_it_was_read() {
        assert_eq!(EXAMPLE.parse::<TraceParent>().unwrap().to_string(), EXAMPLE);
        let unsampled = EXAMPLE.replace("-01", "-00");
        assert_eq!(unsampled.parse::<TraceParent>().unwrap().to_string(), unsampled);
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let later = format!("01{}-more", &EXAMPLE[2..]);
        assert_eq!(later.parse::<TraceParent>().unwrap().to_string(), EXAMPLE);
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for wrong in [
            "",
            "00",
            &EXAMPLE[..54],
            &EXAMPLE.to_uppercase(),
            &format!("{EXAMPLE}-more"),
            &EXAMPLE.replace("00-4", "ff-4"),
            &EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &EXAMPLE.replace("-01", "-0g"),
            &EXAMPLE.replace("4bf9", "+bf9"),
        ] {
            assert!(wrong.parse::<TraceParent>().is_err(), "{wrong}");
        }
    }
}
