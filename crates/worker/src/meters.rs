//! What a worker measures of itself.

use std::time::Duration;

use tale_telemetry::{Counter, Latency, Metrics};

/// The meters of one worker process; the default measures nothing.
#[derive(Debug, Clone, Default)]
pub struct WorkerMeters {
    claim: Latency,
    acknowledge: Latency,
    attempts: Counter,
    lost: Counter,
}

impl WorkerMeters {
    /// Meters among the metrics of this process, which has them once.
    pub fn new(metrics: &Metrics) -> Self {
        let meters = Self {
            claim: metrics.latency(
                "tale_worker_claim_seconds",
                "How long it took to claim a batch of tasks.",
                &[],
            ),
            acknowledge: metrics.latency(
                "tale_worker_acknowledge_seconds",
                "How long it took to acknowledge a batch of outcomes, and to claim in the same transaction.",
                &[],
            ),
            attempts: metrics.counter(
                "tale_worker_attempts_total",
                "Attempts that ended here, by outcome.",
                &["outcome"],
            ),
            lost: metrics.counter(
                "tale_worker_attempts_lost_total",
                "Attempts that were given to other workers, because this one did not beat in time.",
                &[],
            ),
        };
        for outcome in ["succeeded", "failed", "stopped"] {
            meters.attempts.add(&[outcome], 0);
        }
        meters
    }

    pub(crate) fn claimed(&self, took: Duration) {
        self.claim.record(&[], took);
    }

    pub(crate) fn acknowledged(&self, took: Duration) {
        self.acknowledge.record(&[], took);
    }

    pub(crate) fn ended(&self, outcome: &'static str, attempts: usize) {
        if attempts > 0 {
            self.attempts.add(&[outcome], attempts as u64);
        }
    }

    pub(crate) fn lost(&self, attempts: usize) {
        self.lost.add(&[], attempts as u64);
    }
}
