//! One thread per computation.

use crate::LearningError;

/// Runs `work` in a pool of one thread.
///
/// Matrix kernels split their sums by the threads that they find. A machine's workers run many
/// trainings beside each other, so one thread each costs nothing and makes results independent of their number.
pub fn on_one_thread<T: Send>(
    work: impl FnOnce() -> Result<T, LearningError> + Send,
) -> Result<T, LearningError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(LearningError::Thread)?;
    pool.install(work)
}
