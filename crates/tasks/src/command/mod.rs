//! Kinds that do nothing, that wait and that run programs.

mod noop;
mod shell;
mod sleep;

pub use noop::Noop;
pub use shell::Shell;
pub use sleep::Sleep;
