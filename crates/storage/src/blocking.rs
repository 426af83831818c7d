//! CPU-bound and file-bound work, off the async threads.

use crate::StorageError;

/// Runs `work` on a thread that may block; a panic in it goes on in the caller.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => Ok(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StorageError::Stopped),
        },
    }
}
