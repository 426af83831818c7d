//! Kinds of Proof of Validation.

mod approve;
mod decide;
mod validate;

pub use approve::Approve;
pub use decide::Decide;
pub use validate::Validate;
