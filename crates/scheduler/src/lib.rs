#![doc = include_str!("../README.md")]

mod advance;
mod error;
mod maintenance;
mod scheduler;
mod trigger;

pub use error::SchedulerError;
pub use scheduler::{Scheduler, SchedulerSettings};
pub use trigger::{Trigger, start};
