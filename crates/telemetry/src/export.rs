//! Sending spans to a collector: OTLP over HTTP, as the environment asks for it.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::runtime::Handle;

use crate::span::set_tracer;

/// The variables that turn traces on; the second is for traces alone.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// What the service is called unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "taleworks";
/// How long a collector may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// How long the end of the process waits for the last spans to be sent.
const SENT_WITHIN: Duration = Duration::from_secs(3);

/// Spans on their way, until [`Traces::finish`].
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The environment asks for something that cannot be done.
    #[error("the variables OTEL_… ask for what cannot be done")]
    Exporter(#[source] ExporterBuildError),
    /// The HTTP client cannot be made.
    #[error("spans cannot be sent")]
    Client(#[source] reqwest::Error),
}

/// Sends spans from now on where the environment names a collector; otherwise does nothing.
///
/// `OTEL_EXPORTER_OTLP_ENDPOINT` is its address, such as `http://localhost:4318`. The other variables of the specification
/// count too: headers, the sampler, the batches, `OTEL_SERVICE_NAME`, `OTEL_SDK_DISABLED`.
pub fn start_traces(runtime: &Handle) -> Result<Option<Traces>, TraceError> {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_off = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    if is_off || !ENDPOINTS.iter().any(is_set) {
        return Ok(None);
    }
    let client = reqwest::Client::builder().timeout(ANSWERED_WITHIN).build().map_err(TraceError::Client)?;
    let client = Client { client, runtime: runtime.clone() };
    let exporter =
        SpanExporter::builder().with_http().with_http_client(client).build().map_err(TraceError::Exporter)?;
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
    set_tracer(provider.tracer("taleworks"));
    Ok(Some(Traces(provider)))
}

fn resource() -> Resource {
    let resource = Resource::builder();
    // the variable has been read by now, and what is set here would overrule it
    let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource,
        None => resource.with_service_name(SERVICE),
    };
    resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build()
}

impl Traces {
    /// Sends what is left; blocks, and must not be called on a thread of the runtime.
    pub fn finish(self) {
        if let Err(error) = self.0.shutdown_with_timeout(SENT_WITHIN) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// The product's HTTP client, as the exporter's own thread uses it.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let answer = client.execute(request.try_into()?).await?;
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = answer.bytes().await?;
            Ok::<_, reqwest::Error>(response)
        });
        Ok(sent.await??)
    }
}
