//! `POST /v1/pipelines/{name}/runs`: starts a run, once per key.

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use chrono::Utc;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sqlx::{Connection, PgConnection};
use tale_primitives::{RunId, UtcDay};
use tale_queue::{Priority, RunState, record, run_context, run_state};
use tale_scheduler::{Trigger, start_traced};
use tale_telemetry::{Role, Span, TraceParent};

use crate::{
    access::Caller,
    api::Api,
    body::{Fields, text},
    problem::{FieldError, Problem},
};

/// The most characters of a reason, and what is said of one that has more.
pub(super) const REASON: (usize, &str) = (1000, "is not a text of at most 1000 characters");

/// The route, as its span is called.
const ROUTE: &str = "/v1/pipelines/{name}/runs";

const KEY: &str = "idempotency-key";
/// The most characters of an idempotency key.
const KEY_LENGTH_MAX: usize = 200;

#[derive(Debug, Serialize)]
struct Started {
    run: RunId,
    pipeline: String,
    state: RunState,
    /// Whether this request started it; otherwise one with the same key did.
    is_new: bool,
}

pub(crate) async fn start_run(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(pipeline): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let above = read_trace_parent(&headers);
    let mut span = Span::start(Role::Server, || format!("POST {ROUTE}"), above);
    span.set("http.request.method", "POST");
    span.set("http.route", ROUTE);
    let key = read_key(&headers)?;
    let mut trigger = read_trigger(&headers, body).await?;
    trigger.pipeline = pipeline;
    trigger.dedup_key = key;
    trigger.started_by = format!("http by {caller}");
    let given = trigger.params.clone();
    let details = json!({
        "pipeline": trigger.pipeline, "reason": trigger.reason, "idempotency_key": trigger.dedup_key, "via": "http",
    });

    let pipeline = trigger.pipeline.clone();
    let mut connection = api.connection().await?;
    let mut transaction = connection.begin().await?;
    let started = start_traced(&mut transaction, trigger, span.place().or(above)).await?;
    span.set("tale.run", started.run);
    if started.is_new {
        let subject = started.run.to_string();
        record(&mut transaction, &caller.to_string(), "run.start", &subject, &details).await?;
    }
    transaction.commit().await?;
    if started.is_new {
        api.wake().tell();
    } else {
        refuse_another_request(&mut connection, started.run, &given).await?;
    }
    let (state, _) = run_state(&mut connection, started.run).await?;
    let status = if started.is_new { StatusCode::CREATED } else { StatusCode::OK };
    span.set("http.response.status_code", status.as_u16());
    let location = AppendHeaders([(header::LOCATION, format!("/v1/runs/{}", started.run))]);
    let started = Started { run: started.run, pipeline, state, is_new: started.is_new };
    Ok((status, location, Json(started)))
}

/// What the body asks for; the rest is the caller's to fill in.
async fn read_trigger(headers: &HeaderMap, body: Body) -> Result<Trigger, Problem> {
    let mut fields = Fields::read(headers, body).await?;
    let params = fields.take("params", |value| match value {
        Value::Object(params) => Ok(params),
        _ => Err("is not an object"),
    });
    let priority = fields.take("priority", |value| {
        let read = value.as_str().and_then(|text| text.parse::<Priority>().ok());
        read.ok_or("is none of urgent, normal, background")
    });
    let date = fields.take("date", |value| {
        let read = value.as_str().and_then(|text| text.parse::<UtcDay>().ok());
        read.ok_or("is not a day: expected YYYY-MM-DD")
    });
    let reason = fields.take("reason", |value| text(value, REASON.0, REASON.1));
    let uses_cache = fields.take("cache", |value| value.as_bool().ok_or("is neither true nor false"));
    fields.end()?;
    Ok(Trigger {
        pipeline: String::new(),
        params: params.unwrap_or_default(),
        dedup_key: None,
        logical_date: date.unwrap_or_else(|| UtcDay::of(Utc::now())),
        fire_time: None,
        priority: priority.unwrap_or_default(),
        started_by: String::new(),
        reason,
        uses_cache: uses_cache.unwrap_or(true),
    })
}

/// The request's idempotency key, where it has one.
fn read_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all(HeaderName::from_static(KEY)).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let is_plain = |text: &&str| {
        (1..=KEY_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    match key.to_str().ok().map(str::trim).filter(is_plain) {
        Some(key) if keys.next().is_none() => Ok(Some(key.to_owned())),
        _ => {
            let expected = "is not one text of 1 to 200 printable ASCII characters";
            Err(Problem::fields(vec![FieldError::new("Idempotency-Key", expected)]))
        }
    }
}

/// The span of the caller's that the run shall be below; what is none is passed over, as W3C's Trace Context asks.
fn read_trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

/// A key stands for one request: the same key with other params is a mistake that nobody should overlook.
async fn refuse_another_request(
    connection: &mut PgConnection,
    run: RunId,
    given: &Map<String, Value>,
) -> Result<(), Problem> {
    let known = run_context(connection, run).await?;
    let differs = |(name, value): &(&String, &Value)| {
        !known.params.get(name.as_str()).is_some_and(|known| is_same(known, value))
    };
    let errors: Vec<FieldError> = given
        .iter()
        .filter(differs)
        .map(|(name, _)| {
            let message =
                format!("differs from that of run {run}, which was started with this Idempotency-Key");
            FieldError::new(format!("params.{name}"), message)
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(errors)) }
}

/// Whether two values are the same but for the writing of numbers: 3 and 3.0 are one, and stored as the first.
fn is_same(known: &Value, given: &Value) -> bool {
    match (known, given) {
        (Value::Number(known), Value::Number(given)) => known == given || known.as_f64() == given.as_f64(),
        (Value::Array(known), Value::Array(given)) => {
            known.len() == given.len() && known.iter().zip(given).all(|(known, given)| is_same(known, given))
        }
        (Value::Object(known), Value::Object(given)) => {
            let is_there = |(name, value)| known.get(name).is_some_and(|known| is_same(known, value));
            known.len() == given.len() && given.iter().all(is_there)
        }
        _ => known == given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_however_their_numbers_and_keys_are_written() {
        for (known, given, expected) in [
            ("3", "3.0", true),
            ("3", "4", false),
            (r#"{"a": [1, {"b": 2}], "c": "x"}"#, r#"{"c": "x", "a": [1.0, {"b": 2e0}]}"#, true),
            (r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#, false),
            ("[1, 2]", "[2, 1]", false),
            ("\"3\"", "3", false),
            ("9007199254740993", "9007199254740993", true),
        ] {
            let read = |text| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(is_same(&read(known), &read(given)), expected, "{known} {given}");
        }
    }
}
