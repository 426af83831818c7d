//! Typed ids, amounts, days, seeds, digests and references to secrets: the words that every other crate shares.
//!
//! Nothing here does I/O, reads a clock or knows a database.

mod address;
mod allocation;
mod amount;
mod day;
mod digest;
mod ids;
mod name;
mod secret;
mod seed;

pub use address::{Address, AddressError};
pub use allocation::{Allocation, AllocationOverflow, allocate};
pub use amount::{Amount, AmountError};
pub use day::{DayError, UtcDay};
pub use digest::{Digest, DigestError};
pub use ids::{AttemptId, GeneratorId, RunId, TaskId, WorkerId};
pub use name::{Name, NameError};
pub use secret::{SecretName, SecretNameError, SecretPart};
pub use seed::Seed;
