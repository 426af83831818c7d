//! Bodies of requests: JSON objects of a limited size, within a limited time.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use futures::StreamExt;
use serde_json::{Map, Value};

use crate::problem::{FieldError, Problem};

/// The largest body that is read.
pub(crate) const BYTES_MAX: usize = 1 << 20;
/// How much more is taken in before the answer says that it is too much: a client that is still sending may otherwise
/// find its connection broken and never read the answer.
const BYTES_HEARD_MAX: usize = 16 << 20;
/// How long a body may take to arrive.
const ARRIVED_WITHIN: Duration = Duration::from_secs(15);

/// The fields of a body, which are taken out one by one; what is left is unknown.
#[derive(Debug)]
pub(crate) struct Fields {
    fields: Map<String, Value>,
    known: BTreeSet<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads the body of a request; an empty one has no fields.
    pub async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let bytes = tokio::time::timeout(ARRIVED_WITHIN, read(headers, body)).await.map_err(|_| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-body", "the body took longer than 15 s to arrive")
        })??;
        let fields = if bytes.is_empty() { Map::new() } else { parse(headers, &bytes)? };
        let mut errors = Vec::new();
        for (name, value) in &fields {
            refuse_zeros(name, value, &mut errors);
        }
        if !errors.is_empty() {
            return Err(Problem::fields(errors));
        }
        Ok(Self { fields, known: BTreeSet::new(), errors: vec![] })
    }

    /// Takes a field out; null is as good as none.
    pub fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, &'static str>,
    ) -> Option<T> {
        self.known.insert(name);
        match read(self.fields.remove(name).filter(|value| !value.is_null())?) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.errors.push(FieldError::new(name, expected));
                None
            }
        }
    }

    /// What is wrong with the fields, once all that are known have been taken out.
    pub fn end(mut self) -> Result<(), Problem> {
        let known: Vec<&str> = self.known.into_iter().collect();
        let unknown = self.fields.into_iter().map(|(name, _)| {
            FieldError::new(name, "is not a field").help(format!("the fields are: {}", known.join(", ")))
        });
        self.errors.extend(unknown);
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::fields(self.errors)) }
    }
}

/// A text of at most so many characters.
pub(crate) fn text(value: Value, length_max: usize, otherwise: &'static str) -> Result<String, &'static str> {
    match value {
        Value::String(text) if text.chars().count() <= length_max => Ok(text),
        _ => Err(otherwise),
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "the body has more than 1 MiB (1048576 bytes)",
        )
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length: usize = length.unwrap_or_default();
    // a client that asks before it sends has not sent anything yet
    if length > BYTES_HEARD_MAX || length > BYTES_MAX && headers.contains_key(header::EXPECT) {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(length.min(BYTES_MAX));
    let mut heard = 0;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "broken-body", "the body broke off before its end")
        })?;
        heard += piece.len();
        if heard > BYTES_HEARD_MAX {
            break;
        }
        if heard <= BYTES_MAX {
            bytes.extend_from_slice(&piece);
        }
    }
    if heard > BYTES_MAX { Err(too_large()) } else { Ok(bytes) }
}

fn parse(headers: &HeaderMap, bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-json",
            "the body must have `Content-Type: application/json`",
        ));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "not-json", "the body is not a JSON object")),
        Err(error) => {
            let detail = format!("the body is not JSON: {error}");
            Err(Problem::new(StatusCode::BAD_REQUEST, "not-json", detail))
        }
    }
}

/// PostgreSQL holds every character but one.
fn refuse_zeros(path: &str, value: &Value, errors: &mut Vec<FieldError>) {
    let mut refuse = |text: &str| {
        if text.contains('\0') && errors.is_empty() {
            errors.push(FieldError::new(path.replace('\0', "\\u0000"), "holds the character U+0000"));
        }
    };
    refuse(path);
    match value {
        Value::String(text) => refuse(text),
        Value::Array(items) => items.iter().for_each(|item| refuse_zeros(path, item, errors)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| refuse_zeros(&format!("{path}.{name}"), value, errors));
        }
        _ => {}
    }
}
