//! Workers, schedulers and what goes wrong with them.

use std::{collections::BTreeMap, time::Duration};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tale_primitives::{Digest, TaskId, WorkerId};
use tale_queue::{
    ClaimedTask, Decision as Verdict, Failure, Lease, NewTask, Question, SCHEDULER_POOL, answer_knocks,
    apply_pipeline, await_approval, beat, expand_step, fail_expansion, fold_tallies, park_paused,
    promote_due, reap, release, set_pipeline_limit, start_run,
};
use tale_testkit::TestDatabase;

use crate::{
    auditor::{Auditor, CRASHES_MAX, Key},
    plan::{PIPELINES, RunPlan, Shape},
    seat::{Answer, Decision, Ending, Seat, leases_of, new_run, perform},
};

const LEASE: Duration = Duration::from_secs(60);
/// A run that has not ended after so many turns without faults never will.
const TURNS_MAX: usize = 5000;
const WORKERS: usize = 3;

/// Makes a database as if nothing had happened in it, which is much faster than making another.
const FORGET: &str = "
    do $$
    begin
        execute (select 'truncate ' || string_agg(format('queue.%I', t.tablename), ', ') || ' cascade'
                 from pg_tables t where t.schemaname = 'queue' and t.tablename not in ('pool', 'audit'));
        update queue.pool set is_paused = false, leases_max = null;
        create table if not exists public.effect (task_id bigint);
        truncate public.effect;
        create or replace function queue.tallied_from() returns integer language sql immutable as 'select 256';
    end $$";
const TALLY_FROM_TWO: &str =
    "create or replace function queue.tallied_from() returns integer language sql immutable as 'select 2'";

/// What sets one seed apart from another.
#[derive(Clone, Copy)]
pub struct Conditions {
    /// Whether several workers acknowledge at the same time.
    pub is_concurrent: bool,
    /// Whether fan-outs of two tasks count as large, so that they are counted by tallies.
    pub is_tallying: bool,
    /// Whether people pause, stop, limit and retry things.
    pub is_operated: bool,
}

pub struct World {
    pub rng: ChaCha8Rng,
    conditions: Conditions,
    pub observer: PgConnection,
    versions: Vec<i64>,
    workers: Vec<Seat>,
    schedulers: Vec<Seat>,
    /// What the dead held: zombies wake up with it.
    graves: Vec<Vec<Lease>>,
    /// The dead that the reaper has not found yet.
    unreaped: Vec<WorkerId>,
    pub auditor: Auditor,
}

impl World {
    /// A world in a database that may have seen others, which nobody remembers.
    pub async fn set_up(rng: ChaCha8Rng, conditions: Conditions, database: &TestDatabase) -> Self {
        let mut observer = database.connection().await;
        sqlx::raw_sql(FORGET).execute(&mut observer).await.unwrap();
        let mut versions = Vec::new();
        for (name, runs_max) in PIPELINES {
            let applied = apply_pipeline(&mut observer, name, Digest::of(name), &json!({})).await.unwrap();
            set_pipeline_limit(&mut observer, name, runs_max).await.unwrap();
            versions.push(applied.version_id);
        }
        if conditions.is_tallying {
            sqlx::raw_sql(TALLY_FROM_TWO).execute(&mut observer).await.unwrap();
        }
        let mut world = Self {
            rng,
            conditions,
            observer,
            versions,
            workers: vec![],
            schedulers: vec![],
            graves: vec![],
            unreaped: vec![],
            auditor: Auditor::new(),
        };
        for _ in 0..WORKERS {
            let seat = Seat::take(database.connection().await, "cpu").await;
            world.workers.push(seat);
        }
        for _ in 0..2 {
            let seat = Seat::take(database.connection().await, SCHEDULER_POOL).await;
            world.schedulers.push(seat);
        }
        world
    }

    pub async fn start(&mut self, plan: &RunPlan) {
        let run = new_run(plan, &self.versions, None);
        let mut transaction = self.observer.begin().await.unwrap();
        start_run(&mut transaction, &run).await.unwrap().expect("it has no parent to lose");
        transaction.commit().await.unwrap();
        self.auditor.started(run.id, plan, None);
        self.verify().await;
    }

    /// Something random happens, and is checked.
    pub async fn step(&mut self) {
        let worker = self.rng.random_range(0..WORKERS);
        let scheduler = self.rng.random_range(0..self.schedulers.len());
        match self.rng.random_range(0..if self.conditions.is_operated { 130 } else { 100 }) {
            0..24 => self.claim(worker).await,
            24..54 if self.conditions.is_concurrent => self.work_together().await,
            24..54 => self.work(worker).await,
            54..58 => self.hand_back(worker).await,
            58..63 => self.die(false, worker).await,
            63..66 => self.die(true, scheduler).await,
            66..71 => self.wake_zombie().await,
            71..76 => self.reap().await,
            76..80 => self.beat(false, worker).await,
            80..83 => self.beat(true, scheduler).await,
            83..87 => self.promote().await,
            87..100 => self.schedule(scheduler, true).await,
            _ => self.operate().await,
        }
        self.auditor.is_up_to_date = false;
        // the model counts at once; tallies that nobody has folded yet may wait while other things happen
        if !self.conditions.is_tallying || self.rng.random_bool(0.5) {
            self.verify().await;
        }
    }

    /// No more faults: everything that can still be done is done, and nothing may be left over.
    pub async fn finish(&mut self) {
        for _ in 0..TURNS_MAX {
            if self.auditor.runs.iter().all(|run| run.has_ended()) {
                self.auditor.verify_end();
                return self.verify().await;
            }
            self.let_go().await;
            self.auditor.is_up_to_date = false;
            self.reap().await;
            self.promote().await;
            for worker in 0..WORKERS {
                self.beat(false, worker).await;
                self.claim_as(worker, 4, false).await;
                let all = self.decide(worker, true);
                self.acknowledge(worker, all).await;
            }
            for scheduler in 0..self.schedulers.len() {
                self.beat(true, scheduler).await;
                self.schedule(scheduler, false).await;
            }
            self.verify().await;
        }
        panic!("the runs do not end: {:#?}", self.auditor.tasks);
    }

    /// Compares everything, once the reconcilers that are always about have done their part.
    pub async fn verify(&mut self) {
        while self.conditions.is_tallying && fold_tallies(&mut self.observer, 3).await.unwrap() {}
        while answer_knocks(&mut self.observer).await.unwrap() {}
        if self.auditor.runs.iter().any(|run| run.is_paused) {
            park_paused(&mut self.observer).await.unwrap();
        }
        self.auditor.verify(&mut self.observer).await;
    }

    async fn claim(&mut self, worker: usize) {
        let count = self.rng.random_range(1..=8);
        if self.rng.random_bool(0.05) {
            // the connection breaks before the claim is committed
            let Seat { connection, claimer, .. } = &mut self.workers[worker];
            let mut transaction = connection.begin().await.unwrap();
            claimer.claim(&mut transaction, count).await.unwrap();
            return transaction.rollback().await.unwrap();
        }
        let forgets = self.rng.random_bool(0.1);
        self.claim_as(worker, count, forgets).await;
    }

    async fn claim_as(&mut self, worker: usize, count: u32, forgets: bool) {
        let seat = &mut self.workers[worker];
        let claimed = seat.claimer.claim(&mut seat.connection, count).await.unwrap();
        self.auditor.claims(false, count as usize, &claimed);
        for task in &claimed {
            self.auditor.claimed(seat.worker, task);
            if !forgets {
                seat.held.push(task.lease);
            }
        }
    }

    async fn work(&mut self, worker: usize) {
        let decision = self.decide(worker, false);
        self.acknowledge(worker, decision).await;
    }

    /// Some, or all, of what a worker holds ends as fate wills.
    fn decide(&mut self, worker: usize, all: bool) -> Decision {
        let mut decision = Decision::default();
        if !all {
            decision.ending = match self.rng.random_range(0..10) {
                0 => Ending::Break,
                1 => Ending::LoseAnswer,
                _ => Ending::Commit,
            };
        }
        for lease in &self.workers[worker].held {
            if all || self.rng.random_bool(0.75) {
                // a message may come twice
                let times = if !all && self.rng.random_bool(0.05) { 2 } else { 1 };
                for _ in 0..times {
                    if self.auditor.fails_next(self.auditor.keys[&lease.task]) {
                        decision.failures.push(self.failure(*lease))
                    } else {
                        decision.successes.push(*lease)
                    }
                }
            }
        }
        decision
    }

    fn failure(&self, lease: Lease) -> Failure {
        let is_final = self.auditor.fate(self.auditor.keys[&lease.task]).is_final;
        Failure { lease, error: "fate".to_owned(), is_final, retry_after: None, class: None }
    }

    async fn acknowledge(&mut self, worker: usize, decision: Decision) {
        let answer = perform(&mut self.workers[worker].connection, &decision).await;
        self.audit(worker, &decision, answer);
    }

    /// Every worker acknowledges at the same time.
    async fn work_together(&mut self) {
        let decisions: Vec<Decision> = (0..WORKERS).map(|worker| self.decide(worker, false)).collect();
        let [one, two, three] = self.workers.as_mut_slice() else { panic!("there are {WORKERS} workers") };
        let (one, two, three) = tokio::join!(
            perform(&mut one.connection, &decisions[0]),
            perform(&mut two.connection, &decisions[1]),
            perform(&mut three.connection, &decisions[2]),
        );
        for (worker, answer) in [one, two, three].into_iter().enumerate() {
            self.audit(worker, &decisions[worker], answer);
        }
    }

    fn audit(&mut self, worker: usize, decision: &Decision, answer: Option<Answer>) {
        let Some(answer) = answer else { return };
        self.auditor.completed(&decision.successes, &answer.completed);
        self.auditor.failed(&leases_of(&decision.failures), &answer.failed);
        if decision.ending == Ending::Commit {
            let failed = leases_of(&decision.failures);
            let done = |lease: &Lease| decision.successes.contains(lease) || failed.contains(lease);
            self.workers[worker].held.retain(|lease| !done(lease));
        }
    }

    async fn hand_back(&mut self, worker: usize) {
        let seat = &mut self.workers[worker];
        let leases = seat.held.split_off(seat.held.len() / 2);
        let released = release(&mut seat.connection, &leases).await.unwrap();
        self.auditor.released(&leases, released);
    }

    async fn die(&mut self, is_scheduler: bool, seat: usize) {
        let seats = if is_scheduler { &mut self.schedulers } else { &mut self.workers };
        let dead = &mut seats[seat];
        sqlx::query("update queue.worker set last_seen = last_seen - interval '1 hour' where id = $1")
            .bind(dead.worker.raw())
            .execute(&mut self.observer)
            .await
            .unwrap();
        self.unreaped.push(dead.worker);
        self.graves.push(std::mem::take(&mut dead.held));
        dead.reincarnate().await;
    }

    /// A dead worker was only asleep, and goes on where it was, reaped or not.
    async fn wake_zombie(&mut self) {
        if self.graves.is_empty() {
            return;
        }
        let grave = self.rng.random_range(0..self.graves.len());
        for lease in self.graves.swap_remove(grave) {
            let key = self.auditor.keys[&lease.task];
            if self.auditor.is_schedulers(key) {
                let held = self.auditor.holds(lease);
                let task = Known { key, lease };
                assert_eq!(self.conclude(None, task).await, held, "{key:?}");
            } else if self.rng.random_bool(0.2) {
                let released = release(&mut self.observer, &[lease]).await.unwrap();
                self.auditor.released(&[lease], released);
            } else {
                let mut decision = Decision::default();
                if self.auditor.fails_next(key) {
                    decision.failures.push(self.failure(lease))
                } else {
                    decision.successes.push(lease)
                }
                let answer = perform(&mut self.observer, &decision).await.expect("it commits");
                self.auditor.completed(&decision.successes, &answer.completed);
                self.auditor.failed(&leases_of(&decision.failures), &answer.failed);
            }
        }
    }

    async fn reap(&mut self) {
        let reaped = reap(&mut self.observer, LEASE, CRASHES_MAX).await.unwrap();
        let reaped: BTreeMap<TaskId, bool> =
            reaped.into_iter().map(|reaped| (reaped.task, reaped.is_dead)).collect();
        self.auditor.reaped(&self.unreaped, &reaped);
        self.unreaped.clear();
    }

    async fn beat(&mut self, is_scheduler: bool, seat: usize) {
        let seats = if is_scheduler { &mut self.schedulers } else { &mut self.workers };
        let seat = &mut seats[seat];
        let answer = beat(&mut seat.connection, seat.worker, &seat.held, Duration::ZERO).await.unwrap();
        assert!(answer.is_registered, "the living are known");
        self.auditor.beaten(seat.worker, &seat.held, &answer.lost);
        seat.held.retain(|lease| !answer.lost.contains(&lease.attempt));
    }

    async fn promote(&mut self) {
        sqlx::query("update queue.delayed set run_at = clock_timestamp() - interval '1 second'")
            .execute(&mut self.observer)
            .await
            .unwrap();
        let promoted = promote_due(&mut self.observer, 1000).await.unwrap();
        self.auditor.promoted(promoted);
    }

    /// A scheduler claims and acknowledges, and may die, or be interrupted, anywhere in between.
    async fn schedule(&mut self, scheduler: usize, with_faults: bool) {
        let seat = &mut self.schedulers[scheduler];
        let claimed: Vec<ClaimedTask> = seat.claimer.claim(&mut seat.connection, 3).await.unwrap();
        self.auditor.claims(true, 3, &claimed);
        for task in &claimed {
            let key = self.auditor.claimed(seat.worker, task);
            debug_assert_eq!(self.auditor.keys[&task.lease.task], key);
            seat.held.push(task.lease);
        }
        for lease in self.schedulers[scheduler].held.clone() {
            if with_faults && self.rng.random_bool(0.1) {
                return self.die(true, scheduler).await;
            }
            if with_faults && self.rng.random_bool(0.1) {
                continue;
            }
            let key = self.auditor.keys[&lease.task];
            let held = self.auditor.holds(lease);
            assert_eq!(self.conclude(Some(scheduler), Known { key, lease }).await, held, "{key:?}");
            self.schedulers[scheduler].held.retain(|other| *other != lease);
        }
    }

    /// Acknowledges one of the scheduler's tasks; says whether that counted.
    async fn conclude(&mut self, scheduler: Option<usize>, task: Known) -> bool {
        let Known { key, lease } = task;
        let connection = match scheduler {
            Some(scheduler) => &mut self.schedulers[scheduler].connection,
            None => &mut self.observer,
        };
        let step = self.auditor.plan(key).clone();
        if key.2 >= 0 && step.shape == Shape::Questions {
            let question = Question { prompt: None, timeout_ms: None, on_timeout: Verdict::Rejected };
            let won = await_approval(connection, lease, &question).await.unwrap();
            if won {
                self.auditor.asked(key);
            }
            return won;
        }
        if key.2 >= 0 {
            let child = step.fates[key.2 as usize].child.clone().expect("it waits for a sub-run");
            let run = new_run(&child, &self.versions, Some(lease));
            let mut transaction = connection.begin().await.unwrap();
            let started = start_run(&mut transaction, &run).await.unwrap();
            transaction.commit().await.unwrap();
            if started.is_some() {
                self.auditor.started(run.id, &child, Some(key));
            }
            return started.is_some();
        }
        if step.shape == Shape::Unreadable {
            let won = fail_expansion(connection, lease, "it cannot be read").await.unwrap();
            if won {
                self.auditor.break_step(key);
            }
            return won;
        }
        let total = step.fates.len() as i32;
        let (run, index, _) = key;
        let next = self.auditor.tasks.range((run, index, 0)..(run, index + 1, -1)).count() as i32;
        let indexes = match step.shape {
            Shape::Sequence => next..total.min(next + 1),
            _ => 0..total,
        };
        let tasks: Vec<NewTask> = indexes.clone().map(|index| step.task(index as u32)).collect();
        let expansion = (step.shape != Shape::Skipped).then_some((total as u32, tasks.as_slice()));
        let won = expand_step(connection, lease, expansion).await.unwrap();
        if won {
            self.auditor.expanded(key, indexes);
        }
        won
    }
}

/// A lease and the task that it is for.
struct Known {
    key: Key,
    lease: Lease,
}
