//! The key under which others recognise a task that is tried again.

use tale_primitives::Digest;
use tale_worker::TaskContext;

/// A text of 64 hexadecimal digits that every attempt of one task shares and no other task has.
///
/// It is a digest, so that it tells others nothing about the run.
pub(crate) fn key(context: &TaskContext) -> String {
    let task = format!("taleworks/{}/{}/{}", context.run, context.step, context.index);
    Digest::of(task.as_bytes()).to_string()
}
