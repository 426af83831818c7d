//! Local training: what one participant does with its own pictures in one round.

use serde::{Deserialize, Serialize};
use tale_primitives::Seed;
use tale_storage::ImageBatch;

use crate::{
    ComputeDevice, LearningError, ModelSpec, Parameters,
    draw::permutation,
    network::{Weights, mean_loss, one_hot, pictures, read_f32},
    on_one_thread,
};

/// How a participant trains. The default is what the demo uses and what its figures were measured with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Passes over the participant's rows.
    pub epochs: u32,
    /// Rows per step, at most; the rows of an epoch are dealt evenly to its steps.
    pub batch_size: u32,
    /// Step size of the gradient descent.
    pub learning_rate: f32,
    /// Share of the previous step's velocity that is kept, from 0 up to but not including 1.
    pub momentum: f32,
    /// Longest gradient that a step follows; a longer one is shortened to it (arXiv 1211.5063).
    ///
    /// It keeps a training finite that starts from a model which somebody has ruined.
    pub gradient_norm_max: f32,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self { epochs: 2, batch_size: 32, learning_rate: 0.05, momentum: 0.9, gradient_norm_max: 3.0 }
    }
}

impl TrainSettings {
    fn check(&self) -> Result<(), LearningError> {
        let usable = |size: f32| size.is_finite() && size > 0.0;
        let sizes_are_usable = usable(self.learning_rate) && usable(self.gradient_norm_max);
        let counts_are_usable = self.epochs > 0 && self.batch_size > 0;
        if sizes_are_usable && counts_are_usable && (0.0..1.0).contains(&self.momentum) {
            Ok(())
        } else {
            Err(LearningError::ImpossibleSettings)
        }
    }
}

/// Where a training stands, told after every step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainProgress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean loss of the step's rows before it, in nats.
    pub loss_nats: f32,
}

/// What a training gives.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOutcome {
    /// Trained parameters minus base.
    pub update: Parameters,
    /// Rows that were trained on.
    pub examples: u64,
    /// Mean loss of the first step's rows, in nats.
    pub first_loss_nats: f32,
    /// Mean loss of the last step's rows, in nats.
    pub last_loss_nats: f32,
}

/// Trains from `base` on all rows of `batch`: shuffled stochastic gradient descent with momentum.
///
/// `keep_going` is called after every step; where it answers `false`, training stops with
/// [`LearningError::Cancelled`]. The same arguments on the same device give the same bytes.
pub fn train(
    spec: &ModelSpec,
    base: &Parameters,
    batch: &ImageBatch,
    settings: &TrainSettings,
    seed: Seed,
    device: ComputeDevice,
    keep_going: &(dyn Fn(TrainProgress) -> bool + Sync),
) -> Result<TrainOutcome, LearningError> {
    spec.check_batch(batch)?;
    settings.check()?;
    on_one_thread(|| descend(spec, base, batch, settings, seed, device, keep_going))
}

fn descend(
    spec: &ModelSpec,
    base: &Parameters,
    batch: &ImageBatch,
    settings: &TrainSettings,
    seed: Seed,
    device: ComputeDevice,
    keep_going: &(dyn Fn(TrainProgress) -> bool + Sync),
) -> Result<TrainOutcome, LearningError> {
    let device = device.open()?;
    let mut rng = seed.child("order of rows").rng();
    let rows = batch.rows();
    let steps_per_epoch = rows.div_ceil(settings.batch_size as usize);
    let steps = steps_per_epoch as u64 * u64::from(settings.epochs);

    let mut weights = Weights::load(spec, base, &device)?;
    let mut velocity: Option<Weights> = None;
    let mut progress = TrainProgress { step: 0, steps, loss_nats: 0.0 };
    let mut first_loss_nats = None;
    for _ in 0..settings.epochs {
        let order = permutation(&mut rng, rows);
        for step in 0..steps_per_epoch {
            // Dealt evenly: a last step of one or two rows would take a full-size stride on their noise.
            let chosen = &order[step * rows / steps_per_epoch..(step + 1) * rows / steps_per_epoch];
            let (loss_nats, gradient) = step_gradient(spec, &weights, batch, chosen)?;
            progress = TrainProgress { step: progress.step + 1, steps, loss_nats };
            first_loss_nats.get_or_insert(loss_nats);
            if !loss_nats.is_finite() {
                return Err(LearningError::Diverged { step: progress.step, loss: loss_nats });
            }
            let gradient = gradient.shortened(settings.gradient_norm_max);
            let pushed = match velocity {
                None => gradient,
                Some(old) => old.combine(gradient, |old, new| old.mul_scalar(settings.momentum) + new),
            };
            weights = weights.combine(pushed.clone(), |w, v| w - v.mul_scalar(settings.learning_rate));
            velocity = Some(pushed);
            if !keep_going(progress) {
                return Err(LearningError::Cancelled { step: progress.step });
            }
        }
    }
    Ok(TrainOutcome {
        update: weights.read()?.minus(base),
        examples: rows as u64,
        first_loss_nats: first_loss_nats.unwrap_or_default(),
        last_loss_nats: progress.loss_nats,
    })
}

/// Mean loss of the chosen rows and its gradient, on the device.
pub(crate) fn step_gradient(
    spec: &ModelSpec,
    weights: &Weights,
    batch: &ImageBatch,
    chosen: &[usize],
) -> Result<(f32, Weights), LearningError> {
    let device = weights.device();
    let leaves = weights.tracked();
    let logits = leaves.logits(spec, pictures(spec, batch, chosen, &device).autodiff());
    let loss = mean_loss(logits, one_hot(spec, batch, chosen, &device).autodiff());
    let mut gradients = loss.backward();
    let loss_nats = read_f32(loss.inner())?.first().copied().unwrap_or(f32::NAN);
    Ok((loss_nats, leaves.gradients(&mut gradients)))
}
