//! Parameters as safetensors: what travels between participants, validators and the aggregator.

use std::{borrow::Cow, collections::HashMap};

use safetensors::{Dtype, SafeTensors, View};

use crate::{LearningError, ModelSpec, Parameters, spec::TensorLayout};

/// Room for the header of a file: eight tensors need far less.
const HEADER_BYTES_MAX: usize = 64 * 1024;

struct TensorBytes<'a> {
    dims: &'a [usize],
    values: &'a [f32],
}

impl View for TensorBytes<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.dims
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

impl Parameters {
    /// The parameters as a safetensors file, one tensor per field of the model.
    ///
    /// The same parameters give the same bytes. The metadata entry `family` names the architecture.
    pub fn to_safetensors(&self, spec: &ModelSpec) -> Result<Vec<u8>, LearningError> {
        let layout = spec.layout();
        let expected = spec.parameter_count();
        if self.len() != expected {
            return Err(LearningError::WrongLength { expected, found: self.len() });
        }
        let mut rest = self.as_slice();
        let tensors: Vec<_> = layout
            .iter()
            .map(|tensor| {
                let (values, after) = rest.split_at(tensor.len());
                rest = after;
                (tensor.name, TensorBytes { dims: &tensor.dims, values })
            })
            .collect();
        // One entry: a map of several would be written in random order.
        let metadata = HashMap::from([("family".to_owned(), spec.family.to_string())]);
        safetensors::serialize(tensors, Some(metadata)).map_err(LearningError::Unwritable)
    }

    /// Reads parameters of the model `spec` from bytes that anybody may have made.
    ///
    /// Sizes, names, types and dimensions must be exactly the model's. Values may be NaN or
    /// infinite: ask [`Parameters::is_finite`], since such an update is rejected, not unreadable.
    pub fn from_safetensors(spec: &ModelSpec, bytes: &[u8]) -> Result<Self, LearningError> {
        spec.check()?;
        let layout = spec.layout();
        let expected = spec.parameter_count() * size_of::<f32>();
        if bytes.len() < expected || bytes.len() > expected + HEADER_BYTES_MAX {
            return Err(LearningError::WrongSize { expected, found: bytes.len() });
        }
        let file = SafeTensors::deserialize(bytes).map_err(LearningError::Unreadable)?;
        if file.len() != layout.len() {
            return Err(LearningError::UnknownTensors { expected: layout.len(), found: file.len() });
        }
        let mut values = Vec::with_capacity(spec.parameter_count());
        for tensor in &layout {
            let view = file.tensor(tensor.name).map_err(|_| wrong(tensor, "none of that name".to_owned()))?;
            if view.dtype() != Dtype::F32 || view.shape() != tensor.dims {
                return Err(wrong(tensor, format!("{:?} {:?}", view.dtype(), view.shape())));
            }
            values.extend(view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        Self::new(spec, values)
    }
}

fn wrong(tensor: &TensorLayout, found: String) -> LearningError {
    LearningError::WrongTensor { name: tensor.name, expected: tensor.dims.clone(), found }
}
