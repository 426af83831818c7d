//! Parameters as bytes: exact both ways, and no bytes from outside do harm.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::{collection::vec, prelude::*, sample::Index};
use tale_learning::*;
use tale_primitives::{Digest, Seed};
use tale_storage::ImageShape;

fn spec() -> ModelSpec {
    ModelSpec { family: ModelFamily::Cnn, shape: ImageShape { height: 5, width: 4, channels: 2 }, classes: 3 }
}

fn initial() -> Parameters {
    Parameters::initial(&spec(), Seed::new(7)).unwrap()
}

#[test]
fn the_file_is_the_same_on_every_machine_and_in_every_version() {
    let bytes = initial().to_safetensors(&spec()).unwrap();
    // Initial parameters are integers, a division and a square root: no machine may round them otherwise.
    let digest = "3ba6c38164c74682ad9d22dd564d1e000815a9ed5a97182aa43f8811c9e7b4a9";
    assert_eq!(Digest::of(&bytes).to_string(), digest, "initial parameters or their file have changed");
    assert_eq!(Parameters::from_safetensors(&spec(), &bytes).unwrap(), initial());
}

#[test]
fn the_file_names_its_tensors_by_field() {
    let bytes = initial().to_safetensors(&spec()).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    let expected = [
        "conv1.bias",
        "conv1.weight",
        "conv2.bias",
        "conv2.weight",
        "hidden.bias",
        "hidden.weight",
        "output.bias",
        "output.weight",
    ];
    assert_eq!(names, expected);
    assert_eq!(file.tensor("hidden.weight").unwrap().shape(), [32 * 2, 64]);
}

#[test]
fn a_file_of_another_model_is_refused() {
    let bytes = initial().to_safetensors(&spec()).unwrap();
    let more_classes = ModelSpec { classes: 4, ..spec() };
    let mlp = ModelSpec { family: ModelFamily::Mlp, ..spec() };
    for other in [more_classes, mlp] {
        assert!(Parameters::from_safetensors(&other, &bytes).is_err());
        assert!(initial().to_safetensors(&other).is_err());
    }
}

#[test]
fn numbers_that_are_none_are_readable_and_reported() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut values = initial().as_slice().to_vec();
        values[17] = value;
        let bytes = Parameters::new(&spec(), values).unwrap().to_safetensors(&spec()).unwrap();
        assert!(!Parameters::from_safetensors(&spec(), &bytes).unwrap().is_finite());
    }
    assert!(initial().is_finite());
}

proptest! {
    #[test]
    fn broken_bytes_are_an_error_or_other_values_but_never_a_panic(
        edits in vec((any::<Index>(), any::<u8>()), 1..20), header_only: bool, cut in any::<Index>(), shorten: bool,
    ) {
        let mut bytes = initial().to_safetensors(&spec()).unwrap();
        let reach = if header_only { 700 } else { bytes.len() };
        for (at, value) in edits {
            bytes[at.index(reach)] = value;
        }
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(parameters) = Parameters::from_safetensors(&spec(), &bytes) {
            prop_assert_eq!(parameters.len(), spec().parameter_count());
        }
    }

    #[test]
    fn random_bytes_are_an_error(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(Parameters::from_safetensors(&spec(), &bytes).is_err());
    }
}
