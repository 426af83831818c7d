//! Misbehaviour for simulations: what the protocol must catch. No honest path calls this.

use rand_distr::{Distribution, StandardNormal};
use tale_primitives::Seed;

use crate::Parameters;

/// How far a poisoner scales its own update against the model.
pub const POISON_FACTOR: f32 = -5.0;
/// Length of the noise that a free-rider adds, relative to the update that it copies.
pub const FREE_RIDE_NOISE: f32 = 0.05;

/// The sign-flipped update of a poisoner: [`POISON_FACTOR`] times its honest one.
pub fn poison(own: &Parameters) -> Parameters {
    own.scaled(POISON_FACTOR)
}

/// A free-rider's update: somebody else's, with Gaussian noise of [`FREE_RIDE_NOISE`] times its length.
pub fn free_ride(victim: &Parameters, seed: Seed) -> Parameters {
    let mut rng = seed.child("free-rider").rng();
    let noise: Vec<f32> = (0..victim.len()).map(|_| StandardNormal.sample(&mut rng)).collect();
    let noise = Parameters::from_vec(noise);
    let length = noise.norm();
    let scale = if length > 0.0 { f64::from(FREE_RIDE_NOISE) * victim.norm() / length } else { 0.0 };
    victim.plus(&noise.scaled(scale as f32))
}
