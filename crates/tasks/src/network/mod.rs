//! Kinds about generators.

mod enroll;

pub use enroll::Enroll;
