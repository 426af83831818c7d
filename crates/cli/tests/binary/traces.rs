//! Traces of a real `tale up`, as a collector receives them.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Attribute,
    trace::v1::Span,
};
use prost::Message;
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    schedules::{Up, json},
    tale::Place,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

const OUTER: &str = "\
pipeline: outer
steps:
  first: { uses: shell, with: { argv: [sh, -c, 'echo $TRACEPARENT'] } }
  call: { uses: http, with: { url: CALLED } }
  below: { uses: pipeline, with: { pipeline: inner, params: { seen: '${steps.first.outputs.value}' } } }
";

const INNER: &str = "\
pipeline: inner
params: { seen: { type: string } }
steps:
  last: { uses: shell, with: { argv: [echo, '${params.seen}'] } }
";

/// A collector of OTLP over HTTP that keeps what it is sent, and the places of other requests.
struct Collector {
    url: String,
    received: Received,
    called: Called,
}

type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;
type Called = Arc<Mutex<Vec<String>>>;

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (received, called) = (Received::default(), Called::default());
        let kept = (received.clone(), called.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = kept.clone();
                let service = service_fn(move |request| collect(request, kept.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, received, called }
    }

    /// The spans of a trace by name.
    fn spans(&self, trace: &str) -> BTreeMap<String, Span> {
        let received = self.received.lock().unwrap();
        let scopes = received.iter().flat_map(|request| &request.resource_spans).flat_map(|r| &r.scope_spans);
        let spans = scopes.flat_map(|scope| &scope.spans).filter(|span| hex(&span.trace_id) == trace);
        spans.map(|span| (span.name.clone(), span.clone())).collect()
    }

    fn service(&self) -> String {
        let received = self.received.lock().unwrap();
        let resource = received[0].resource_spans[0].resource.as_ref().unwrap();
        let name = resource.attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
        format!("{:?}", name.value.as_ref().unwrap().value)
    }
}

async fn collect(
    request: Request<Incoming>,
    (received, called): (Received, Called),
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/called" {
        called.lock().unwrap().push(request.headers()["traceparent"].to_str().unwrap().to_owned());
        return Ok(Response::new(Full::default()));
    }
    assert_eq!(request.uri().path(), "/v1/traces");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    received.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
    Ok(Response::new(Full::default()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> String {
    let value = span.attributes.iter().find(|attribute| attribute.key == name).unwrap();
    match value.value.as_ref().unwrap().value.as_ref().unwrap() {
        Attribute::StringValue(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_over_http_is_one_trace_from_the_caller_to_the_attempts_of_its_sub_runs() {
    let collector = Collector::start().await;
    let place = Place::new();
    place.write("pipelines/outer.yaml", OUTER.replace("CALLED", &format!("{}/called", collector.url)));
    place.write("pipelines/inner.yaml", INNER);
    let mut command = place.command(&[
        "up",
        "--slots",
        "2",
        "--data-dir",
        "data",
        "--no-schedules",
        "--listen",
        "127.0.0.1:0",
    ]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .stderr(Stdio::piped());
    let (_up, said) = Up::start_process(&mut command, "taleworks is up");
    let from = said.find("http://").unwrap();
    let api = said[from..].split(',').next().unwrap();

    let request = Client::new()
        .post(format!("{api}/v1/pipelines/outer/runs"))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .send()
        .await
        .unwrap();
    assert_eq!(request.status(), 201);
    let started: Value = serde_json::from_str(&request.text().await.unwrap()).unwrap();
    let run = started["run"].as_str().unwrap();

    let began = Instant::now();
    let spans = loop {
        let spans = collector.spans(TRACE);
        if spans.contains_key("attempt last") && spans.contains_key("attempt call") {
            break spans;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "only {:#?}", spans.keys());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // from the caller through the request, the start and the sub-run's start to its attempt
    for (name, above) in [
        ("POST /v1/pipelines/{name}/runs", None),
        ("start outer", Some("POST /v1/pipelines/{name}/runs")),
        ("attempt first", Some("start outer")),
        ("attempt call", Some("start outer")),
        ("expand below", Some("start outer")),
        ("begin below", Some("start outer")),
        ("start inner", Some("begin below")),
        ("attempt last", Some("start inner")),
    ] {
        let span = spans.get(name).unwrap_or_else(|| panic!("no {name} in {:#?}", spans.keys()));
        let above = above.map_or(CALLER.to_owned(), |above| hex(&spans[above].span_id));
        assert_eq!(hex(&span.parent_span_id), above, "{name}");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    assert_eq!(attribute(&spans["attempt first"], "tale.run"), run);
    assert_eq!(attribute(&spans["attempt first"], "tale.kind"), "shell");
    assert!(collector.service().contains("taleworks"));

    // the server that was called, and the program, knew whose attempt it was
    let called = collector.called.lock().unwrap().clone();
    assert_eq!(called, [format!("00-{TRACE}-{}-01", hex(&spans["attempt call"].span_id))]);
    let shown = json(&place, &["show", run]);
    let first = &spans["attempt first"];
    let printed =
        shown["tasks"].as_array().unwrap().iter().find_map(|task| task["outputs"]["value"].as_str());
    assert_eq!(printed, Some(format!("00-{TRACE}-{}-01", hex(&first.span_id)).as_str()), "{shown:#}");
}

#[tokio::test]
async fn traces_that_cannot_be_sent_are_said_and_stop_nothing() {
    let place = Place::new();
    place.write("pipelines/inner.yaml", INNER);
    let run = |endpoint: &str| {
        let mut command = place.command(&[
            "run",
            "inner",
            "-p",
            "seen=it",
            "--wait",
            "--data-dir",
            "data",
            "--output",
            "json",
        ]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).output().unwrap()
    };
    let ended = run("http://127.0.0.1:9");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let ended = run("not an address");
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("OTEL_"), "{said}");
}
