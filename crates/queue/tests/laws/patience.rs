//! Retries by class of error, the time that all attempts have together, and deadlines of runs.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use sqlx::{Connection, Row};
use tale_primitives::TaskId;
use tale_queue::{
    Again, Failure, Lease, NewDeadline, NewStep, Patience, Retry, RunState, beat, fail, find_deadline,
    late_runs, list_alerts, pass_deadlines, promote_due, reap, record_hook, retry_run, set_deadline,
    stop_overdue, sweep_cancelled,
};

use crate::bench::{Bench, Hand, LEASE, failure, final_failure, step, success};

const fn retry(attempts_max: u16) -> Retry {
    Retry { attempts_max, backoff_base_ms: 1_000, backoff_cap_ms: 60_000 }
}

/// A step of one task that is tried twice, and as these classes say.
fn classed(classes: &[(&str, Retry)]) -> NewStep {
    let classes: BTreeMap<_, _> =
        classes.iter().map(|(class, retry)| ((*class).to_owned(), *retry)).collect();
    let patience = Patience { classes, timeout_total_ms: None };
    NewStep { retry: retry(2), patience, ..step("a", 0, &[], 1) }
}

fn of_class(lease: Lease, class: &str) -> Failure {
    Failure { class: Some(class.to_owned()), ..failure(lease) }
}

/// Fails attempts with these classes, one after another, as long as the task is tried again; says how many it took.
async fn attempts(bench: &Bench, worker: &mut Hand, classes: &[Option<&str>]) -> usize {
    for (place, class) in classes.iter().enumerate() {
        let claimed = worker.claim_one().await;
        let error = match class {
            Some(class) => of_class(claimed.lease, class),
            None => failure(claimed.lease),
        };
        fail(&mut worker.connection, &[error]).await.unwrap();
        if bench.rows(&["delayed"]).await == 0 {
            return place + 1;
        }
        bench.make_due().await;
        assert_eq!(promote_due(&mut worker.connection, 10).await.unwrap(), 1);
    }
    usize::MAX
}

#[tokio::test]
async fn a_class_with_a_policy_of_its_own_counts_apart_from_all_other_errors() {
    let throttled = [("throttled", retry(4))];
    for (policies, errors, expected) in [
        (&throttled[..], vec![None, None], 2),
        (&throttled[..], vec![Some("timeout"), None], 2),
        (&throttled[..], vec![Some("throttled"); 4], 4),
        (&throttled[..], vec![Some("throttled"), None, Some("throttled"), Some("throttled"), None], 5),
        (
            &throttled[..],
            vec![None, Some("throttled"), Some("throttled"), Some("throttled"), Some("throttled")],
            5,
        ),
        (&[("exit-2", retry(1))][..], vec![Some("exit-2")], 1),
        // the longest name that fits decides; each is a count of its own
        (
            &[("http-5*", retry(3)), ("http-*", retry(1))][..],
            vec![Some("http-503"), Some("http-500"), Some("http-502")],
            3,
        ),
        (&[("http-5*", retry(3)), ("http-*", retry(1))][..], vec![Some("http-404")], 1),
        (&[("http-5*", retry(3)), ("http-503", retry(1))][..], vec![Some("http-503")], 1),
    ] {
        let bench = Bench::set_up().await;
        let mut worker = bench.worker().await;
        let run = bench.start(&mut worker.connection, vec![classed(policies)]).await;
        assert_eq!(attempts(&bench, &mut worker, &errors).await, expected, "{errors:?}");
        let report = bench.report(run).await;
        assert_eq!(report.state, RunState::Failed);
        let classes: Vec<_> = report.attempts.iter().map(|attempt| attempt.class.as_deref()).collect();
        assert_eq!(classes, errors[..expected]);
    }
}

#[tokio::test]
async fn what_a_task_says_of_its_fate_and_its_time_holds_for_every_class() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![classed(&[("throttled", retry(9))]); 2]).await;
    let claimed = worker.claim(2).await;
    let chosen =
        Failure { retry_after: Some(Duration::from_secs(500)), ..of_class(claimed[0].lease, "throttled") };
    let final_ = Failure { class: Some("throttled".to_owned()), ..final_failure(claimed[1].lease) };
    fail(&mut worker.connection, &[chosen, final_]).await.unwrap();
    let row = sqlx::query("select task_id, extract(epoch from run_at - now())::float8 from queue.delayed")
        .fetch_one(&mut worker.connection)
        .await
        .unwrap();
    assert_eq!(TaskId::from_raw(row.get(0)), claimed[0].lease.task);
    assert!((490.0..=500.0).contains(&row.get::<f64, _>(1)));
}

#[tokio::test]
async fn the_back_off_of_a_class_grows_with_its_own_failures_alone() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let slow = Retry { attempts_max: 50, backoff_base_ms: 3_600_000, backoff_cap_ms: 7_200_000 };
    let step = NewStep { retry: Retry { backoff_cap_ms: 1_000, ..retry(50) }, ..classed(&[("slow", slow)]) };
    bench.start(&mut worker.connection, vec![step]).await;
    let (mut usual, mut slowest) = (0.0_f64, 0.0_f64);
    for place in 0..30 {
        let claimed = worker.claim_one().await;
        let is_slow = place % 2 == 0;
        let error = if is_slow { of_class(claimed.lease, "slow") } else { failure(claimed.lease) };
        fail(&mut worker.connection, &[error]).await.unwrap();
        let delay: f64 = sqlx::query_scalar(
            "select extract(epoch from run_at - clock_timestamp())::float8 from queue.delayed",
        )
        .fetch_one(&mut worker.connection)
        .await
        .unwrap();
        let longest = if is_slow { &mut slowest } else { &mut usual };
        *longest = longest.max(delay);
        bench.make_due().await;
        promote_due(&mut worker.connection, 10).await.unwrap();
    }
    assert!(usual <= 1.0, "{usual}");
    assert!((60.0..=7_200.0).contains(&slowest), "{slowest}");
}

#[tokio::test]
async fn a_step_says_how_many_workers_its_tasks_may_lose() {
    for (policies, expected) in
        [(&[][..], 3), (&[("crashed", retry(1))][..], 1), (&[("crashed", retry(5))][..], 5)]
    {
        let bench = Bench::set_up().await;
        let mut observer = bench.connect().await;
        let run = bench.start(&mut observer, vec![classed(policies)]).await;
        for crash in 1..=expected {
            let mut dying = bench.worker().await;
            dying.claim_one().await;
            bench.silence(dying.id).await;
            let reaped = reap(&mut observer, LEASE, 3).await.unwrap();
            assert_eq!(reaped[0].is_dead, crash == expected, "crash {crash} of {expected}");
        }
        assert_eq!(bench.state(run).await, RunState::Failed);
    }
}

fn timed(timeout_ms: Option<u64>, total_ms: u64) -> NewStep {
    let patience = Patience { timeout_total_ms: Some(total_ms), ..Patience::default() };
    let retry = Retry { attempts_max: 50, backoff_base_ms: 0, backoff_cap_ms: 0 };
    NewStep { retry, timeout_ms, patience, ..step("a", 0, &[], 1) }
}

/// Makes all that has begun look as if it had begun so much earlier.
async fn age(worker: &mut Hand, seconds: i64) {
    for statement in [
        "update queue.lease set claimed_at = claimed_at - $1 * interval '1 second'",
        "update queue.task set began_at = began_at - $1 * interval '1 second'",
    ] {
        sqlx::query(statement).bind(seconds as f64).execute(&mut worker.connection).await.unwrap();
    }
}

#[tokio::test]
async fn an_attempt_gets_what_is_left_of_the_time_of_all_and_no_retry_starts_after_it() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![timed(Some(30_000), 60_000)]).await;
    let again = async |worker: &mut Hand| {
        bench.make_due().await;
        promote_due(&mut worker.connection, 10).await.unwrap();
        worker.claim_one().await
    };
    let first = worker.claim_one().await;
    assert_eq!(first.timeout, Some(Duration::from_secs(30)));
    age(&mut worker, 40).await;
    fail(&mut worker.connection, &[failure(first.lease)]).await.unwrap();
    let second = again(&mut worker).await;
    let left = second.timeout.unwrap();
    assert!(left > Duration::from_secs(10) && left <= Duration::from_secs(20), "{left:?}");
    age(&mut worker, 30).await;
    fail(&mut worker.connection, &[failure(second.lease)]).await.unwrap();
    let report = bench.report(run).await;
    assert_eq!((report.state, report.attempts.len()), (RunState::Failed, 2));
    let error = report.tasks[0].error.as_deref().unwrap();
    assert!(error.starts_with("it broke; the task has no time left of the 60"), "{error}");

    // a person who runs it again gives it its time again
    retry_run(&mut worker.connection, run, &Again { only_failed: true, ..Again::default() }).await.unwrap();
    assert_eq!(worker.claim_one().await.timeout, Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn a_lost_worker_gives_no_time_back() {
    let bench = Bench::set_up().await;
    let (mut dying, mut worker) = (bench.worker().await, bench.worker().await);
    bench.start(&mut worker.connection, vec![timed(None, 60_000)]).await;
    assert_eq!(dying.claim_one().await.timeout, Some(Duration::from_secs(60)));
    age(&mut worker, 50).await;
    bench.silence(dying.id).await;
    reap(&mut worker.connection, LEASE, 3).await.unwrap();
    let left = worker.claim_one().await.timeout.unwrap();
    assert!(left <= Duration::from_secs(10), "{left:?}");
}

#[tokio::test]
async fn an_attempt_that_its_worker_does_not_stop_in_time_is_stopped_by_the_database() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![timed(None, 60_000), step("other", 0, &[], 1)]).await;
    let claimed = worker.claim(2).await;
    assert_eq!(stop_overdue(&mut worker.connection).await.unwrap(), 0);
    age(&mut worker, 70).await;
    assert_eq!(stop_overdue(&mut worker.connection).await.unwrap(), 1);
    assert_eq!(stop_overdue(&mut worker.connection).await.unwrap(), 0);
    let leases: Vec<_> = claimed.iter().map(|task| task.lease).collect();
    assert_eq!(beat(&mut worker.connection, worker.id, &leases, LEASE).await.unwrap().lost.len(), 1);
    let report = bench.report(run).await;
    assert_eq!(report.steps[0].state, "failed");
    assert_eq!(report.attempts[0].class.as_deref(), Some("timeout"));
    tale_queue::complete(&mut worker.connection, &[success(claimed[1].lease)]).await.unwrap();
    assert_eq!(bench.steps(run).await, ["failed", "succeeded"]);
}

fn deadline(cancels: bool) -> NewDeadline {
    NewDeadline { after_ms: 60_000, cancels, hook: Some(json!({ "run": "help" })) }
}

async fn make_deadlines_due(worker: &mut Hand) {
    sqlx::query("update queue.deadline set due_at = due_at - interval '1 hour'")
        .execute(&mut worker.connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_run_that_goes_on_past_its_deadline_raises_one_alert_however_many_look() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    set_deadline(&mut worker.connection, run, &deadline(false)).await.unwrap();
    assert!(find_deadline(&mut worker.connection, run).await.unwrap().is_some());
    assert!(pass_deadlines(&mut worker.connection, 10).await.unwrap().is_empty(), "its time has not come");
    make_deadlines_due(&mut worker).await;
    let mut looking = Vec::new();
    for _ in 0..8 {
        let mut connection = bench.connect().await;
        looking.push(tokio::spawn(async move {
            let mut transaction = connection.begin().await.unwrap();
            let missed = pass_deadlines(&mut transaction, 10).await.unwrap();
            for missed in &missed {
                record_hook(&mut transaction, missed.alert, Err("nobody helps".to_owned())).await.unwrap();
            }
            transaction.commit().await.unwrap();
            missed.len()
        }));
    }
    let mut raised = 0;
    for looking in looking {
        raised += looking.await.unwrap();
    }
    assert_eq!(raised, 1);
    let alerts = list_alerts(&mut worker.connection, Some(run), None, 10).await.unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].hook_pipeline.as_deref(), Some("help"));
    assert_eq!(alerts[0].hook_error.as_deref(), Some("nobody helps"));
    assert_eq!((alerts[0].state, alerts[0].cancelled), (RunState::Running, false));
    assert_eq!(late_runs(&mut worker.connection, &[run]).await.unwrap(), [run]);
    worker.work_off().await;
    assert_eq!(bench.state(run).await, RunState::Succeeded, "it goes on all the same");
}

#[tokio::test]
async fn an_alert_whose_scheduler_dies_before_it_commits_is_raised_by_another() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    set_deadline(&mut worker.connection, run, &deadline(false)).await.unwrap();
    make_deadlines_due(&mut worker).await;
    let mut dying = bench.connect().await;
    let mut transaction = dying.begin().await.unwrap();
    assert_eq!(pass_deadlines(&mut transaction, 10).await.unwrap().len(), 1);
    assert!(pass_deadlines(&mut worker.connection, 10).await.unwrap().is_empty());
    transaction.rollback().await.unwrap();
    assert_eq!(pass_deadlines(&mut worker.connection, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_deadline_that_cancels_stops_its_run_and_one_that_is_kept_says_nothing() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let kept = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    set_deadline(&mut worker.connection, kept, &deadline(true)).await.unwrap();
    worker.work_off().await;
    let late = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    set_deadline(&mut worker.connection, late, &deadline(true)).await.unwrap();
    make_deadlines_due(&mut worker).await;
    let missed = pass_deadlines(&mut worker.connection, 10).await.unwrap();
    assert_eq!(missed.iter().map(|missed| missed.run).collect::<Vec<_>>(), [late]);
    while sweep_cancelled(&mut worker.connection).await.unwrap() {}
    assert_eq!(bench.state(late).await, RunState::Cancelled);
    assert_eq!(bench.state(kept).await, RunState::Succeeded);
    assert_eq!(bench.rows(&["deadline"]).await, 0);
    assert!(list_alerts(&mut worker.connection, None, Some("law"), 10).await.unwrap()[0].cancelled);
}
