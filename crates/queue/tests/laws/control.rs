use serde_json::json;
use tale_queue::{
    Decision, NewStep, Question, RunState, await_approval, beat, complete, decide, expire_approvals,
    open_questions, park_paused, pause_run, read_audit, record, request_cancellation, resume_run,
    set_pipeline_limit, set_pipeline_paused, set_pool_limit, set_pool_paused, sweep_cancelled,
};

use crate::bench::{Bench, LEASE, step, sub_run, success};

fn finally(name: &str, needs: u32) -> NewStep {
    NewStep { is_finally: true, join: tale_queue::JoinRule::AllDone, ..step(name, needs, &[], 1) }
}

#[tokio::test]
async fn cancelling_a_run_takes_the_leases_of_its_attempts_and_whatever_they_still_say_counts_for_nothing() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[1], 5), step("b", 1, &[], 1)]).await;
    let other = bench.start(&mut worker.connection, vec![step("untouched", 0, &[], 1)]).await;
    let claimed = worker.claim(2).await;
    assert!(request_cancellation(&mut worker.connection, run).await.unwrap());
    assert!(sweep_cancelled(&mut worker.connection).await.unwrap());

    let leases: Vec<_> = claimed.iter().map(|task| task.lease).collect();
    let answer = beat(&mut worker.connection, worker.id, &leases, LEASE).await.unwrap();
    assert_eq!(answer.lost.len(), 2, "the next heartbeat says so");
    assert!(complete(&mut worker.connection, &[success(leases[0])]).await.unwrap().won.is_empty());
    assert_eq!(bench.state(run).await, RunState::Cancelled);
    assert_eq!(bench.steps(run).await, ["cancelled", "cancelled"]);
    assert!(bench.report(run).await.attempts.iter().all(|attempt| attempt.outcome == "cancelled"));

    assert!(!request_cancellation(&mut worker.connection, run).await.unwrap(), "it has ended");
    assert!(!sweep_cancelled(&mut worker.connection).await.unwrap());
    assert_eq!(worker.work_off().await, [(0, 0)], "another run goes on");
    assert_eq!(bench.state(other).await, RunState::Succeeded);
}

#[tokio::test]
async fn cancelling_a_run_cancels_its_sub_runs_and_runs_its_finally_steps() {
    let bench = Bench::set_up().await;
    let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
    let run = bench.start(&mut worker.connection, vec![sub_run("child", 0, &[1]), finally("tidy", 1)]).await;
    let waiting = scheduler.claim_one().await;
    let child =
        bench.start_below(&mut scheduler.connection, waiting.lease, vec![step("inner", 0, &[], 3)]).await;
    worker.claim_one().await;
    assert!(request_cancellation(&mut worker.connection, run).await.unwrap());
    while sweep_cancelled(&mut worker.connection).await.unwrap() {}
    assert_eq!(bench.state(child).await, RunState::Cancelled);
    assert_eq!(bench.steps(run).await, ["cancelled", "running"]);
    assert_eq!(bench.state(run).await, RunState::Running, "it still tidies up");
    assert_eq!(worker.work_off().await, [(1, 0)]);
    assert_eq!(bench.state(run).await, RunState::Cancelled);
    assert_eq!(bench.rows(&["ready", "lease", "delayed", "parked"]).await, 0);
}

#[tokio::test]
async fn a_finally_step_runs_after_a_failure_and_after_success() {
    let bench = Bench::set_up().await;
    for fails in [true, false] {
        let mut worker = bench.worker().await;
        let steps = vec![step("a", 0, &[1, 2], 1), step("b", 1, &[2], 1), finally("tidy", 2)];
        let run = bench.start(&mut worker.connection, steps).await;
        if fails {
            let task = worker.claim_one().await;
            tale_queue::fail(&mut worker.connection, &[crate::bench::final_failure(task.lease)])
                .await
                .unwrap();
        }
        worker.work_off().await;
        let report = bench.report(run).await;
        assert_eq!(report.steps[2].state, "succeeded");
        assert_eq!(report.state, if fails { RunState::Failed } else { RunState::Succeeded });
    }
}

#[tokio::test]
async fn many_acknowledgements_and_a_cancellation_that_meet_leave_a_whole_queue() {
    let bench = Bench::set_up().await;
    for _ in 0..10 {
        let mut worker = bench.worker().await;
        let run =
            bench.start(&mut worker.connection, vec![step("a", 0, &[1], 40), step("b", 1, &[], 4)]).await;
        let claimed = worker.claim(40).await;
        let mut acknowledging = Vec::new();
        for chunk in claimed.chunks(10) {
            let batch: Vec<_> = chunk.iter().map(|task| success(task.lease)).collect();
            let mut connection = bench.connect().await;
            acknowledging.push(tokio::spawn(async move {
                // a deadlock would be tried again, as the worker does
                while complete(&mut connection, &batch).await.is_err_and(|error| error.is_transient()) {}
            }));
        }
        let mut canceller = bench.connect().await;
        request_cancellation(&mut canceller, run).await.unwrap();
        for _ in 0..3 {
            let _ = sweep_cancelled(&mut canceller).await;
        }
        for acknowledgement in acknowledging {
            acknowledgement.await.unwrap();
        }
        while sweep_cancelled(&mut canceller).await.unwrap() {}
        let report = bench.report(run).await;
        assert!(report.state.has_ended(), "{:?}", report.state);
        assert_eq!(bench.rows(&["ready", "lease"]).await, 0);
    }
}

#[tokio::test]
async fn a_paused_run_starts_nothing_until_it_is_resumed_and_then_loses_nothing() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    let run = bench.start(&mut worker.connection, vec![step("a", 0, &[1], 4), step("b", 1, &[], 2)]).await;
    let first = worker.claim_one().await;
    assert!(pause_run(&mut worker.connection, run).await.unwrap());
    assert!(worker.claim(10).await.is_empty());
    complete(&mut worker.connection, &[success(first.lease)]).await.unwrap();
    park_paused(&mut worker.connection).await.unwrap();
    assert!(worker.claim(10).await.is_empty());
    assert_eq!(bench.rows(&["parked"]).await, 3);
    assert!(resume_run(&mut worker.connection, run).await.unwrap());
    assert_eq!(worker.work_off().await.len(), 5);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_paused_pool_gives_nothing_away() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    bench.start(&mut worker.connection, vec![step("a", 0, &[], 2)]).await;
    assert!(set_pool_paused(&mut worker.connection, "cpu", true).await.unwrap());
    assert!(worker.claim(10).await.is_empty());
    assert!(set_pool_paused(&mut worker.connection, "cpu", false).await.unwrap());
    assert_eq!(worker.claim(10).await.len(), 2);
}

#[tokio::test]
async fn a_limited_pool_never_runs_more_over_all_its_workers() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    bench.start(&mut connection, vec![step("a", 0, &[], 30)]).await;
    set_pool_limit(&mut connection, "cpu", Some(5)).await.unwrap();
    let mut claiming = Vec::new();
    for _ in 0..6 {
        let mut worker = bench.worker().await;
        claiming.push(tokio::spawn(async move { worker.claim(4).await.len() }));
    }
    let mut claimed = 0;
    for claim in claiming {
        claimed += claim.await.unwrap();
    }
    assert_eq!(claimed, 5);
}

#[tokio::test]
async fn runs_of_a_limited_pipeline_wait_for_one_another_in_order() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    set_pipeline_limit(&mut worker.connection, "law", Some(1)).await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await);
    }
    for (turn, run) in runs.iter().enumerate() {
        assert_eq!(bench.state(*run).await, RunState::Running);
        for later in &runs[turn + 1..] {
            assert_eq!(bench.state(*later).await, RunState::Queued);
        }
        let task = worker.claim_one().await;
        assert_eq!(task.run, *run);
        complete(&mut worker.connection, &[success(task.lease)]).await.unwrap();
        assert_eq!(bench.state(*run).await, RunState::Succeeded);
    }
    assert_eq!(bench.rows(&["place"]).await, 0);
}

#[tokio::test]
async fn a_paused_pipelines_new_runs_wait_and_a_waiting_run_can_be_cancelled() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker().await;
    assert_eq!(set_pipeline_paused(&mut worker.connection, "nonsense", true).await.unwrap(), None);
    assert_eq!(set_pipeline_paused(&mut worker.connection, "law", true).await.unwrap(), Some(true));
    let cancelled = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    let waits = bench.start(&mut worker.connection, vec![step("a", 0, &[], 1)]).await;
    assert_eq!(bench.state(waits).await, RunState::Queued);
    assert!(worker.claim(10).await.is_empty());
    request_cancellation(&mut worker.connection, cancelled).await.unwrap();
    sweep_cancelled(&mut worker.connection).await.unwrap();
    assert_eq!(bench.state(cancelled).await, RunState::Cancelled);
    assert_eq!(set_pipeline_paused(&mut worker.connection, "law", false).await.unwrap(), Some(true));
    worker.work_off().await;
    assert_eq!(bench.state(waits).await, RunState::Succeeded);
}

#[tokio::test]
async fn an_approval_holds_no_worker_and_its_answer_decides_the_step() {
    let bench = Bench::set_up().await;
    let question =
        |timeout_ms, on_timeout| Question { prompt: Some("well?".to_owned()), timeout_ms, on_timeout };
    for (decision, by_time_out, state) in [
        (Decision::Approved, false, RunState::Succeeded),
        (Decision::Rejected, false, RunState::Failed),
        (Decision::Approved, true, RunState::Succeeded),
        (Decision::Rejected, true, RunState::Failed),
    ] {
        let (mut worker, mut scheduler) = (bench.worker().await, bench.scheduler().await);
        let run =
            bench.start(&mut worker.connection, vec![sub_run("ask", 0, &[1]), step("go", 1, &[], 1)]).await;
        let task = scheduler.claim_one().await;
        let asked = question(by_time_out.then_some(1), decision);
        assert!(await_approval(&mut scheduler.connection, task.lease, &asked).await.unwrap());
        assert!(!await_approval(&mut scheduler.connection, task.lease, &asked).await.unwrap(), "fenced");
        assert_eq!(bench.rows(&["lease"]).await, 0);
        let open = open_questions(&mut worker.connection, Some(run)).await.unwrap();
        assert_eq!((open.len(), open[0].step.as_str()), (1, "ask"));
        if by_time_out {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            assert!(expire_approvals(&mut worker.connection).await.unwrap());
        } else {
            let reason = Some("because");
            assert_eq!(decide(&mut worker.connection, &open, decision, "ann", reason).await.unwrap(), 1);
        }
        assert_eq!(decide(&mut worker.connection, &open, Decision::Approved, "bob", None).await.unwrap(), 0);
        worker.work_off().await;
        let report = bench.report(run).await;
        assert_eq!(report.state, state);
        if decision == Decision::Rejected && !by_time_out {
            assert_eq!(report.tasks[0].error.as_deref(), Some("rejected by ann: because"));
        }
    }
}

#[tokio::test]
async fn the_audit_log_is_only_ever_added_to() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    record(&mut connection, "ann@host", "run.cancel", "some-run", &json!({ "why": 1 })).await.unwrap();
    for statement in
        ["update queue.audit set actor = 'bob'", "delete from queue.audit", "truncate queue.audit"]
    {
        let refused = sqlx::query(statement).execute(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains("only ever added"), "{refused}");
    }
    let entries = read_audit(&mut connection, Some("some-run"), 10).await.unwrap();
    assert_eq!((entries.len(), entries[0].actor.as_str()), (1, "ann@host"));
}
