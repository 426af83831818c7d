#![doc = include_str!("../README.md")]

mod aggregation;
pub mod attack;
mod device;
mod draw;
mod error;
mod evaluation;
mod network;
mod parameters;
mod safetensors_file;
mod spec;
mod threads;
mod training;

pub use aggregation::{AggregationSettings, RoundAggregate, aggregate, capped_weights, clip_factors};
pub use device::{ComputeDevice, available_devices};
pub use error::LearningError;
pub use evaluation::{RowLoss, loss_gradient, row_losses};
pub use parameters::Parameters;
pub use spec::{ModelFamily, ModelSpec};
pub use threads::on_one_thread;
pub use training::{TrainOutcome, TrainProgress, TrainSettings, train};
