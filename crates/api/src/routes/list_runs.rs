//! `GET /v1/runs`: runs, the newest first, a page at a time.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Serialize;
use tale_primitives::RunId;
use tale_queue::{RunFilter, RunSummary, list_runs as list};

use crate::{
    api::Api,
    problem::{FieldError, Problem},
};

/// How many runs a page has unless another number is asked for, and at most.
const PAGE: u32 = 50;
const PAGE_MAX: u32 = 500;

#[derive(Debug, Serialize)]
pub(crate) struct Page {
    runs: Vec<RunSummary>,
    /// What `before` must be for the next page; null where this is the last.
    next: Option<RunId>,
}

pub(crate) async fn list_runs(
    State(api): State<Api>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Page>, Problem> {
    let filter = read_query(query)?;
    let runs = list(&mut *api.connection().await?, &filter).await?;
    let is_full = runs.len() == filter.limit as usize;
    let next = runs.last().filter(|_| is_full).map(|run| run.id);
    Ok(Json(Page { runs, next }))
}

fn read_query(query: Vec<(String, String)>) -> Result<RunFilter, Problem> {
    let mut filter = RunFilter { limit: PAGE, ..RunFilter::default() };
    let mut errors = Vec::new();
    for (name, value) in query {
        let wrong = match name.as_str() {
            "pipeline" if value.contains('\0') => Some("holds the character U+0000"),
            "pipeline" => {
                filter.pipeline = Some(value);
                None
            }
            "state" => set(&mut filter.state, value.parse().ok())
                .then_some("is none of queued, running, succeeded, failed, cancelled"),
            "before" => set(&mut filter.before, value.parse().ok()).then_some("is not the id of a run"),
            "sub_runs" => {
                let read = value.parse().ok();
                filter.with_sub_runs = read.unwrap_or_default();
                read.is_none().then_some("is neither true nor false")
            }
            "limit" => {
                let read = value.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
                filter.limit = read.unwrap_or(PAGE);
                read.is_none().then_some("is not a number from 1 to 500")
            }
            _ => Some("is not one of pipeline, state, before, sub_runs, limit"),
        };
        errors.extend(wrong.map(|wrong| FieldError::new(name, wrong)));
    }
    if errors.is_empty() { Ok(filter) } else { Err(Problem::fields(errors)) }
}

/// Sets what could be read; says whether it could not.
fn set<T>(place: &mut Option<T>, read: Option<T>) -> bool {
    let is_wrong = read.is_none();
    *place = read;
    is_wrong
}
