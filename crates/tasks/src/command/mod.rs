//! Kinds that wait and that run programs.

mod exit_codes;
mod printed;
mod process_group;
mod shell;
mod sleep;

pub use shell::Shell;
pub use sleep::Sleep;
