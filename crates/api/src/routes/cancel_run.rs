//! `POST /v1/runs/{id}/cancel`: stops a run and its sub-runs.

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use serde::Serialize;
use serde_json::json;
use sqlx::Connection;
use tale_primitives::RunId;
use tale_queue::{RunState, record, request_cancellation, run_state, sweep_cancelled};

use super::{show_run::read_id, start_run::REASON};
use crate::{
    access::Caller,
    api::Api,
    body::{Fields, text},
    problem::Problem,
};

#[derive(Debug, Serialize)]
pub(crate) struct Cancelled {
    run: RunId,
    /// The state so far: what runs is stopped within two seconds.
    state: RunState,
}

pub(crate) async fn cancel_run(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Cancelled>), Problem> {
    let run = read_id(&id)?;
    let mut fields = Fields::read(&headers, body).await?;
    let reason = fields.take("reason", |value| text(value, REASON.0, REASON.1));
    fields.end()?;
    let mut connection = api.connection().await?;
    let (state, _) = run_state(&mut connection, run).await?;
    let mut transaction = connection.begin().await?;
    let is_new = request_cancellation(&mut transaction, run).await?;
    if is_new {
        let details = json!({ "reason": reason, "via": "http" });
        record(&mut transaction, &caller.to_string(), "run.cancel", &run.to_string(), &details).await?;
    } else if state.has_ended() && state != RunState::Cancelled {
        let detail = format!("run {run} has {state} already");
        return Err(Problem::new(StatusCode::CONFLICT, "has-ended", detail));
    }
    transaction.commit().await?;
    // a scheduler would do it too; so it is done at once
    sweep_cancelled(&mut connection).await?;
    api.wake().tell();
    let (state, _) = run_state(&mut connection, run).await?;
    let status = if is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(Cancelled { run, state })))
}
