#![doc = include_str!("../README.md")]

pub mod abi;
mod artefact;
mod claims;
mod deployment;
mod distributor;
mod driver;
mod endpoint;
mod error;
mod key;
mod publication;
mod publish;
mod standing;
mod submission;
mod transaction;
mod verification;
mod words;

pub use artefact::{CompiledContract, compiled_contract};
pub use claims::{ReadClaims, read_claims};
pub use deployment::{ACTIVATION_DELAY_MAX, Deployment};
pub use distributor::DistributorContract;
pub use driver::PublishOptions;
pub use endpoint::{Endpoint, Transport, TransportError};
pub use error::ChainError;
pub use key::Key;
pub use publication::{Publication, registered_distributor};
pub use publish::{Published, publish};
pub use standing::Standing;
pub use submission::{Action, FinalSubmission};
pub use verification::{ChainVerdict, RootState, verify_on_chain};
