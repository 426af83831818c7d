//! The networks in burn: parameters in, logits out, gradients back.
//!
//! Parameters are plain tensors and the forward pass a function of them. burn's modules would add
//! lazy initialisation from the backend's random numbers, which must never decide anything here.

use burn::tensor::{
    Device, Gradients, Tensor, TensorData, activation,
    module::{conv2d, linear},
    ops::ConvOptions,
};
use tale_storage::ImageBatch;

use crate::{
    LearningError, ModelFamily, ModelSpec, Parameters,
    spec::{CNN_WIDTHS, MLP_WIDTHS},
};

/// A model's tensors on a device, each flat, in the order of the flat vector.
#[derive(Clone)]
pub(crate) struct Weights(Vec<Tensor<1>>);

impl Weights {
    /// Copies parameters to a device without autodiff.
    pub fn load(spec: &ModelSpec, parameters: &Parameters, device: &Device) -> Result<Self, LearningError> {
        let expected = spec.parameter_count();
        if parameters.len() != expected {
            return Err(LearningError::WrongLength { expected, found: parameters.len() });
        }
        let mut rest = parameters.as_slice();
        let tensors = spec.layout().into_iter().map(|tensor| {
            let (values, after) = rest.split_at(tensor.len());
            rest = after;
            Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        });
        Ok(Self(tensors.collect()))
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.0[0].device()
    }

    /// Copies the tensors back into one vector.
    pub fn read(&self) -> Result<Parameters, LearningError> {
        let mut values = Vec::new();
        for tensor in &self.0 {
            values.extend(read_f32(tensor.clone())?);
        }
        Ok(Parameters::from_vec(values))
    }

    /// The same values as leaves of a new gradient graph.
    pub fn tracked(&self) -> Self {
        Self(self.0.iter().map(|tensor| tensor.clone().autodiff().require_grad()).collect())
    }

    /// The gradients of these leaves; zero for a leaf that the loss does not reach.
    pub fn gradients(&self, gradients: &mut Gradients) -> Self {
        let of = |leaf: &Tensor<1>| {
            leaf.grad_remove(gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like())
        };
        Self(self.0.iter().map(of).collect())
    }

    /// Combines two sets of tensors, one pair after the other.
    pub fn combine(self, other: Self, with: impl Fn(Tensor<1>, Tensor<1>) -> Tensor<1>) -> Self {
        Self(self.0.into_iter().zip(other.0).map(|(a, b)| with(a, b)).collect())
    }

    /// All tensors scaled so that together they are no longer than `norm_max`; stays on the device.
    pub fn shortened(self, norm_max: f32) -> Self {
        let squares = self.0.iter().map(|tensor| tensor.clone().powi_scalar(2).sum());
        let Some(total) = squares.reduce(|sum, square| sum + square) else { return self };
        let factor = total.sqrt().clamp_min(norm_max).recip().mul_scalar(norm_max);
        Self(self.0.into_iter().map(|tensor| tensor * factor.clone()).collect())
    }

    fn tensor<const D: usize>(&self, index: usize, dims: [usize; D]) -> Tensor<D> {
        self.0[index].clone().reshape(dims)
    }

    /// Logits, `[rows, classes]`, of pictures `[rows, channels, height, width]`.
    pub fn logits(&self, spec: &ModelSpec, pictures: Tensor<4>) -> Tensor<2> {
        let rows = pictures.dims()[0];
        let classes = spec.classes as usize;
        match spec.family {
            ModelFamily::Mlp => {
                let (input, [first, second]) = (spec.picture_len(), MLP_WIDTHS);
                let x = pictures.reshape([rows, input]);
                let x = activation::relu(self.dense(0, x, [input, first]));
                let x = activation::relu(self.dense(2, x, [first, second]));
                self.dense(4, x, [second, classes])
            }
            ModelFamily::Cnn => {
                let (channels, [first, second, hidden]) = (spec.shape.channels as usize, CNN_WIDTHS);
                let [height, width] = spec.reduced();
                let flat = second * height * width;
                let x = activation::relu(self.halving_convolution(0, pictures, [first, channels]));
                let x = activation::relu(self.halving_convolution(2, x, [second, first]));
                let x = activation::relu(self.dense(4, x.reshape([rows, flat]), [flat, hidden]));
                self.dense(6, x, [hidden, classes])
            }
        }
    }

    fn dense(&self, index: usize, x: Tensor<2>, dims: [usize; 2]) -> Tensor<2> {
        linear(x, self.tensor(index, dims), Some(self.tensor(index + 1, [dims[1]])))
    }

    /// 3×3, stride 2, one pixel of zeros around: halves each side, rounding up.
    fn halving_convolution(&self, index: usize, x: Tensor<4>, [out, channels]: [usize; 2]) -> Tensor<4> {
        let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
        conv2d(x, self.tensor(index, [out, channels, 3, 3]), Some(self.tensor(index + 1, [out])), options)
    }
}

/// The chosen rows as `[rows, channels, height, width]`, bytes mapped to −1..1.
pub(crate) fn pictures(spec: &ModelSpec, batch: &ImageBatch, rows: &[usize], device: &Device) -> Tensor<4> {
    let [height, width, channels] =
        [spec.shape.height, spec.shape.width, spec.shape.channels].map(|side| side as usize);
    let length = spec.picture_len();
    let mut values = Vec::with_capacity(rows.len() * length);
    for &row in rows {
        let picture = &batch.pixels[row * length..(row + 1) * length];
        for channel in 0..channels {
            let plane = picture[channel..].iter().step_by(channels);
            values.extend(plane.map(|&byte| f32::from(byte) / 127.5 - 1.0));
        }
    }
    Tensor::from_data(TensorData::new(values, [rows.len(), channels, height, width]), device)
}

/// The labels of the chosen rows as `[rows, classes]` of zeros and ones.
///
/// A product with these, unlike a gather, has a gradient without scatter, which GPUs add up in random order.
pub(crate) fn one_hot(spec: &ModelSpec, batch: &ImageBatch, rows: &[usize], device: &Device) -> Tensor<2> {
    let classes = spec.classes as usize;
    let mut values = vec![0f32; rows.len() * classes];
    for (place, &row) in rows.iter().enumerate() {
        values[place * classes + batch.labels[row] as usize] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [rows.len(), classes]), device)
}

/// Mean cross-entropy, in nats.
pub(crate) fn mean_loss(logits: Tensor<2>, one_hot: Tensor<2>) -> Tensor<1> {
    let rows = logits.dims()[0] as f32;
    (activation::log_softmax(logits, 1) * one_hot).sum().div_scalar(-rows)
}

/// The values of a tensor on the host.
pub(crate) fn read_f32<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, LearningError> {
    let data = tensor.try_into_data().map_err(|error| LearningError::Device(error.to_string()))?;
    data.try_to_vec::<f32>().map_err(|error| LearningError::Device(format!("{error:?}")))
}
