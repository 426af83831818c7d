//! `GET /v1/runs/{id}`: a run, its steps and its first errors.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use tale_primitives::RunId;
use tale_queue::{RunOverview, run_overview};

use crate::{api::Api, problem::Problem};

pub(crate) async fn show_run(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<RunOverview>, Problem> {
    let run = read_id(&id)?;
    Ok(Json(run_overview(&mut *api.connection().await?, run).await?))
}

/// The run that a path names.
pub(super) fn read_id(text: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|_| {
        let text: String = text.chars().take(100).collect();
        Problem::new(StatusCode::NOT_FOUND, "unknown-run", format!("{text:?} is not the id of a run"))
    })
}
