//! The parameters of a model, or a change of them, as one flat vector.

use rand::Rng;
use tale_primitives::Seed;

use crate::{LearningError, ModelSpec, draw::unit_interval};

/// A point, or a direction, in the parameter space of one [`ModelSpec`].
///
/// Sums run from the first value to the last in `f64`, so that a norm or a cosine is the same
/// number on every machine: IEEE 754 defines each step, and nothing reorders them.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters(Vec<f32>);

impl Parameters {
    /// These values, if the model has so many.
    pub fn new(spec: &ModelSpec, values: Vec<f32>) -> Result<Self, LearningError> {
        spec.check()?;
        let expected = spec.parameter_count();
        if values.len() != expected {
            return Err(LearningError::WrongLength { expected, found: values.len() });
        }
        Ok(Self(values))
    }

    /// The parameters before any training: He's uniform initialisation (arXiv 1502.01852), biases zero.
    ///
    /// Every tensor draws from its own child of `seed`, so that a new tensor leaves the others as they were.
    pub fn initial(spec: &ModelSpec, seed: Seed) -> Result<Self, LearningError> {
        spec.check()?;
        let mut values = Vec::with_capacity(spec.parameter_count());
        for tensor in spec.layout() {
            if tensor.fan_in == 0 {
                values.resize(values.len() + tensor.len(), 0.0);
                continue;
            }
            let limit = (6.0 / tensor.fan_in as f32).sqrt();
            let mut rng = seed.child(tensor.name).rng();
            values.extend((0..tensor.len()).map(|_| limit * (2.0 * unit_interval(rng.next_u32()) - 1.0)));
        }
        Ok(Self(values))
    }

    pub(crate) const fn from_vec(values: Vec<f32>) -> Self {
        Self(values)
    }

    /// The values, in the order of the model's tensors.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every value is a number: false as soon as one is NaN or infinite.
    pub fn is_finite(&self) -> bool {
        self.0.iter().all(|value| value.is_finite())
    }

    /// The Euclidean length.
    pub fn norm(&self) -> f64 {
        self.dot(self).sqrt()
    }

    /// The inner product, over as many values as both have.
    pub fn dot(&self, other: &Self) -> f64 {
        self.0.iter().zip(&other.0).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    }

    /// The cosine of the angle between both; 0 where one of them is zero.
    pub fn cosine(&self, other: &Self) -> f64 {
        let lengths = self.norm() * other.norm();
        if lengths > 0.0 { self.dot(other) / lengths } else { 0.0 }
    }

    /// `self + other`, over as many values as both have.
    pub fn plus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a + b).collect())
    }

    /// `self − other`, over as many values as both have.
    pub fn minus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a - b).collect())
    }

    /// `self × factor`.
    pub fn scaled(&self, factor: f32) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }
}
