//! What the scheduler does as spans of the trace that a run belongs to.

use sqlx::PgConnection;
use tale_primitives::RunId;
use tale_queue::{ClaimedTask, QueueError, set_trace_parent, trace_parent};
use tale_telemetry::{Role, Span, TraceParent, is_tracing};

/// The span of a run's start, below what asked for it.
pub(crate) fn begin_start(pipeline: &str, run: RunId, above: Option<TraceParent>) -> Span {
    let mut span = Span::start(Role::Producer, || format!("start {pipeline}"), above);
    span.set("tale.run", run);
    span.set("tale.pipeline", pipeline);
    span
}

/// Keeps the place of a run's start, so that whatever works on the run is below it.
///
/// Without traces the run keeps the place of what asked for it, for workers that have them.
pub(crate) async fn keep_place(
    connection: &mut PgConnection,
    run: RunId,
    span: &Span,
    above: Option<TraceParent>,
) -> Result<(), QueueError> {
    match span.place().or(above) {
        Some(place) => set_trace_parent(connection, run, &place.to_string()).await,
        None => Ok(()),
    }
}

/// The span of one of the scheduler's own tasks; without traces nothing is read.
pub(crate) async fn begin_task(
    connection: &mut PgConnection,
    task: &ClaimedTask,
) -> Result<Span, QueueError> {
    if !is_tracing() {
        return Ok(Span::default());
    }
    let above = trace_parent(connection, task.run).await?.and_then(|text| text.parse().ok());
    let verb = if task.index < 0 { "expand" } else { "begin" };
    let mut span = Span::start(Role::Consumer, || format!("{verb} {}", task.step_name), above);
    span.set("tale.run", task.run);
    span.set("tale.pipeline", &task.pipeline);
    span.set("tale.step", &task.step_name);
    Ok(span)
}
