//! `GET /healthz`: whether the process answers at all. One that does not is to be restarted.

use axum::Json;
use serde_json::{Value, json};

pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
