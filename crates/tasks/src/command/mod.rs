//! Kinds that wait and that run programs.

mod shell;
mod sleep;

pub use shell::Shell;
pub use sleep::Sleep;
