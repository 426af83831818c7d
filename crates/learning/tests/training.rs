//! Training and evaluation: any picture, any number of classes, the same bytes every time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use rand::Rng;
use tale_learning::*;
use tale_primitives::{Digest, Seed};
use tale_storage::{ImageBatch, ImageShape};

const FLEX: ComputeDevice = ComputeDevice::Flex;

fn spec(family: ModelFamily, [height, width, channels]: [u32; 3], classes: u32) -> ModelSpec {
    ModelSpec { family, shape: ImageShape { height, width, channels }, classes }
}

/// Learnable pictures: class k is bright where the byte's place modulo the number of classes is k.
fn batch(spec: &ModelSpec, rows: usize, seed: u64) -> ImageBatch {
    let mut rng = Seed::new(seed).rng();
    let length = spec.shape.image_bytes();
    let labels: Vec<u32> = (0..rows).map(|row| row as u32 % spec.classes).collect();
    let pixels = labels.iter().flat_map(|&label| (0..length).map(move |place| (label, place)));
    let pixels = pixels.map(|(label, place)| {
        let bright = place as u32 % spec.classes == label;
        (rng.next_u32() % 100) as u8 + if bright { 150 } else { 0 }
    });
    ImageBatch { shape: spec.shape, classes: spec.classes, pixels: pixels.collect(), labels }
}

fn run(spec: &ModelSpec, batch: &ImageBatch, settings: &TrainSettings) -> TrainOutcome {
    let base = Parameters::initial(spec, Seed::new(1)).unwrap();
    train(spec, &base, batch, settings, Seed::new(2), FLEX, &|_| true).unwrap()
}

fn mean_loss(spec: &ModelSpec, parameters: &Parameters, batch: &ImageBatch) -> f64 {
    let losses = row_losses(spec, parameters, batch, FLEX).unwrap();
    losses.iter().map(|row| f64::from(row.loss_nats)).sum::<f64>() / losses.len() as f64
}

#[test]
fn both_families_learn() {
    for family in [ModelFamily::Mlp, ModelFamily::Cnn] {
        let spec = spec(family, [8, 8, 1], 4);
        let (batch, fresh) = (batch(&spec, 200, 1), batch(&spec, 100, 2));
        let base = Parameters::initial(&spec, Seed::new(1)).unwrap();
        let outcome = run(&spec, &batch, &TrainSettings { epochs: 5, ..TrainSettings::default() });
        let trained = base.plus(&outcome.update);
        let (before, after) = (mean_loss(&spec, &base, &fresh), mean_loss(&spec, &trained, &fresh));
        assert!(after < before / 2.0, "{family}: {before} nats, then {after}");
        assert_eq!(outcome.examples, 200);
        let correct =
            row_losses(&spec, &trained, &fresh, FLEX).unwrap().iter().filter(|row| row.correct).count();
        assert!(correct > 80, "{family}: {correct} of 100");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_threads_there_are() {
    let spec = spec(ModelFamily::Cnn, [12, 12, 3], 5);
    let batch = batch(&spec, 64, 1);
    let settings = TrainSettings::default();
    let first = run(&spec, &batch, &settings).update.to_safetensors(&spec).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let second = pool.install(|| run(&spec, &batch, &settings)).update.to_safetensors(&spec).unwrap();
    let beside: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let train = || run(&spec, &batch, &settings).update.to_safetensors(&spec).unwrap();
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(train)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for bytes in beside.iter().chain([&second]) {
        assert_eq!(Digest::of(bytes), Digest::of(&first));
    }
    let base = Parameters::initial(&spec, Seed::new(1)).unwrap();
    let other = train(&spec, &base, &batch, &settings, Seed::new(3), FLEX, &|_| true).unwrap();
    assert_ne!(Digest::of(other.update.to_safetensors(&spec).unwrap()), Digest::of(&first));
}

#[test]
fn the_gradient_is_that_of_the_loss() {
    let spec = spec(ModelFamily::Cnn, [6, 5, 2], 3);
    let batch = batch(&spec, 300, 1);
    let base = Parameters::initial(&spec, Seed::new(1)).unwrap();
    let (loss, gradient) = loss_gradient(&spec, &base, &batch, FLEX).unwrap();
    assert!((loss - mean_loss(&spec, &base, &batch)).abs() < 1e-4);
    // Along the gradient itself the slope is its squared length.
    let step = 1e-2 / gradient.norm();
    let ahead = mean_loss(&spec, &base.plus(&gradient.scaled(step as f32)), &batch);
    let behind = mean_loss(&spec, &base.minus(&gradient.scaled(step as f32)), &batch);
    let slope = (ahead - behind) / (2.0 * step);
    let expected = gradient.norm().powi(2);
    assert!((slope - expected).abs() < 0.02 * expected, "slope {slope}, squared length {expected}");
}

#[test]
fn training_stops_when_it_is_told_to() {
    let spec = spec(ModelFamily::Mlp, [4, 4, 1], 2);
    let batch = batch(&spec, 100, 1);
    let base = Parameters::initial(&spec, Seed::new(1)).unwrap();
    let settings = TrainSettings { epochs: 1, batch_size: 10, ..TrainSettings::default() };
    let stop = |progress: TrainProgress| {
        assert_eq!(progress.steps, 10);
        progress.step < 3
    };
    let stopped = train(&spec, &base, &batch, &settings, Seed::new(2), FLEX, &stop);
    assert!(matches!(stopped, Err(LearningError::Cancelled { step: 3 })), "{stopped:?}");
}

#[test]
fn what_does_not_fit_is_an_error() {
    let spec = spec(ModelFamily::Cnn, [4, 4, 1], 2);
    let good = batch(&spec, 10, 1);
    let base = Parameters::initial(&spec, Seed::new(1)).unwrap();
    let losses = |batch: &ImageBatch| row_losses(&spec, &base, batch, FLEX);
    let empty = ImageBatch { pixels: vec![], labels: vec![], ..good.clone() };
    assert!(matches!(losses(&empty), Err(LearningError::NoRows)));
    let ragged = ImageBatch { pixels: vec![0; 159], ..good.clone() };
    assert!(matches!(losses(&ragged), Err(LearningError::RaggedBatch { .. })));
    let labels = vec![0, 1, 2, 0, 0, 0, 0, 0, 0, 0];
    let strange = ImageBatch { labels, ..good.clone() };
    assert!(matches!(losses(&strange), Err(LearningError::LabelOutOfRange { row: 2, label: 2, classes: 2 })));
    let shape = ImageShape { height: 2, width: 8, channels: 1 };
    let reshaped = ImageBatch { shape, ..good.clone() };
    assert!(matches!(losses(&reshaped), Err(LearningError::WrongShape { .. })));
    let settings = TrainSettings { batch_size: 0, ..TrainSettings::default() };
    let impossible = train(&spec, &base, &good, &settings, Seed::new(2), FLEX, &|_| true);
    assert!(matches!(impossible, Err(LearningError::ImpossibleSettings)));
    let huge = ModelSpec { shape: ImageShape { height: 4096, width: 4096, channels: 16 }, ..spec };
    assert!(matches!(huge.check(), Err(LearningError::ImpossibleSpec { .. })));
    assert!(matches!(Parameters::new(&spec, vec![0.0; 3]), Err(LearningError::WrongLength { found: 3, .. })));
}

#[test]
fn a_ruined_model_is_told_from_a_bad_one() {
    let spec = spec(ModelFamily::Mlp, [4, 4, 1], 2);
    let batch = batch(&spec, 40, 1);
    let ruined = Parameters::new(&spec, vec![f32::NAN; spec.parameter_count()]).unwrap();
    assert!(!ruined.is_finite());
    assert!(row_losses(&spec, &ruined, &batch, FLEX).unwrap().iter().all(|row| row.loss_nats.is_nan()));
    let diverged = train(&spec, &ruined, &batch, &TrainSettings::default(), Seed::new(2), FLEX, &|_| true);
    assert!(matches!(diverged, Err(LearningError::Diverged { step: 1, .. })));
    // A model that is merely far off trains on, since no step is longer than the settings allow.
    let bad = Parameters::initial(&spec, Seed::new(1)).unwrap().scaled(1e4);
    let outcome =
        train(&spec, &bad, &batch, &TrainSettings::default(), Seed::new(2), FLEX, &|_| true).unwrap();
    assert!(outcome.update.is_finite());
}

#[test]
fn the_processor_is_always_there_and_an_absent_gpu_is_an_error() {
    assert_eq!(available_devices()[0], ComputeDevice::Flex);
    let spec = spec(ModelFamily::Mlp, [2, 2, 1], 2);
    let base = Parameters::initial(&spec, Seed::new(1)).unwrap();
    let absent = ComputeDevice::Cuda(999);
    let refused = row_losses(&spec, &base, &batch(&spec, 4, 1), absent);
    assert!(matches!(refused, Err(LearningError::NoDevice(device)) if device == absent));
    assert_eq!("cuda:999".parse::<ComputeDevice>().unwrap(), absent);
    assert_eq!(absent.to_string().parse::<ComputeDevice>().unwrap(), absent);
    assert!("gpu".parse::<ComputeDevice>().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_picture_and_any_number_of_classes_trains(
        cnn: bool, height in 1u32..20, width in 1u32..20, channels in 1u32..4, classes in 2u32..12, rows in 1usize..40,
    ) {
        let family = if cnn { ModelFamily::Cnn } else { ModelFamily::Mlp };
        let spec = spec(family, [height, width, channels], classes);
        let outcome = run(&spec, &batch(&spec, rows, 1), &TrainSettings { epochs: 1, ..TrainSettings::default() });
        prop_assert!(outcome.update.is_finite() && outcome.update.norm() > 0.0);
        prop_assert_eq!(outcome.update.len(), spec.parameter_count());
        prop_assert_eq!(outcome.examples, rows as u64);
    }
}
