//! The model of limits by key: how many tasks may be past a gate, and how many may come past it.

use crate::auditor::{Auditor, Key, Place};

/// What is known of one limit.
#[derive(Debug)]
pub struct Gate {
    capacity: Option<usize>,
    rate: Option<f64>,
    /// What is left in the bucket.
    tokens: f64,
    /// How often tasks came to the gate and did not turn away.
    came: i64,
    /// How often they came past it, as far as it was counted off the tokens.
    passed: i64,
}

impl Gate {
    pub fn new(capacity: Option<u32>, rate: Option<u32>) -> Self {
        let capacity = capacity.map(|capacity| capacity as usize);
        Self { capacity, rate: rate.map(f64::from), tokens: rate.unwrap_or(0).into(), came: 0, passed: 0 }
    }

    pub fn has_capacity(&self) -> bool {
        self.capacity.is_some()
    }
}

impl Auditor {
    /// A task is told to go on: past its gate, or to wait there.
    pub fn admit(&mut self, key: Key) {
        let task = self.task(key);
        (task.place, task.has_passed, task.is_at_gate) = (Place::Entered, false, false);
        if let Some(limit) = self.limit_of(key) {
            self.gates[limit].came += 1;
        }
    }

    /// A task stops; if it was waiting at its gate, it turns away.
    pub fn forget_at_gate(&mut self, key: Key) {
        let limit = self.limit_of(key);
        if std::mem::take(&mut self.task(key).is_at_gate)
            && let Some(limit) = limit
        {
            self.gates[limit].came -= 1;
        }
    }

    /// So many tokens came back.
    pub fn refilled(&mut self, limit: usize, tokens: u32) {
        let gate = &mut self.gates[limit];
        if let Some(rate) = gate.rate {
            gate.tokens = rate.min(gate.tokens + f64::from(tokens));
        }
    }

    /// The limit of a task; expansions have none.
    pub fn limit_of(&self, key: Key) -> Option<usize> {
        self.plan(key).limit.filter(|_| key.2 >= 0)
    }

    /// Whether each limit is kept, and lets through what it can.
    pub fn verify_gates(&mut self) {
        let mut at_gate = vec![0; self.gates.len()];
        let mut inside = vec![0; self.gates.len()];
        for (key, task) in &self.tasks {
            let Some(limit) = self.limit_of(*key) else { continue };
            at_gate[limit] += i64::from(task.is_at_gate);
            let is_past = task.place == Place::Entered && !task.is_at_gate;
            inside[limit] += usize::from(is_past || matches!(task.place, Place::Leased(..) | Place::Waiting));
        }
        for (limit, gate) in self.gates.iter_mut().enumerate() {
            let passed = gate.came - at_gate[limit];
            gate.tokens -= (passed - gate.passed) as f64;
            gate.passed = passed;
            let is_full = gate.capacity.is_some_and(|capacity| inside[limit] >= capacity);
            let is_spent = gate.rate.is_some() && gate.tokens < 0.99;
            assert!(
                gate.capacity.is_none_or(|capacity| inside[limit] <= capacity),
                "{} tasks are past gate {limit}: {gate:?}",
                inside[limit]
            );
            assert!(gate.rate.is_none() || gate.tokens > -0.01, "too many came past gate {limit}: {gate:?}");
            assert!(
                at_gate[limit] == 0 || is_full || is_spent,
                "{} tasks wait at gate {limit} for nothing: {gate:?}, {} are past it",
                at_gate[limit],
                inside[limit]
            );
        }
    }
}
