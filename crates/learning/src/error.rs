//! What can go wrong with a model, an update or a batch.

use tale_storage::ImageShape;

/// Why a model could not be built, read, trained or evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearningError {
    /// A model family that does not exist.
    #[error("{0:?} is not a model family: expected mlp or cnn")]
    UnknownFamily(String),
    /// A specification that no network fits.
    #[error(
        "a model needs 1 to {pixels_max} values a picture and 2 to {classes_max} classes, not {shape} and {classes}"
    )]
    ImpossibleSpec {
        /// The pictures.
        shape: ImageShape,
        /// Number of classes.
        classes: u32,
        /// The most values in a picture.
        pixels_max: usize,
        /// The most classes.
        classes_max: u32,
    },
    /// A parameter vector of another model.
    #[error("the model has {expected} parameters, the vector {found}")]
    WrongLength {
        /// What the specification needs.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// Bytes that are not a safetensors file.
    #[error("not a safetensors file")]
    Unreadable(#[source] safetensors::SafeTensorError),
    /// A file far larger or smaller than the model it claims to hold.
    #[error("a file of this model holds {expected} bytes of parameters, this one has {found} bytes in all")]
    WrongSize {
        /// Bytes of parameters.
        expected: usize,
        /// Bytes of the file.
        found: usize,
    },
    /// A tensor of the model that the file does not have, or has in another shape or type.
    #[error("tensor {name} should be f32 {expected:?}, the file has {found}")]
    WrongTensor {
        /// The tensor's name.
        name: &'static str,
        /// Its dimensions in the specification.
        expected: Vec<usize>,
        /// What the file has under that name.
        found: String,
    },
    /// A tensor that the model does not have.
    #[error("the file has {found} tensors, the model {expected}")]
    UnknownTensors {
        /// Tensors of the specification.
        expected: usize,
        /// Tensors of the file.
        found: usize,
    },
    /// Parameters could not be written as safetensors.
    #[error("could not write safetensors")]
    Unwritable(#[source] safetensors::SafeTensorError),
    /// A batch of pictures of another shape than the model's.
    #[error("the model reads {expected} pictures, the batch has {found}")]
    WrongShape {
        /// The model's picture.
        expected: ImageShape,
        /// The batch's picture.
        found: ImageShape,
    },
    /// A batch whose pixels and labels do not belong together.
    #[error("{rows} rows need {expected} bytes of pixels, the batch has {found}")]
    RaggedBatch {
        /// Labels in the batch.
        rows: usize,
        /// Bytes that so many rows need.
        expected: usize,
        /// Bytes in the batch.
        found: usize,
    },
    /// A label outside the model's classes.
    #[error("row {row} has label {label}, the model {classes} classes")]
    LabelOutOfRange {
        /// The row, from 0.
        row: usize,
        /// Its label.
        label: u32,
        /// Number of classes.
        classes: u32,
    },
    /// A batch without rows, on which no loss is defined.
    #[error("the batch has no rows")]
    NoRows,
    /// Settings that no training can follow.
    #[error(
        "training needs an epoch, a batch of at least one row, positive finite sizes and a momentum in 0..1"
    )]
    ImpossibleSettings,
    /// A loss that is no longer a number.
    #[error("training diverged at step {step}: the loss is {loss}")]
    Diverged {
        /// The step, from 1.
        step: u64,
        /// Its loss.
        loss: f32,
    },
    /// The caller's closure said stop.
    #[error("training was cancelled at step {step}")]
    Cancelled {
        /// The step, from 1.
        step: u64,
    },
    /// A device that this machine or this build does not have.
    #[error("there is no {0} here")]
    NoDevice(crate::ComputeDevice),
    /// A text that names no device.
    #[error("{0:?} is not a device: expected flex or cuda:N")]
    UnknownDevice(String),
    /// A result that could not be read back from the device.
    #[error("could not read a result back from the device: {0}")]
    Device(String),
    /// The thread of a computation could not be started.
    #[error("could not start a thread for the computation")]
    Thread(#[source] rayon::ThreadPoolBuildError),
}
