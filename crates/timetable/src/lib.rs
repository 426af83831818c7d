#![doc = include_str!("../README.md")]

mod error;
mod timetable;
mod zone;

pub use error::TimetableError;
pub use timetable::{Fire, Timetable};
