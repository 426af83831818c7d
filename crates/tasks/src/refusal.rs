//! Which errors are worth another attempt.

use tale_learning::LearningError;
use tale_storage::StorageError;
use tale_treasury::TreasuryError;
use tale_worker::TaskError;

/// What is wrong with the request stays wrong; a store or a database may answer the next time.
pub(crate) fn storage(error: StorageError) -> TaskError {
    match error {
        StorageError::StoreRequest { .. }
        | StorageError::MissingObject { .. }
        | StorageError::LocalFile { .. }
        | StorageError::Database(_) => TaskError::retry(error),
        _ => TaskError::fail(error),
    }
}

/// A rule that refuses refuses again; the database may answer the next time.
pub(crate) fn treasury(error: TreasuryError) -> TaskError {
    if error.is_transient() { TaskError::retry(error) } else { TaskError::fail(error) }
}

/// The same bytes fail in the same way, except where the attempt was stopped.
pub(crate) fn learning(error: LearningError) -> TaskError {
    match error {
        LearningError::Cancelled { .. } => TaskError::Stopped,
        LearningError::Device(_) | LearningError::Thread(_) => TaskError::retry(error),
        _ => TaskError::fail(error),
    }
}
