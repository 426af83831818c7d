//! Random numbers from raw bits, so that no library's change of algorithm changes a model.

use rand::Rng;

/// 24 of the 32 random bits as a number in `0..1`: every `f32` of that grid is equally likely.
pub(crate) fn unit_interval(bits: u32) -> f32 {
    (bits >> 8) as f32 / (1u32 << 24) as f32
}

/// A number below `bound`, by Lemire's multiplication; its bias is below `bound`/2⁶⁴.
fn below(rng: &mut impl Rng, bound: usize) -> usize {
    ((u128::from(rng.next_u64()) * bound as u128) >> 64) as usize
}

/// The numbers `0..length` in random order (Fisher–Yates).
pub(crate) fn permutation(rng: &mut impl Rng, length: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    for last in (1..length).rev() {
        order.swap(last, below(rng, last + 1));
    }
    order
}
