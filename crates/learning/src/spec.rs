//! Which network: its family, its pictures, its classes, and the tensors that follow from them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tale_storage::{ImageBatch, ImageShape};

use crate::LearningError;

/// Channels of the two convolutions and width of the dense layer behind them.
pub(crate) const CNN_WIDTHS: [usize; 3] = [16, 32, 64];
/// Widths of the two hidden layers of the perceptron.
pub(crate) const MLP_WIDTHS: [usize; 2] = [128, 64];
/// The most values in one picture: 1024×1024 RGB, beyond which these small networks make no sense.
const PIXELS_MAX: usize = 3 << 20;
/// The most classes.
const CLASSES_MAX: u32 = 65_536;

/// The architecture of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelFamily {
    /// Two hidden layers (128 and 64) over the flat picture.
    Mlp,
    /// Two 3×3 convolutions of stride 2 (16 and 32 channels) and a hidden layer of 64.
    Cnn,
}

impl FromStr for ModelFamily {
    type Err = LearningError;

    fn from_str(text: &str) -> Result<Self, LearningError> {
        match text {
            "mlp" => Ok(Self::Mlp),
            "cnn" => Ok(Self::Cnn),
            _ => Err(LearningError::UnknownFamily(text.chars().take(100).collect())),
        }
    }
}

impl fmt::Display for ModelFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mlp => "mlp",
            Self::Cnn => "cnn",
        })
    }
}

/// A model without its parameters: any family, any picture size, any number of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The architecture.
    pub family: ModelFamily,
    /// The pictures that it reads.
    pub shape: ImageShape,
    /// The classes that it tells apart.
    pub classes: u32,
}

/// One named tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorLayout {
    /// Field path, as safetensors files name it.
    pub name: &'static str,
    /// Dimensions; dense weights are `[in, out]`, convolutions `[out, in, 3, 3]`.
    pub dims: Vec<usize>,
    /// Inputs that reach one output, which set the scale of the initial weights; 0 for a bias.
    pub fan_in: usize,
}

impl TensorLayout {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }
}

fn weight(name: &'static str, dims: Vec<usize>, fan_in: usize) -> TensorLayout {
    TensorLayout { name, dims, fan_in }
}

fn bias(name: &'static str, length: usize) -> TensorLayout {
    TensorLayout { name, dims: vec![length], fan_in: 0 }
}

impl ModelSpec {
    /// Whether such a network can be built at all: the picture and the classes are not absurd.
    pub fn check(&self) -> Result<(), LearningError> {
        let ImageShape { height, width, channels } = self.shape;
        let values = u128::from(height) * u128::from(width) * u128::from(channels);
        if values == 0 || values > PIXELS_MAX as u128 || !(2..=CLASSES_MAX).contains(&self.classes) {
            return Err(LearningError::ImpossibleSpec {
                shape: self.shape,
                classes: self.classes,
                pixels_max: PIXELS_MAX,
                classes_max: CLASSES_MAX,
            });
        }
        Ok(())
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.layout().iter().map(TensorLayout::len).sum()
    }

    /// Values in one picture.
    pub(crate) fn picture_len(&self) -> usize {
        self.shape.image_bytes()
    }

    /// Height and width of the picture after both convolutions.
    pub(crate) fn reduced(&self) -> [usize; 2] {
        [self.shape.height, self.shape.width].map(|side| (side as usize).div_ceil(2).div_ceil(2))
    }

    /// The tensors in the order in which the flat vector holds them.
    pub(crate) fn layout(&self) -> Vec<TensorLayout> {
        let classes = self.classes as usize;
        match self.family {
            ModelFamily::Mlp => {
                let (input, [first, second]) = (self.picture_len(), MLP_WIDTHS);
                vec![
                    weight("hidden1.weight", vec![input, first], input),
                    bias("hidden1.bias", first),
                    weight("hidden2.weight", vec![first, second], first),
                    bias("hidden2.bias", second),
                    weight("output.weight", vec![second, classes], second),
                    bias("output.bias", classes),
                ]
            }
            ModelFamily::Cnn => {
                let (channels, [first, second, hidden]) = (self.shape.channels as usize, CNN_WIDTHS);
                let [height, width] = self.reduced();
                let flat = second * height * width;
                vec![
                    weight("conv1.weight", vec![first, channels, 3, 3], channels * 9),
                    bias("conv1.bias", first),
                    weight("conv2.weight", vec![second, first, 3, 3], first * 9),
                    bias("conv2.bias", second),
                    weight("hidden.weight", vec![flat, hidden], flat),
                    bias("hidden.bias", hidden),
                    weight("output.weight", vec![hidden, classes], hidden),
                    bias("output.bias", classes),
                ]
            }
        }
    }

    /// Whether this model can read `batch`: shape, sizes and labels agree, and it has rows.
    pub(crate) fn check_batch(&self, batch: &ImageBatch) -> Result<(), LearningError> {
        self.check()?;
        if batch.shape != self.shape {
            return Err(LearningError::WrongShape { expected: self.shape, found: batch.shape });
        }
        let rows = batch.rows();
        if rows == 0 {
            return Err(LearningError::NoRows);
        }
        let expected = rows.saturating_mul(self.picture_len());
        if batch.pixels.len() != expected {
            return Err(LearningError::RaggedBatch { rows, expected, found: batch.pixels.len() });
        }
        match batch.labels.iter().position(|&label| label >= self.classes) {
            Some(row) => {
                Err(LearningError::LabelOutOfRange { row, label: batch.labels[row], classes: self.classes })
            }
            None => Ok(()),
        }
    }
}
