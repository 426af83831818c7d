//! What went wrong, as RFC 9457 has it: `application/problem+json`.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tale_pipeline::PipelineError;
use tale_queue::QueueError;
use tale_scheduler::SchedulerError;

/// An answer that is not what was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    /// What sort of problem it is: stable, for programs.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip)]
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// What is wrong with one field of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// Its path in the body, such as `params.rounds`, or the name of a header or of a part of the query.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:taleworks:{code}"),
            title: status.canonical_reason().unwrap_or("Problem"),
            status,
            detail: detail.into(),
            errors: vec![],
            header: None,
        }
    }

    /// A request that can be read and is wrong.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let texts = errors.iter().map(|error| format!("{} {}", error.field, error.message));
        let detail = texts.collect::<Vec<_>>().join("; ");
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request", detail) }
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// Something that may well be over at the next try.
    pub fn later(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// What the caller can do nothing about: the log has it, the answer does not.
    fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes = format!("{causes}: {error}");
            cause = error.source();
        }
        tracing::error!(error = causes, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server's log says what went wrong")
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let header = self.header.take();
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(header) = header {
            headers.insert(header.0, header.1);
        }
        response
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        QueueError::from(error).into()
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        match &error {
            QueueError::UnknownPipeline(_) => {
                Self::new(StatusCode::NOT_FOUND, "unknown-pipeline", error.to_string())
            }
            QueueError::UnknownRun(_) => Self::new(StatusCode::NOT_FOUND, "unknown-run", error.to_string()),
            _ if error.is_transient() || is_too_slow(&error) => {
                tracing::warn!(%error, "a request found the database busy or away");
                Self::later("the database does not answer; try again")
            }
            _ => Self::internal(&error),
        }
    }
}

/// Whether the database gave up a statement that took too long, as it does behind somebody's lock.
fn is_too_slow(error: &QueueError) -> bool {
    const QUERY_CANCELED: &str = "57014";
    matches!(error, QueueError::Database(sqlx::Error::Database(error)) if error.code().as_deref() == Some(QUERY_CANCELED))
}

impl From<SchedulerError> for Problem {
    fn from(error: SchedulerError) -> Self {
        match error {
            SchedulerError::Queue(error) => error.into(),
            SchedulerError::Pipeline(PipelineError::Params { problems }) => {
                let errors = problems.into_iter().map(|problem| FieldError {
                    field: format!("params.{}", problem.name),
                    message: problem.message,
                    // the command line's advice is of no use here
                    help: problem.help.filter(|help| !help.contains("-p ")),
                });
                Self::fields(errors.collect())
            }
            SchedulerError::Pipeline(
                error @ (PipelineError::Expression { .. } | PipelineError::Value { .. }),
            ) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "cannot-plan", error.to_string()),
            error => Self::internal(&error),
        }
    }
}
