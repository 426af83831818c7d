//! What people do to a queue at any moment: pause, stop, limit, answer and try again.

use std::collections::BTreeSet;

use rand::RngExt;
use sqlx::Connection;
use tale_queue::{
    Again, Decision, OpenQuestion, decide, expire_approvals, open_questions, pause_run, reconcile_gates,
    request_cancellation, resume_run, retry_run, set_pipeline_paused, set_pool_limit, set_pool_paused,
    sweep_cancelled,
};

use crate::{
    auditor::Key,
    plan::{LIMITS, PIPELINES, RATE_MS},
    world::World,
};

impl World {
    /// Somebody does something.
    pub async fn operate(&mut self) {
        if self.auditor.runs.is_empty() {
            return;
        }
        let run = self.rng.random_range(0..self.auditor.runs.len());
        match self.rng.random_range(0..100) {
            0..14 => self.pause_or_resume(run).await,
            14..24 => self.pause_pool(!self.auditor.pool.is_paused).await,
            24..34 => self.limit_pool().await,
            34..44 => {
                let pipeline = self.rng.random_range(0..PIPELINES.len());
                self.pause_pipeline(pipeline, !self.auditor.pipelines[pipeline].is_paused).await;
            }
            44..54 => self.cancel(run).await,
            54..70 => self.retry(run).await,
            70..84 => self.refill().await,
            84..96 => self.answer().await,
            _ => {
                // whatever is right stays as it is
                reconcile_gates(&mut self.observer, true).await.unwrap();
            }
        }
    }

    async fn pause_or_resume(&mut self, run: usize) {
        // what has ended and is not counted yet would be taken for open
        self.verify().await;
        let id = self.auditor.runs[run].id;
        let model = &mut self.auditor.runs[run];
        if model.is_paused {
            model.is_paused = false;
            assert!(resume_run(&mut self.observer, id).await.unwrap());
        } else {
            model.is_paused = !model.has_ended();
            let expected = model.is_paused;
            assert_eq!(pause_run(&mut self.observer, id).await.unwrap(), expected);
        }
    }

    async fn pause_pool(&mut self, is_paused: bool) {
        self.auditor.pool.is_paused = is_paused;
        set_pool_paused(&mut self.observer, "cpu", is_paused).await.unwrap();
    }

    async fn limit_pool(&mut self) {
        let limit = self.rng.random_bool(0.6).then(|| self.rng.random_range(1..6));
        self.auditor.pool.leases_max = limit.map(|limit| limit as usize);
        set_pool_limit(&mut self.observer, "cpu", limit).await.unwrap();
    }

    async fn pause_pipeline(&mut self, pipeline: usize, is_paused: bool) {
        self.auditor.pipelines[pipeline].is_paused = is_paused;
        set_pipeline_paused(&mut self.observer, PIPELINES[pipeline].0, is_paused).await.unwrap();
        self.auditor.start_queued(pipeline);
    }

    async fn cancel(&mut self, run: usize) {
        // what has ended and is not counted yet would be taken for open
        self.verify().await;
        let model = &mut self.auditor.runs[run];
        let is_new = !model.has_ended() && !model.is_cancelled;
        model.is_cancelled |= is_new;
        assert_eq!(request_cancellation(&mut self.observer, model.id).await.unwrap(), is_new);
        if is_new {
            self.auditor.cancellations.insert(run);
        }
        if self.rng.random_bool(0.8) {
            self.sweep().await;
        }
    }

    /// Stops what was told to stop.
    pub async fn sweep(&mut self) {
        self.verify().await;
        sweep_cancelled(&mut self.observer).await.unwrap();
        self.auditor.swept();
    }

    /// Runs an ended run again.
    pub async fn retry(&mut self, run: usize) {
        self.verify().await;
        let model = &self.auditor.runs[run];
        let step = self.rng.random_range(0..model.steps.len());
        let from: Vec<usize> = self.rng.random_bool(0.2).then_some(step).into_iter().collect();
        let again = Again {
            from: from.iter().map(|step| format!("step-{step}")).collect(),
            only_failed: self.rng.random_bool(0.5),
        };
        let id = model.id;
        let mut transaction = self.observer.begin().await.unwrap();
        let steps = retry_run(&mut transaction, id, &again).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(steps as usize, self.auditor.retried(run, &from, again.only_failed), "{again:?}");
    }

    /// Time goes by at a limit.
    pub async fn refill(&mut self) {
        // what came past before cannot have used these
        self.verify().await;
        let limit = self.rng.random_range(0..LIMITS.len());
        let (key, _, Some(rate)) = LIMITS[limit] else { return };
        let tokens = self.rng.random_range(1..=2);
        let ms = (RATE_MS / u64::from(rate) * u64::from(tokens)) as f64;
        let sql = "update queue.gate set refilled_at = refilled_at - $2 * interval '1 ms' where key = $1";
        let moved = sqlx::query(sql).bind(key).bind(ms).execute(&mut self.observer).await.unwrap();
        if moved.rows_affected() > 0 {
            self.auditor.refilled(limit, tokens);
        }
        reconcile_gates(&mut self.observer, false).await.unwrap();
    }

    /// Some of the open questions are answered, or their time is over.
    async fn answer(&mut self) {
        self.verify().await;
        let mut questions = open_questions(&mut self.observer, None).await.unwrap();
        let key_of = |question: &OpenQuestion| {
            let step = question.step.trim_start_matches("step-").parse().unwrap();
            (self.auditor.numbers[&question.run], step, question.index)
        };
        let found: BTreeSet<Key> = questions.iter().map(key_of).collect();
        assert_eq!(found, self.auditor.questions(), "the open questions");
        let chosen: Vec<bool> = questions.iter().map(|_| self.rng.random_bool(0.6)).collect();
        let mut chosen = chosen.into_iter();
        questions.retain(|_| chosen.next() == Some(true));
        let keys: Vec<Key> = questions.iter().map(key_of).collect();
        let is_approved = self.rng.random_bool(0.7);
        if self.rng.random_bool(0.3) {
            for (question, key) in questions.iter().zip(&keys) {
                sqlx::query(
                    "update queue.approval a
                     set due_at = clock_timestamp() - interval '1 s', on_timeout = $4::queue.decision
                     from queue.task t
                     where t.id = a.task_id and t.run_id = $1 and t.step = $2 and t.index = $3",
                )
                .bind(question.run.raw())
                .bind(key.1 as i16)
                .bind(key.2)
                .bind(if is_approved { "approved" } else { "rejected" })
                .execute(&mut self.observer)
                .await
                .unwrap();
            }
            assert_eq!(expire_approvals(&mut self.observer).await.unwrap(), !questions.is_empty());
        } else {
            let decision = if is_approved { Decision::Approved } else { Decision::Rejected };
            let decided =
                decide(&mut self.observer, &questions, decision, "the simulator", None).await.unwrap();
            assert_eq!(decided as usize, questions.len());
        }
        for key in keys {
            self.auditor.answered(key, is_approved);
        }
    }

    /// Everything that was paused goes on, and everything that was told to stop does.
    pub async fn let_go(&mut self) {
        if self.auditor.pool.is_paused {
            self.pause_pool(false).await;
        }
        for pipeline in 0..PIPELINES.len() {
            if self.auditor.pipelines[pipeline].is_paused {
                self.pause_pipeline(pipeline, false).await;
            }
        }
        for run in 0..self.auditor.runs.len() {
            if self.auditor.runs[run].is_paused {
                self.pause_or_resume(run).await;
            }
        }
        if !self.auditor.cancellations.is_empty() {
            self.sweep().await;
        }
        if self.auditor.tasks.values().any(|task| task.is_at_gate) {
            self.refill().await;
        }
        if !self.auditor.questions().is_empty() {
            self.answer().await;
        }
    }
}
