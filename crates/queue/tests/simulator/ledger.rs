//! The comparison of the whole database with the auditor's model.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection};
use tale_primitives::RunId;
use uuid::Uuid;

use crate::{
    auditor::{Auditor, Key, Place},
    plan::{LIMITS, PIPELINES},
};

#[derive(FromRow)]
struct TaskRow {
    run_id: Uuid,
    step: i16,
    index: i32,
    state: String,
    attempts: i16,
    crashes: i16,
    attempt_id: Option<i64>,
    ready: i64,
    delayed: i64,
    waiting: i64,
    parked: i64,
    admitted: Option<String>,
    effects: i64,
}

#[derive(FromRow)]
struct StepRow {
    run_id: Uuid,
    index: i16,
    state: String,
    unmet: i32,
    tasks_total: i32,
    tasks_open: i32,
    tasks_failed: i32,
}

#[derive(FromRow)]
struct RunRow {
    id: Uuid,
    state: String,
    is_paused: bool,
    open_steps: i32,
    failed_steps: i32,
}

/// How many rows the tables hold together, whatever tasks they are about.
#[derive(Debug, FromRow, PartialEq, Eq)]
struct Sums {
    ready: i64,
    lease: i64,
    delayed: i64,
    waiting: i64,
    parked: i64,
    admitted: i64,
    effects: i64,
    knocks: i64,
    tallies: i64,
}

#[derive(FromRow)]
struct PlaceRow {
    pipeline: String,
    waiting: i64,
    going: i64,
}

const TASKS: &str = "
    select t.run_id, t.step, t.index, t.attempts, t.crashes, l.attempt_id,
           case when t.state = 'blocked' and s.state = 'running' then 'queued' else t.state::text end as state,
           (select count(*) from queue.ready r where r.task_id = t.id) as ready,
           (select count(*) from queue.delayed d where d.task_id = t.id) as delayed,
           (select count(*) from queue.waiting w where w.task_id = t.id) as waiting,
           (select count(*) from queue.parked p where p.task_id = t.id) as parked,
           (select a.key from queue.admitted a where a.task_id = t.id) as admitted,
           (select count(*) from public.effect e where e.task_id = t.id) as effects
    from queue.task t
    join queue.step s on s.run_id = t.run_id and s.index = t.step
    left join queue.lease l on l.task_id = t.id";
const STEPS: &str = "
    select run_id, index, state::text as state, unmet, tasks_total, tasks_open, tasks_failed from queue.step";
const RUNS: &str = "select id, state::text as state, is_paused, open_steps, failed_steps from queue.run";
const SUMS: &str = "
    select (select count(*) from queue.ready) as ready, (select count(*) from queue.lease) as lease,
           (select count(*) from queue.delayed) as delayed, (select count(*) from queue.waiting) as waiting,
           (select count(*) from queue.parked) as parked, (select count(*) from queue.admitted) as admitted,
           (select count(*) from public.effect) as effects, (select count(*) from queue.knock) as knocks,
           (select count(*) from queue.tally) as tallies";
const PLACES: &str = "
    select pipeline, count(*) filter (where is_waiting) as waiting, count(*) filter (where not is_waiting) as going
    from queue.place group by pipeline";

impl Auditor {
    /// Compares every table with the model.
    pub async fn verify(&mut self, connection: &mut PgConnection) {
        let tasks: Vec<TaskRow> = sqlx::query_as(TASKS).fetch_all(&mut *connection).await.unwrap();
        let steps: Vec<StepRow> = sqlx::query_as(STEPS).fetch_all(&mut *connection).await.unwrap();
        let runs: Vec<RunRow> = sqlx::query_as(RUNS).fetch_all(&mut *connection).await.unwrap();
        let sums: Sums = sqlx::query_as(SUMS).fetch_one(&mut *connection).await.unwrap();
        let places: Vec<PlaceRow> = sqlx::query_as(PLACES).fetch_all(&mut *connection).await.unwrap();
        self.verify_tasks(&tasks);
        self.verify_steps(&steps);
        self.verify_runs(&runs);
        self.verify_sums(&tasks, &sums);
        self.verify_gates();
        self.verify_rows_of_places(&places);
        self.verify_places();
        self.is_up_to_date = true;
    }

    fn verify_tasks(&mut self, rows: &[TaskRow]) {
        assert_eq!(rows.len(), self.tasks.len(), "no task is lost, and none came from nowhere");
        for row in rows {
            let key = (self.numbers[&RunId::from_raw(row.run_id)], row.step as usize, row.index);
            assert!(self.tasks.contains_key(&key), "{key:?} came from nowhere");
            self.verify_task(key, row);
        }
    }

    fn verify_task(&mut self, key: Key, row: &TaskRow) {
        let effects = self.effects.get(&key).copied().unwrap_or(0);
        let is_paused = self.runs[key.0].is_paused;
        let limit = self.limit_of(key);
        let has_capacity = limit.filter(|limit| self.gates[*limit].has_capacity());
        let task = self.task(key);
        let (state, attempt) = match task.place {
            Place::Blocked => ("blocked", None),
            Place::Held | Place::Entered => ("queued", None),
            Place::Leased(lease, _) => ("queued", Some(lease.attempt.raw())),
            Place::Delayed => ("delayed", None),
            Place::Waiting => ("waiting", None),
            Place::Succeeded => ("succeeded", None),
            Place::Failed => ("failed", None),
            Place::Cancelled => ("cancelled", None),
        };
        assert_eq!((row.state.as_str(), row.attempt_id), (state, attempt), "{key:?}");
        assert_eq!((row.attempts as u16, row.crashes as u32), (task.attempts, task.crashes), "{key:?}");
        assert_eq!(row.effects, effects, "{key:?}'s effects");
        assert_eq!(row.delayed, i64::from(task.place == Place::Delayed), "{key:?} among the delayed");
        // which of those who come to a gate it lets past is the database's to say, and the gate's model to judge
        let is_entered = task.place == Place::Entered;
        task.is_at_gate = is_entered && row.waiting > 0;
        if task.is_at_gate {
            assert!(limit.is_some() && !task.has_passed, "{key:?} waits at a gate that it need not pass");
        }
        let expected = match (is_entered, task.is_at_gate, is_paused) {
            (false, ..) => (0, 0, 0),
            (true, true, _) => (1, 0, 0),
            (true, false, true) => (0, 1, 0),
            (true, false, false) => (0, 0, 1),
        };
        let found = (row.waiting, row.parked, row.ready);
        assert_eq!(found, expected, "{key:?}, which is {:?}: at its gate, parked, ready", task.place);
        task.has_passed |= is_entered && !task.is_at_gate;
        let is_past = is_entered && !task.is_at_gate
            || matches!(task.place, Place::Leased(..))
            || task.place == Place::Waiting && key.2 >= 0;
        let place = has_capacity.filter(|_| is_past).map(|limit| LIMITS[limit].0);
        assert_eq!(row.admitted.as_deref(), place, "{key:?}, which is {:?}, under its limit", task.place);
    }

    fn verify_steps(&self, rows: &[StepRow]) {
        assert_eq!(rows.len(), self.runs.iter().map(|run| run.steps.len()).sum::<usize>());
        for row in rows {
            let run = self.numbers[&RunId::from_raw(row.run_id)];
            let step = &self.runs[run].steps[row.index as usize];
            let at = (run, row.index);
            assert_eq!(row.state, step.state, "{at:?}");
            if step.state == "waiting" {
                assert_eq!(row.unmet as usize, step.unmet, "{at:?}");
            }
            if step.state == "running" {
                assert_eq!(row.tasks_open as usize, step.open, "{at:?}");
            }
            assert_eq!(
                (row.tasks_total as usize, row.tasks_failed as usize),
                (step.total, step.failed),
                "{at:?}"
            );
        }
    }

    fn verify_runs(&self, rows: &[RunRow]) {
        assert_eq!(rows.len(), self.runs.len());
        for row in rows {
            let run = &self.runs[self.numbers[&RunId::from_raw(row.id)]];
            let (open, failed) = run.counts();
            let found =
                (row.state.as_str(), row.is_paused, row.open_steps as usize, row.failed_steps as usize);
            assert_eq!(found, (run.state, run.is_paused, open, failed), "run {}", row.id);
        }
    }

    /// Nothing stands in a table but what its task says.
    fn verify_sums(&self, rows: &[TaskRow], sums: &Sums) {
        let sum = |count: fn(&TaskRow) -> i64| rows.iter().map(count).sum::<i64>();
        let expected = Sums {
            ready: sum(|row| row.ready),
            lease: sum(|row| i64::from(row.attempt_id.is_some())),
            delayed: sum(|row| row.delayed),
            waiting: sum(|row| row.waiting),
            parked: sum(|row| row.parked),
            admitted: sum(|row| i64::from(row.admitted.is_some())),
            effects: self.effects_total,
            knocks: 0,
            tallies: 0,
        };
        assert_eq!(*sums, expected, "rows without a task");
    }

    fn verify_rows_of_places(&self, rows: &[PlaceRow]) {
        let found: BTreeMap<&str, (i64, i64)> =
            rows.iter().map(|row| (row.pipeline.as_str(), (row.waiting, row.going))).collect();
        for (number, (name, _)) in PIPELINES.iter().enumerate() {
            let rows = found.get(name).copied().unwrap_or_default();
            assert_eq!(rows, self.pipelines[number].rows(), "runs of {name} that wait and go on");
        }
    }

    /// Every run has ended, and nothing is left that anybody could still do.
    pub fn verify_end(&self) {
        for run in &self.runs {
            assert!(run.has_ended(), "run {} has not ended", run.id);
        }
        for (key, task) in &self.tasks {
            let has_ended = matches!(task.place, Place::Succeeded | Place::Failed | Place::Cancelled);
            assert!(has_ended, "{key:?} is still {:?}", task.place);
        }
    }
}
