//! Spans: what took how long, and because of what.

use std::sync::OnceLock;

use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer},
};
use opentelemetry_sdk::trace::SdkTracer;

use crate::TraceParent;

/// Where spans go, once traces have been started.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

pub(crate) fn set_tracer(tracer: SdkTracer) {
    // a second one is a mistake of a test's; the first goes on
    let _ = TRACER.set(tracer);
}

/// Whether spans go anywhere.
pub fn is_tracing() -> bool {
    TRACER.get().is_some()
}

/// What part in a trace a span plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It answers a request.
    Server,
    /// It starts work that others do later.
    Producer,
    /// It does such work.
    Consumer,
}

/// Something that takes time, until it is dropped. Without traces it is nothing, and costs nothing.
#[derive(Debug, Default)]
pub struct Span(Option<Box<opentelemetry_sdk::trace::Span>>);

impl Span {
    /// Begins below `parent`, or as the first of a trace.
    pub fn start(role: Role, name: impl FnOnce() -> String, parent: Option<TraceParent>) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let kind = match role {
            Role::Server => SpanKind::Server,
            Role::Producer => SpanKind::Producer,
            Role::Consumer => SpanKind::Consumer,
        };
        let above = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent.context()),
            None => Context::new(),
        };
        let span = tracer.span_builder(name()).with_kind(kind).start_with_context(tracer, &above);
        Self(Some(Box::new(span)))
    }

    /// Says more about it.
    pub fn set(&mut self, name: &'static str, value: impl ToString) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(name, value.to_string()));
        }
    }

    /// It did not come out well.
    pub fn fail(&mut self, error: &str) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(error.to_owned()));
        }
    }

    /// Its place, for what it causes elsewhere; nothing without traces.
    pub fn place(&self) -> Option<TraceParent> {
        TraceParent::of(self.0.as_ref()?.span_context())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_traces_a_span_is_nothing() {
        assert!(!is_tracing());
        let mut span = Span::start(Role::Server, || unreachable!("nobody asks for its name"), None);
        span.set("tale.run", 1);
        span.fail("no");
        assert_eq!(span.place(), None);
    }
}
