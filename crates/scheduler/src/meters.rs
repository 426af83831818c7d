//! What a scheduler counts.

use tale_telemetry::{Counter, Metrics};

/// The meters of the schedulers in one process; the default counts nothing.
#[derive(Debug, Clone, Default)]
pub struct SchedulerMeters {
    retries: Counter,
    leases_lost: Counter,
}

impl SchedulerMeters {
    /// Meters among the metrics of this process, which has them once.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            retries: metrics.counter(
                "tale_scheduler_retries_total",
                "Retries whose time came, made ready by this process.",
                &[],
            ),
            leases_lost: metrics.counter(
                "tale_scheduler_leases_lost_total",
                "Leases that this process took from workers which had stopped beating.",
                &[],
            ),
        }
    }

    pub(crate) fn promoted(&self, retries: u32) {
        self.retries.add(&[], u64::from(retries));
    }

    pub(crate) fn reaped(&self) {
        self.leases_lost.add(&[], 1);
    }
}
