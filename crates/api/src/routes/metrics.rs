//! `GET /metrics`: what the process measures of itself, and what the queue holds, for Prometheus.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use tale_telemetry::Metrics;

use crate::api::Api;

pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    let mut text = api.board().text(api.database()).await;
    text.push_str(&api.metrics().render());
    answer(text)
}

/// The same without the queue, which the schedulers' processes tell of.
pub(crate) async fn own_metrics(State(metrics): State<Metrics>) -> Response {
    answer(metrics.render())
}

fn answer(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
