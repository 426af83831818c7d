//! `http`: sends a request.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tale_storage::ObjectRef;
use tale_worker::{Caching, Completion, ErrorClass, Kind, TaskContext, TaskError};

use super::{
    body,
    exchange::{Exchange, place},
    retry_after::retry_after,
};
use crate::idempotency;

/// Sends a request and hands on the answer.
///
/// A request may be sent more than once, as any task may run more than once; so those that change something carry an
/// `Idempotency-Key` that all attempts of the task share, by which the server recognises a repetition. The worker's
/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are heeded. Where attempts are traced, the request has a `traceparent`.
pub struct Http;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// What to do; `GET` unless given.
    #[serde(default)]
    pub(super) method: Method,
    /// `http://…` or `https://…`, without credentials: those go into `headers` or `basic_auth`.
    pub(super) url: String,
    /// Added to the URL, encoded.
    #[serde(default)]
    pub(super) query: BTreeMap<String, String>,
    /// Headers of the request.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// A user and a password, as RFC 7617 sends them.
    pub(super) basic_auth: Option<BasicAuth>,
    /// The body as JSON.
    pub(super) json: Option<Value>,
    /// The body as text.
    pub(super) text: Option<String>,
    /// Statuses that are a success; all from 200 to 299 unless given.
    expect: Option<Vec<u16>>,
    /// Statuses worth another attempt, which waits as long as the answer's `Retry-After` says; every other status that
    /// is not expected fails the task for good.
    #[serde(default = "usual_retry")]
    retry: Vec<u16>,
    /// How long the whole exchange may take, in seconds.
    #[serde(default = "usual_timeout_seconds")]
    #[schemars(range(min = 0.001, max = 86_400.0))]
    timeout_seconds: f64,
    /// How many redirects are followed. To another server one is followed only where the request carries neither
    /// headers nor a body of its own.
    #[serde(default = "usual_redirects_max")]
    #[schemars(range(max = 20))]
    pub(super) redirects_max: u8,
    /// The header that carries the idempotency key of a POST, PUT, PATCH or DELETE.
    #[serde(default = "usual_idempotency_header")]
    pub(super) idempotency_header: String,
    /// Headers of the answer that are handed on.
    #[serde(default = "usual_keep_headers")]
    keep_headers: Vec<String>,
    /// The most bytes of the answer's body: 1 MiB unless given, and at most 16 MiB; with `save_as` 10 GiB unless given.
    response_bytes_max: Option<u64>,
    /// Makes the body an artifact of this name instead of an output.
    #[schemars(length(min = 1, max = 200))]
    save_as: Option<String>,
}

/// What to do with the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Method {
    #[default]
    Get,
    Head,
    Options,
    Post,
    Put,
    Patch,
    Delete,
}

/// A user and a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicAuth {
    /// The user.
    pub user: String,
    /// The password, which should be a secret.
    pub password: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The answer's status.
    status: u16,
    /// Those headers of the answer that `keep_headers` names, in lower case.
    headers: BTreeMap<String, String>,
    /// The body: read as JSON where its type says so, else a text; null where it is empty or an artifact.
    body: Value,
    /// The artifact's object, with `save_as`.
    object: Option<ObjectRef>,
}

/// The largest body that becomes an output, which is a row of the database.
const OUTPUT_BYTES_MAX: u64 = 16 << 20;

fn usual_retry() -> Vec<u16> {
    vec![408, 425, 429, 500, 502, 503, 504]
}

fn usual_timeout_seconds() -> f64 {
    30.0
}

fn usual_redirects_max() -> u8 {
    5
}

fn usual_idempotency_header() -> String {
    "Idempotency-Key".to_owned()
}

fn usual_keep_headers() -> Vec<String> {
    ["content-type", "etag", "last-modified", "location"].map(str::to_owned).into()
}

impl Kind for Http {
    const NAME: &'static str = "http";
    const SUMMARY: &'static str = "Sends an HTTP request; attempts share an idempotency key.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    fn uncacheable(arguments: &Value) -> Option<String> {
        let method = arguments.get("method").and_then(Value::as_str).unwrap_or("GET");
        let only_reads = matches!(method, "GET" | "HEAD" | "OPTIONS");
        (!only_reads).then(|| format!("a {method} request may change something"))
    }

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let timeout = Duration::try_from_secs_f64(arguments.timeout_seconds)
            .map_err(|_| TaskError::fail("timeout_seconds is no length of time"))?;
        let exchange = exchange(&context, &arguments);
        tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| {
            let message = format!(
                "{} {} took longer than its timeout_seconds of {}",
                arguments.method.name(),
                place(&arguments.url),
                arguments.timeout_seconds
            );
            Err(TaskError::retry(message).of_class(ErrorClass::TIMEOUT))
        })
    }
}

async fn exchange(context: &TaskContext, arguments: &Arguments) -> Result<Completion<Outputs>, TaskError> {
    let started = Instant::now();
    let exchange =
        Exchange { arguments, key: idempotency::key(context), trace_parent: context.trace_parent() };
    let response = exchange.send().await?;
    let status = response.status();
    let request = format!("{} {}", arguments.method.name(), place(&arguments.url));
    context.log(format!("{request}: {status} after {} ms", started.elapsed().as_millis()));
    if !arguments.expects(status) {
        let after = retry_after(response.headers(), std::time::SystemTime::now());
        let says = body::excerpt(context, response).await;
        let message = format!("{request} answered {status}{says}");
        let error = match arguments.retry.contains(&status.as_u16()) {
            true => TaskError::Retry { message, after },
            false => TaskError::fail(message),
        };
        return Err(error.of_class(match status {
            StatusCode::TOO_MANY_REQUESTS => ErrorClass::THROTTLED,
            status => ErrorClass::new(&format!("http-{}", status.as_u16())),
        }));
    }
    let headers = arguments.keep_headers.iter().filter_map(|name| {
        let name = name.to_ascii_lowercase();
        let value = response.headers().get(&name)?.to_str().ok()?.to_owned();
        Some((name, value))
    });
    let outputs =
        Outputs { status: status.as_u16(), headers: headers.collect(), body: Value::Null, object: None };
    match &arguments.save_as {
        Some(name) => {
            let limit = arguments.response_bytes_max.unwrap_or(10 << 30);
            let artifact = body::save(context, response, name, limit).await?;
            let outputs = Outputs { object: Some(artifact.object), ..outputs };
            Ok(Completion::of(outputs).artifact(artifact))
        }
        None => {
            let limit = arguments.response_bytes_max.unwrap_or(1 << 20).min(OUTPUT_BYTES_MAX);
            Ok(Completion::of(Outputs { body: body::read(response, limit).await?, ..outputs }))
        }
    }
}

impl Arguments {
    fn expects(&self, status: StatusCode) -> bool {
        match &self.expect {
            Some(statuses) => statuses.contains(&status.as_u16()),
            None => status.is_success(),
        }
    }
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the request may change something on the server (RFC 9110, 9.2.1).
    pub(super) fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }
}
