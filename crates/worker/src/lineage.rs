//! What an attempt read and wrote, recorded with its acknowledgement.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use serde_json::Value;
use tale_queue::ClaimedTask;
use tale_storage::{NewProduction, ObjectRef, Traffic, record_production};

use crate::{Completion, TaskError, redaction::Redaction};

/// Arguments nest no deeper than this where objects are looked for.
const DEPTH_MAX: usize = 64;

/// Adds the record of its lineage to a completion; an attempt that touched no object adds nothing.
pub(crate) fn traced(
    completion: Completion<Value>,
    claimed: &ClaimedTask,
    traffic: &Traffic,
    redaction: &Redaction,
    took: Duration,
) -> Completion<Value> {
    if traffic.is_quiet() {
        return completion;
    }
    note_arguments(&claimed.arguments, traffic, DEPTH_MAX);
    let mut touches = traffic.touches();
    for touched in &mut touches.objects {
        touched.name = touched.name.take().map(|name| redaction.text(name));
    }
    let production = Arc::new(NewProduction {
        run: claimed.run,
        task: claimed.lease.task,
        attempt: claimed.lease.attempt,
        pipeline: claimed.pipeline.clone(),
        step: claimed.step_name.clone(),
        index: claimed.index,
        kind: claimed.kind.clone(),
        took_seconds: took.as_secs_f64(),
        touches,
    });
    completion.effect(move |connection| {
        let production = Arc::clone(&production);
        async move { record_production(connection, &production).await.map_err(TaskError::retry) }.boxed()
    })
}

/// Finds references to objects: `{digest, size_bytes}`, however deep.
fn note_arguments(value: &Value, traffic: &Traffic, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Object(fields) => {
            if fields.len() == 2
                && let Ok(object) = serde_json::from_value::<ObjectRef>(value.clone())
            {
                traffic.note_argument(&object);
            }
            fields.values().for_each(|value| note_arguments(value, traffic, depth));
        }
        Value::Array(items) => items.iter().for_each(|value| note_arguments(value, traffic, depth)),
        _ => {}
    }
}
