//! The comparison of the whole database with the auditor's model.

use sqlx::{FromRow, PgConnection};
use tale_primitives::RunId;
use uuid::Uuid;

use crate::auditor::{Auditor, Place};

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
    open_steps: i32,
    failed_steps: i32,
    leases: i64,
    ready: i64,
    delayed: i64,
    effects: i64,
}

const TASKS: &str = "
    select t.run_id, t.step, t.index, t.attempts, t.crashes, l.attempt_id,
           case when t.state = 'blocked' and s.state = 'running' then 'queued' else t.state::text end as state,
           (select count(*) from queue.ready r where r.task_id = t.id) as ready,
           (select count(*) from queue.delayed d where d.task_id = t.id) as delayed,
           (select count(*) from public.effect e where e.task_id = t.id) as effects
    from queue.task t
    join queue.step s on s.run_id = t.run_id and s.index = t.step
    left join queue.lease l on l.task_id = t.id";
const STEPS: &str = "
    select run_id, index, state::text as state, unmet, tasks_total, tasks_open, tasks_failed from queue.step";
const RUNS: &str = "
    select id, state::text as state, open_steps, failed_steps, (select count(*) from queue.lease) as leases,
           (select count(*) from queue.ready) as ready, (select count(*) from queue.delayed) as delayed,
           (select count(*) from public.effect) as effects
    from queue.run";

impl Auditor {
    /// Compares every table with the model.
    pub async fn verify(&self, connection: &mut PgConnection) {
        let tasks: Vec<TaskRow> = sqlx::query_as(TASKS).fetch_all(&mut *connection).await.unwrap();
        let steps: Vec<StepRow> = sqlx::query_as(STEPS).fetch_all(&mut *connection).await.unwrap();
        let runs: Vec<RunRow> = sqlx::query_as(RUNS).fetch_all(&mut *connection).await.unwrap();
        self.verify_tasks(&tasks);
        self.verify_steps(&steps);
        self.verify_runs(&runs);
    }

    fn verify_tasks(&self, rows: &[TaskRow]) {
        assert_eq!(rows.len(), self.tasks.len(), "no task is lost, and none came from nowhere");
        for row in rows {
            let key = (self.numbers[&RunId::from_raw(row.run_id)], row.step as usize, row.index);
            let task = self.tasks.get(&key).unwrap_or_else(|| panic!("{key:?} came from nowhere"));
            let (state, attempt) = match task.place {
                Place::Blocked => ("blocked", None),
                Place::Ready => ("queued", None),
                Place::Leased(lease, _) => ("queued", Some(lease.attempt.raw())),
                Place::Delayed => ("delayed", None),
                Place::Waiting => ("waiting", None),
                Place::Succeeded => ("succeeded", None),
                Place::Failed => ("failed", None),
                Place::Cancelled => ("cancelled", None),
            };
            assert_eq!((row.state.as_str(), row.attempt_id), (state, attempt), "{key:?}");
            assert_eq!((row.attempts as u16, row.crashes as u32), (task.attempts, task.crashes), "{key:?}");
            assert_eq!(row.ready, i64::from(task.place == Place::Ready), "{key:?} among the ready");
            assert_eq!(row.delayed, i64::from(task.place == Place::Delayed), "{key:?} among the delayed");
            assert_eq!(row.effects, i64::from(self.effects.contains(&key)), "{key:?}'s effects");
        }
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
        let in_place = |wanted: fn(&Place) -> bool| {
            self.tasks.values().filter(|task| wanted(&task.place)).count() as i64
        };
        for row in rows {
            let run = &self.runs[self.numbers[&RunId::from_raw(row.id)]];
            let (open, failed) = run.counts();
            let found = (row.state.as_str(), row.open_steps as usize, row.failed_steps as usize);
            assert_eq!(found, (run.state, open, failed), "run {}", row.id);
            assert_eq!(row.leases, in_place(|place| matches!(place, Place::Leased(..))));
            assert_eq!(row.ready, in_place(|place| matches!(place, Place::Ready)));
            assert_eq!(row.delayed, in_place(|place| matches!(place, Place::Delayed)));
            assert_eq!(row.effects, self.effects.len() as i64);
        }
    }

    /// Every run has ended, and nothing is left that anybody could still do.
    pub fn verify_end(&self) {
        for run in &self.runs {
            assert_ne!(run.state, "running", "run {} has not ended", run.id);
        }
        for (key, task) in &self.tasks {
            let has_ended = matches!(task.place, Place::Succeeded | Place::Failed | Place::Cancelled);
            assert!(has_ended, "{key:?} is still {:?}", task.place);
        }
    }
}
