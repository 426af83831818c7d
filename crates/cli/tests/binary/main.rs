//! The `tale` binary as its users meet it: words, exit codes, files.

// Clippy takes only functions marked as tests for tests, not what they share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod claims;
mod control;
mod doctor;
mod help;
mod installation;
mod kinds;
mod patience;
mod pipelines;
mod schedules;
mod tale;
