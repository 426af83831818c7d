//! The model of pipelines that limit or pause their runs.

use std::collections::{BTreeSet, VecDeque};

use crate::auditor::Auditor;

/// What is known of one pipeline.
#[derive(Debug)]
pub struct Pipeline {
    pub is_paused: bool,
    runs_max: Option<usize>,
    /// The runs that hold a place.
    going: BTreeSet<usize>,
    /// Those that wait for one, in order.
    waiting: VecDeque<usize>,
}

impl Pipeline {
    pub fn new(runs_max: Option<u32>) -> Self {
        let runs_max = runs_max.map(|runs_max| runs_max as usize);
        Self { is_paused: false, runs_max, going: BTreeSet::new(), waiting: VecDeque::new() }
    }

    fn room(&self) -> bool {
        self.going.len() < self.runs_max.unwrap_or(usize::MAX)
    }

    /// The rows that the database must have for it: those who wait, and those who go on.
    pub fn rows(&self) -> (i64, i64) {
        (self.waiting.len() as i64, self.going.len() as i64)
    }
}

impl Auditor {
    /// Whether a run may go on at once; otherwise it waits.
    pub fn take_place(&mut self, run: usize) -> bool {
        let pipeline = &mut self.pipelines[self.runs[run].plan.pipeline];
        if pipeline.is_paused
            || !pipeline.room()
            || !pipeline.waiting.is_empty() && pipeline.runs_max.is_some()
        {
            pipeline.waiting.push_back(run);
            self.runs[run].state = "queued";
            return false;
        }
        if pipeline.runs_max.is_some() {
            pipeline.going.insert(run);
        }
        true
    }

    /// A run has ended: its place goes to the next that waits.
    pub fn give_place(&mut self, run: usize) {
        let number = self.runs[run].plan.pipeline;
        let pipeline = &mut self.pipelines[number];
        let waited = pipeline.waiting.iter().position(|other| *other == run);
        if waited.and_then(|place| pipeline.waiting.remove(place)).is_some() || pipeline.going.remove(&run) {
            self.start_queued(number);
        }
    }

    /// Starts runs that wait, as many as there is room for.
    pub fn start_queued(&mut self, number: usize) {
        loop {
            let pipeline = &mut self.pipelines[number];
            if pipeline.is_paused || !pipeline.room() {
                return;
            }
            let Some(run) = pipeline.waiting.pop_front() else { return };
            if pipeline.runs_max.is_some() {
                pipeline.going.insert(run);
            }
            if self.runs[run].state == "queued" {
                self.runs[run].state = "running";
                if !self.runs[run].is_cancelled {
                    self.open_run(run);
                }
            }
        }
    }

    /// How many runs of a pipeline go on that had to take a place.
    pub fn verify_places(&self) {
        for (number, pipeline) in self.pipelines.iter().enumerate() {
            let going = self
                .runs
                .iter()
                .filter(|run| run.plan.pipeline == number && run.state == "running" && run.parent.is_none());
            let limit = pipeline.runs_max.unwrap_or(usize::MAX);
            assert!(going.count() <= limit, "more than {limit} runs of pipeline {number} go on");
        }
    }
}
