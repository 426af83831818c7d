//! Kinds that do nothing, that wait and that run programs.

mod exit_codes;
mod noop;
mod printed;
mod process_group;
mod shell;
mod sleep;

pub use noop::Noop;
pub use shell::Shell;
pub use sleep::Sleep;
