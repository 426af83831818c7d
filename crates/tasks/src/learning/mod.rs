//! Kinds of federated learning.

mod aggregate;
mod evaluate;
mod initialise;
mod partition;
mod publish;
mod report;
mod select;
mod train;

pub use aggregate::Aggregate;
pub use evaluate::Evaluate;
pub use initialise::Initialise;
pub use partition::Partition;
pub use publish::Publish;
pub use report::Report;
pub use select::Select;
pub use train::Train;

use tale_learning::ComputeDevice;
use tale_worker::TaskError;

/// The device that a step asked for; the portable one unless it did.
pub(crate) fn device(name: Option<&str>) -> Result<ComputeDevice, TaskError> {
    name.map_or(Ok(ComputeDevice::default()), str::parse).map_err(crate::refusal::learning)
}
