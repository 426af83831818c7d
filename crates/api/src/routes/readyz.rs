//! `GET /readyz`: whether the process can do its work. One that cannot is left alone until it can.

use std::time::Duration;

use axum::{Json, extract::State};
use serde_json::{Value, json};
use sqlx::Connection;

use crate::{api::Api, problem::Problem};

/// How long the database may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

pub(crate) async fn readyz(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let asked = async { Ok::<(), Problem>(api.connection().await?.ping().await?) };
    match tokio::time::timeout(ANSWERED_WITHIN, asked).await {
        Ok(Ok(())) => Ok(Json(json!({ "status": "ready" }))),
        _ => Err(Problem::later("the database does not answer")),
    }
}
