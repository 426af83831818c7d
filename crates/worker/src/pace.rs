//! How fast attempts go by, and so how many tasks are worth holding in advance.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Tasks that take longer than this on average are never claimed in advance: another worker would start them sooner.
const SHORT: Duration = Duration::from_millis(100);
/// How much work is held in advance, in time.
const AHEAD: Duration = Duration::from_millis(50);
/// The weight of one attempt in the mean, as a power of two: 1/16.
const WEIGHT_SHIFT: u32 = 4;

/// The mean duration of the worker's recent attempts.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Nanoseconds, an exponential moving average; the maximum until an attempt has ended.
    mean_ns: Arc<AtomicU64>,
    slots: u32,
    prefetch_max: u32,
}

impl Pace {
    pub fn new(slots: u32, prefetch_max: u32) -> Self {
        Self { mean_ns: Arc::new(AtomicU64::new(u64::MAX)), slots, prefetch_max }
    }

    /// Counts an attempt that took this long.
    pub fn record(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let mean = self.mean_ns.load(Ordering::Relaxed);
        // a lost update by another attempt that ends at this moment is only a sample less
        let next = match mean {
            u64::MAX => took,
            mean => mean - (mean >> WEIGHT_SHIFT) + (took >> WEIGHT_SHIFT),
        };
        self.mean_ns.store(next, Ordering::Relaxed);
    }

    /// How many tasks to hold beside those that run.
    pub fn prefetch(&self) -> u32 {
        let mean = self.mean_ns.load(Ordering::Relaxed);
        if u128::from(mean) >= SHORT.as_nanos() {
            return 0;
        }
        let by_slot = AHEAD.as_nanos() / u128::from(mean.max(1));
        u32::try_from(by_slot.saturating_mul(u128::from(self.slots)))
            .unwrap_or(u32::MAX)
            .min(self.prefetch_max)
    }

    /// How many tasks run at a time.
    pub fn slots(&self) -> usize {
        self.slots as usize
    }

    /// How many tasks to hold in all.
    pub fn holdings(&self) -> usize {
        self.slots as usize + self.prefetch() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_held_in_advance_before_the_first_attempt_or_for_long_tasks() {
        let pace = Pace::new(4, 1000);
        assert_eq!(pace.prefetch(), 0);
        pace.record(Duration::from_millis(100));
        assert_eq!(pace.prefetch(), 0);
    }

    #[test]
    fn the_shorter_the_tasks_the_more_are_held_up_to_the_limit() {
        let pace = Pace::new(4, 1000);
        pace.record(Duration::from_millis(10));
        assert_eq!(pace.prefetch(), 20);
        for _ in 0..500 {
            pace.record(Duration::from_micros(5));
        }
        assert_eq!(pace.prefetch(), 1000);
    }

    #[test]
    fn tasks_that_grow_long_end_the_prefetch() {
        let pace = Pace::new(2, 1000);
        pace.record(Duration::from_micros(5));
        for _ in 0..10 {
            pace.record(Duration::from_secs(1));
        }
        assert_eq!(pace.prefetch(), 0);
    }

    #[test]
    fn a_pool_that_forbids_it_never_prefetches() {
        let pace = Pace::new(2, 0);
        pace.record(Duration::from_micros(5));
        assert_eq!(pace.prefetch(), 0);
    }
}
