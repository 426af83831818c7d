//! Counts and times of requests, and the longest that one may take.

use std::time::{Duration, Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tale_telemetry::{Counter, Latency, Metrics};

use crate::{api::Api, problem::Problem};

/// How long a request may take, its body included.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// What is measured of requests.
#[derive(Debug)]
pub(crate) struct Exchanges {
    count: Counter,
    latency: Latency,
}

impl Exchanges {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            count: metrics.counter(
                "tale_http_requests_total",
                "Requests answered, by route, method and status.",
                &["route", "method", "status"],
            ),
            latency: metrics.latency(
                "tale_http_request_seconds",
                "How long requests took, by route.",
                &["route"],
            ),
        }
    }
}

/// Answers within a limited time, and measures it.
pub(crate) async fn measure(State(api): State<Api>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let method = known(request.method());
    let answered = tokio::time::timeout(ANSWERED_WITHIN, next.run(request)).await;
    let response =
        answered.unwrap_or_else(|_| Problem::later("the request took longer than 30 s").into_response());
    let exchanges = api.exchanges();
    exchanges.count.add(&[route, method, response.status().as_str()], 1);
    exchanges.latency.record(&[route], started.elapsed());
    response
}

/// The method as a label: anybody may make others up.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
