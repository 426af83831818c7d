//! The body of an answer: never more of it than was asked for.

use reqwest::{Response, header};
use serde_json::Value;
use tale_storage::NewArtifact;
use tale_worker::{TaskContext, TaskError};
use tokio::{fs::File, io::AsyncWriteExt};

use crate::refusal;

/// Characters of an unexpected answer that go into the error.
const EXCERPT_CHARACTERS_MAX: usize = 300;
/// Bytes of an unexpected answer that are read.
const EXCERPT_BYTES_MAX: usize = 4096;

/// The body as an output: JSON where its type says so, a text otherwise, null where there is none.
pub(super) async fn read(mut response: Response, bytes_max: u64) -> Result<Value, TaskError> {
    let is_json =
        media_type(&response).is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"));
    let mut bytes = Vec::new();
    while let Some(piece) = next(&mut response).await? {
        if (bytes.len() + piece.len()) as u64 > bytes_max {
            return Err(too_long(bytes_max, "raise response_bytes_max, or make it an artifact with save_as"));
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if is_json {
        return serde_json::from_slice(&bytes)
            .map_err(|error| TaskError::fail(format!("the answer calls itself JSON and is none: {error}")));
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(TaskError::fail(
            "the answer's text holds a zero byte, which no output can: make it an artifact with save_as",
        )),
        Ok(text) => Ok(Value::String(text)),
        Err(_) => {
            Err(TaskError::fail("the answer is neither JSON nor text: make it an artifact with save_as"))
        }
    }
}

/// The body as an artifact, through a temporary file, so that its size does not matter to the memory.
pub(super) async fn save(
    context: &TaskContext,
    mut response: Response,
    name: &str,
    bytes_max: u64,
) -> Result<NewArtifact, TaskError> {
    let media_type = media_type(&response).filter(|kind| kind.contains('/'));
    let media_type = media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    let directory = tempfile::tempdir().map_err(TaskError::retry)?;
    let path = directory.path().join("body");
    let mut file = File::create_new(&path).await.map_err(TaskError::retry)?;
    let mut size_bytes = 0;
    while let Some(piece) = next(&mut response).await? {
        size_bytes += piece.len() as u64;
        if size_bytes > bytes_max {
            return Err(too_long(bytes_max, "raise response_bytes_max"));
        }
        file.write_all(&piece).await.map_err(TaskError::retry)?;
    }
    file.flush().await.map_err(TaskError::retry)?;
    let object = context.store.put_file(&path).await.map_err(refusal::storage)?;
    Ok(NewArtifact { name: name.to_owned(), media_type, object })
}

/// The beginning of an unexpected answer, for the error; nothing where there is none to show.
pub(super) async fn excerpt(context: &TaskContext, mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < EXCERPT_BYTES_MAX
        && let Ok(Some(piece)) = response.chunk().await
    {
        bytes.extend_from_slice(&piece);
    }
    // cut after it is redacted: half a secret is not recognised any more
    let text: String = context
        .redacted(String::from_utf8_lossy(&bytes))
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(EXCERPT_CHARACTERS_MAX)
        .collect();
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}

async fn next(response: &mut Response) -> Result<Option<bytes::Bytes>, TaskError> {
    // an answer that breaks off may be whole the next time
    response.chunk().await.map_err(|error| TaskError::retry(error.without_url()))
}

fn too_long(bytes_max: u64, remedy: &str) -> TaskError {
    TaskError::fail(format!("the answer has more than {bytes_max} bytes: {remedy}"))
}

fn media_type(response: &Response) -> Option<String> {
    let written = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
