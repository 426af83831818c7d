//! One file per route.

mod cancel_run;
mod healthz;
mod list_runs;
mod metrics;
mod readyz;
mod show_run;
mod start_run;

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    middleware,
    routing::{get, post},
};
use tale_telemetry::Metrics;

use crate::{access::admit, api::Api, measure::measure, problem::Problem};

/// The API: what changes and shows runs needs a caller, what watches the process does not.
pub(crate) fn api(api: Api) -> Router {
    let runs = Router::new()
        .route("/v1/pipelines/{name}/runs", post(start_run::start_run))
        .route("/v1/runs", get(list_runs::list_runs))
        .route("/v1/runs/{id}", get(show_run::show_run))
        .route("/v1/runs/{id}/cancel", post(cancel_run::cancel_run))
        .layer(middleware::from_fn_with_state(api.clone(), admit));
    Router::new()
        .merge(runs)
        .route("/healthz", get(healthz::healthz))
        .route("/readyz", get(readyz::readyz))
        .route("/metrics", get(metrics::metrics))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(api.clone(), measure))
        .with_state(api)
}

/// What a process has to say that serves nothing else.
pub(crate) fn metrics_alone(metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(healthz::healthz))
        .route("/metrics", get(metrics::own_metrics))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(metrics)
}

async fn unknown(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown-route", format!("there is no {path} here"))
}

async fn wrong_method(method: Method) -> Problem {
    let detail =
        format!("{} is not what this route takes", method.as_str().chars().take(20).collect::<String>());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", detail)
}
