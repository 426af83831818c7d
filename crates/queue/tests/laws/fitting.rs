use std::collections::HashMap;

use rand::{Rng, RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sqlx::Row;
use tale_primitives::WorkerId;
use tale_queue::{
    Again, ClaimedTask, Claimer, Lease, Limit, NewRun, NewStep, NewTask, NewWorker, Resources, Retry,
    RunState, complete, expand_step, fail, promote_due, reap, release, retry_run, start_run, unfit_steps,
};
use tale_testkit::{announce_on_panic, seeds};

use crate::bench::{Bench, Hand, LEASE, failure, final_failure, new_tasks, step, success, unplanned};

fn of(cpu_millis: u32, memory_bytes: u64, gpus: u32, labels: &[&str]) -> Resources {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Resources { cpu_millis, memory_bytes, gpus, labels }
}

fn asking(name: &str, tasks: u32, asks: Resources) -> NewStep {
    NewStep { asks, ..step(name, 0, &[], tasks) }
}

impl Bench {
    /// A registered worker of the pool `cpu` that has this.
    async fn worker_with(&self, slots: u32, has: Resources) -> Hand {
        let (pool, host) = ("cpu".to_owned(), "test".to_owned());
        let worker = NewWorker { id: WorkerId::generate(), pool, host, pid: 1, slots, has: Some(has) };
        self.hire(worker).await
    }

    /// Makes everything that is ready look as if it had waited for long.
    async fn wait_for_long(&self) {
        sqlx::query("update queue.ready set entered_at = entered_at - interval '20 seconds'")
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    /// No worker holds more than it has, of anything: found by what the tasks' steps ask for.
    async fn nobody_is_overcommitted(&self) {
        let rows = sqlx::query(
            "select w.slots, w.cpu_millis, w.memory_bytes, w.gpus, count(l.task_id) as running,
                    coalesce(sum(d.cpu_millis), 0)::bigint as cpu, coalesce(sum(d.memory_bytes), 0)::bigint as memory,
                    coalesce(sum(d.gpus), 0)::bigint as gpu,
                    coalesce(bool_and(coalesce(d.labels, '{}') <@ coalesce(w.labels, '{}')), true) as is_labelled,
                    coalesce(bool_and(l.lane is not distinct from d.id), true) as is_noted
             from queue.worker w
             left join queue.lease l on l.worker_id = w.id
             left join queue.task t on t.id = l.task_id
             left join queue.step s on s.run_id = t.run_id and s.index = t.step
             left join queue.lane d on d.id = s.pool and t.index >= 0
             group by w.id",
        )
        .fetch_all(&mut self.connect().await)
        .await
        .unwrap();
        for row in rows {
            let has = |name: &str| row.get::<Option<i64>, _>(name).unwrap_or(0);
            let narrow = |name: &str| i64::from(row.get::<Option<i32>, _>(name).unwrap_or(0));
            assert!(row.get::<i64, _>("cpu") <= narrow("cpu_millis"), "processors");
            assert!(row.get::<i64, _>("memory") <= has("memory_bytes"), "memory");
            assert!(row.get::<i64, _>("gpu") <= narrow("gpus"), "GPUs");
            assert!(row.get::<i64, _>("running") <= i64::from(row.get::<i32, _>("slots")), "slots");
            assert!(row.get::<bool, _>("is_labelled"), "labels");
            assert!(row.get::<bool, _>("is_noted"), "each lease notes what it uses");
        }
    }
}

impl Hand {
    async fn fit(&mut self, count: u32) -> Vec<ClaimedTask> {
        self.claimer.claim_fitting(&mut self.connection, count).await.expect("claiming works")
    }

    async fn finish(&mut self, tasks: &[ClaimedTask]) {
        let successes: Vec<_> = tasks.iter().map(|task| success(task.lease)).collect();
        complete(&mut self.connection, &successes).await.expect("completing works");
    }
}

fn names(tasks: &[ClaimedTask]) -> Vec<&str> {
    tasks.iter().map(|task| task.step_name.as_str()).collect()
}

#[tokio::test]
async fn a_worker_is_given_what_fits_into_what_it_has_left_and_no_more() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker_with(8, of(4_000, 8 << 30, 1, &[])).await;
    let steps = vec![
        asking("cpu", 9, of(1_500, 0, 0, &[])),
        asking("gpu", 3, of(500, 1 << 30, 1, &[])),
        step("free", 0, &[], 3),
    ];
    bench.start(&mut worker.connection, steps).await;
    let first = worker.fit(8).await;
    assert_eq!(names(&first), ["cpu", "cpu", "gpu", "free", "free", "free"]);
    bench.nobody_is_overcommitted().await;
    assert!(worker.fit(8).await.is_empty());
    // half a processor and the GPU come back, which the next of its kind takes
    worker.finish(&first[2..3]).await;
    assert_eq!(names(&worker.fit(8).await), ["gpu"]);
    bench.nobody_is_overcommitted().await;
}

#[tokio::test]
async fn slots_bound_the_count_whatever_the_resources_allow() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker_with(2, of(64_000, 1 << 40, 8, &[])).await;
    let steps = vec![asking("small", 5, of(1, 0, 0, &[])), step("free", 0, &[], 5)];
    bench.start(&mut worker.connection, steps).await;
    assert_eq!(worker.fit(10).await.len(), 2);
    assert!(worker.fit(10).await.is_empty());
}

#[tokio::test]
async fn labels_are_respected() {
    let bench = Bench::set_up().await;
    let mut plain = bench.worker_with(8, of(8_000, 0, 0, &[])).await;
    let mut labelled = bench.worker_with(8, of(8_000, 0, 0, &["a100", "zone-a"])).await;
    let steps = vec![
        asking("both", 1, of(0, 0, 0, &["zone-a", "a100"])),
        asking("other", 1, of(0, 0, 0, &["zone-b"])),
        asking("none", 1, of(1_000, 0, 0, &[])),
    ];
    bench.start(&mut plain.connection, steps).await;
    assert_eq!(names(&plain.fit(8).await), ["none"]);
    assert_eq!(names(&labelled.fit(8).await), ["both"]);
    bench.nobody_is_overcommitted().await;
}

#[tokio::test]
async fn a_worker_that_advertises_nothing_is_given_what_asks_for_nothing_by_either_way_of_claiming() {
    let bench = Bench::set_up().await;
    let mut old = bench.worker().await;
    let steps = vec![
        asking("cpu", 3, of(1, 0, 0, &[])),
        asking("label", 3, of(0, 0, 0, &["zone-a"])),
        step("free", 0, &[], 4),
    ];
    bench.start(&mut old.connection, steps).await;
    assert_eq!(names(&old.claim(2).await), ["free", "free"]);
    assert_eq!(names(&old.fit(10).await), ["free", "free"]);
    assert!(old.claim(10).await.is_empty() && old.fit(10).await.is_empty());
}

#[tokio::test]
async fn a_pool_weighs_once_a_task_asks_or_a_worker_has_a_gpu_and_not_before() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker_with(4, of(4_000, 0, 0, &[])).await;
    bench.start(&mut worker.connection, vec![step("free", 0, &[], 1)]).await;
    assert!(!worker.claimer.weighs(&mut worker.connection).await.unwrap());
    bench.start(&mut worker.connection, vec![asking("cpu", 1, of(1, 0, 0, &[]))]).await;
    assert!(worker.claimer.weighs(&mut worker.connection).await.unwrap());

    let id = WorkerId::generate();
    let has = Some(of(0, 0, 1, &[]));
    let mut gpu = bench
        .hire(NewWorker { id, pool: "images".to_owned(), host: "test".to_owned(), pid: 1, slots: 1, has })
        .await;
    assert!(gpu.claimer.weighs(&mut gpu.connection).await.unwrap(), "whatever the pool is called");
}

#[tokio::test]
async fn a_large_task_does_not_starve_behind_a_stream_of_small_ones() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker_with(4, of(4_000, 0, 0, &[])).await;
    let small = || asking("small", 4, of(1_000, 0, 0, &[]));
    bench.start(&mut worker.connection, vec![small()]).await;
    let mut held = worker.fit(4).await;
    bench.start(&mut worker.connection, vec![asking("large", 1, of(4_000, 0, 0, &[]))]).await;
    // a small task ends, and another takes its room, until the large one has waited for long
    bench.start(&mut worker.connection, vec![small()]).await;
    worker.finish(&[held.remove(0)]).await;
    held.extend(worker.fit(4).await);
    assert_eq!(names(&held), ["small"; 4]);
    bench.wait_for_long().await;
    while !held.is_empty() {
        worker.finish(&[held.remove(0)]).await;
        bench.start(&mut worker.connection, vec![small()]).await;
        let claimed = worker.fit(4).await;
        bench.nobody_is_overcommitted().await;
        let expected: &[&str] = if held.is_empty() { &["large"] } else { &[] };
        assert_eq!(names(&claimed), expected, "room is kept while {} small ones end", held.len());
    }
}

#[tokio::test]
async fn what_goes_beside_the_room_that_is_kept_is_not_held_up() {
    let bench = Bench::set_up().await;
    let mut worker = bench.worker_with(8, of(4_000, 0, 1, &[])).await;
    bench.start(&mut worker.connection, vec![asking("gpu", 2, of(1_000, 0, 1, &[]))]).await;
    assert_eq!(worker.fit(8).await.len(), 1);
    bench.wait_for_long().await;
    bench
        .start(&mut worker.connection, vec![asking("cpu", 4, of(1_000, 0, 0, &[])), step("free", 0, &[], 9)])
        .await;
    // a processor is kept for the second GPU task, and a slot
    let beside = worker.fit(8).await;
    assert_eq!(beside.iter().filter(|task| task.step_name == "cpu").count(), 2);
    assert_eq!(beside.len(), 6);
}

#[tokio::test]
async fn one_worker_keeps_room_at_a_time_and_another_takes_over_when_it_falls_silent() {
    let bench = Bench::set_up().await;
    let has = || of(2_000, 0, 0, &[]);
    let (mut first, mut second) = (bench.worker_with(4, has()).await, bench.worker_with(4, has()).await);
    let small = |tasks| asking("small", tasks, of(1_000, 0, 0, &[]));
    bench.start(&mut first.connection, vec![small(4)]).await;
    let (mut of_first, mut of_second) = (first.fit(4).await, second.fit(4).await);
    bench.start(&mut first.connection, vec![asking("large", 1, of(2_000, 0, 0, &[]))]).await;
    bench.wait_for_long().await;
    bench.start(&mut first.connection, vec![small(4)]).await;
    first.finish(&[of_first.remove(0)]).await;
    assert!(first.fit(4).await.is_empty(), "it keeps room");
    second.finish(&[of_second.remove(0)]).await;
    assert_eq!(names(&second.fit(4).await), ["small"], "one is enough");

    bench.silence(first.id).await;
    reap(&mut second.connection, LEASE, 3).await.unwrap();
    second.finish(&[of_second.remove(0)]).await;
    assert!(second.fit(4).await.is_empty(), "now it is the one that keeps room");
}

#[tokio::test]
async fn every_way_into_the_queue_carries_what_the_task_asks_for() {
    let bench = Bench::set_up().await;
    let mut old = bench.worker().await;
    let mut worker = bench.worker_with(100, of(1_000, 0, 0, &[])).await;
    let asks = || of(1_000, 0, 0, &[]);
    let retry = Retry { attempts_max: 3, backoff_base_ms: 0, backoff_cap_ms: 0 };
    let limited = NewStep {
        limit: Limit { capacity: Some(1), rate: None },
        tasks: Some(vec![NewTask {
            index: 0,
            arguments: serde_json::Value::Null,
            limit_key: Some("key".to_owned()),
            cache_key: None,
        }]),
        retry,
        ..asking("limited", 0, asks())
    };
    let mut run = bench.run_of(vec![limited, NewStep { asks: asks(), ..unplanned("found", 0, &[]) }]);
    run.tenant = Some("ann".to_owned());
    start_run(&mut worker.connection, &run).await.unwrap();
    assert!(old.claim(10).await.is_empty());

    // through a limit and a tenant's turn, a failure, a hand-back, the death of its worker
    let limited = worker.fit(10).await.remove(0);
    fail(&mut worker.connection, &[failure(limited.lease)]).await.unwrap();
    bench.make_due().await;
    promote_due(&mut worker.connection, 10).await.unwrap();
    assert!(old.claim(10).await.is_empty());
    let limited = worker.fit(10).await.remove(0);
    release(&mut worker.connection, &[limited.lease]).await.unwrap();
    assert!(old.claim(10).await.is_empty());
    assert_eq!(worker.fit(10).await.len(), 1);
    bench.silence(worker.id).await;
    reap(&mut old.connection, LEASE, 3).await.unwrap();
    assert!(old.claim(10).await.is_empty());

    // found at run time
    let mut scheduler = bench.scheduler().await;
    let expansion = scheduler.claim_one().await;
    expand_step(&mut scheduler.connection, expansion.lease, Some((2, &new_tasks(2)))).await.unwrap();
    assert!(old.claim(10).await.is_empty());
    let mut worker = bench.worker_with(100, of(3_000, 0, 0, &[])).await;
    let all = worker.fit(10).await;
    assert_eq!(all.len(), 3);
    // failed, and run again
    for task in &all {
        fail(&mut worker.connection, &[final_failure(task.lease)]).await.unwrap();
    }
    assert_eq!(bench.state(run.id).await, RunState::Failed);
    let again = Again { from: vec![], only_failed: true };
    retry_run(&mut worker.connection, run.id, &again).await.unwrap();
    assert!(old.claim(10).await.is_empty());
    assert_eq!(worker.fit(10).await.len(), 3);
    let report = bench.report(run.id).await;
    assert!(report.steps.iter().all(|step| step.pool == "cpu"), "a lane goes by the name of its pool");
}

#[tokio::test]
async fn a_step_that_no_live_worker_fits_is_named_with_what_the_nearest_lacks() {
    let bench = Bench::set_up().await;
    let mut connection = bench.connect().await;
    let run = bench.start(&mut connection, vec![asking("train", 1, of(4_000, 0, 1, &["a100"]))]).await;
    let unfit = unfit_steps(&mut connection, Some(run)).await.unwrap();
    assert_eq!(
        unfit[0].to_string(),
        "step train of law asks for cpu 4, gpu 1, labels a100, and pool cpu has no live worker"
    );
    let _far = bench.worker_with(4, of(1_000, 0, 0, &[])).await;
    let _near = bench.worker_with(4, of(8_000, 0, 2, &["b200"])).await;
    let _old = bench.worker().await;
    let unfit = unfit_steps(&mut connection, None).await.unwrap();
    assert_eq!(unfit[0].workers, 3);
    assert_eq!(unfit[0].nearest.as_ref().unwrap().lacks, ["label a100"]);
    let _fits = bench.worker_with(4, of(8_000, 0, 2, &["a100", "zone-a"])).await;
    assert!(unfit_steps(&mut connection, Some(run)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lane_is_made_once_and_naming_pools_takes_no_numbers() {
    let bench = Bench::set_up().await;
    let mut others: Vec<_> = Vec::new();
    for _ in 0..4 {
        let mut connection = bench.connect().await;
        let runs: Vec<NewRun> = (0..5)
            .map(|_| bench.run_of(vec![asking("a", 1, of(1_000, 0, 0, &["x", "a"])), step("b", 0, &[], 1)]))
            .collect();
        others.push(tokio::spawn(async move {
            for run in runs {
                let mut transaction = sqlx::Connection::begin(&mut connection).await.unwrap();
                start_run(&mut transaction, &run).await.unwrap();
                transaction.commit().await.unwrap();
            }
        }));
    }
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(bench.rows(&["lane"]).await, 1);
    let last: i64 = sqlx::query_scalar("select last_value from queue.pool_id_seq")
        .fetch_one(&mut bench.connect().await)
        .await
        .unwrap();
    assert!(last < 10, "{last} numbers of 32,767 are gone");
}

fn random_resources(random: &mut impl Rng, most: u32) -> Resources {
    let mut labels = Vec::new();
    for label in ["a", "b"] {
        if random.random_ratio(1, 6) {
            labels.push(label.to_owned());
        }
    }
    let mut up_to = |most: u32| if random.random_bool(0.5) { random.random_range(0..=most) } else { 0 };
    Resources {
        cpu_millis: up_to(most) * 500,
        memory_bytes: u64::from(up_to(most)),
        gpus: up_to(most / 4),
        labels,
    }
}

struct Seat {
    hand: Hand,
    has: Resources,
    held: Vec<Lease>,
}

/// Claims, ends, failures, hand-backs and deaths in a random order, with a look at the books after each.
async fn work_at_random(seed: u64) {
    let _notice = announce_on_panic(seed);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let bench = Bench::set_up().await;
    let mut seats: Vec<Seat> = Vec::new();
    for _ in 0..random.random_range(1..=3) {
        let mut has = random_resources(&mut random, 12);
        has.cpu_millis += 1_000;
        let hand = bench.worker_with(random.random_range(1..=6), has.clone()).await;
        seats.push(Seat { hand, has, held: vec![] });
    }
    let mut asked: HashMap<String, Resources> = HashMap::new();
    let mut steps = Vec::new();
    for index in 0..random.random_range(3..=8) {
        let asks = random_resources(&mut random, 8);
        let name = format!("step-{index}");
        asked.insert(name.clone(), asks.clone());
        let retry = Retry { attempts_max: 100, backoff_base_ms: 0, backoff_cap_ms: 0 };
        steps.push(NewStep { retry, ..asking(&name, random.random_range(1..=6), asks) });
    }
    let mut connection = bench.connect().await;
    let run = bench.start(&mut connection, steps).await;

    for _ in 0..60 {
        let seat = random.random_range(0..seats.len());
        let seat = &mut seats[seat];
        match random.random_range(0..10) {
            0..5 => {
                let count = random.random_range(1..=5);
                let claimed = seat.hand.fit(count).await;
                for task in &claimed {
                    let lack = seat.has.lack(&asked[&task.step_name]);
                    assert!(lack.is_empty(), "{} was given to one that lacks {lack:?}", task.step_name);
                }
                seat.held.extend(claimed.iter().map(|task| task.lease));
            }
            5..9 => {
                let Some(lease) = seat.held.choose(&mut random).copied() else { continue };
                seat.held.retain(|held| *held != lease);
                match random.random_range(0..3) {
                    0 => drop(complete(&mut connection, &[success(lease)]).await.unwrap()),
                    1 => {
                        fail(&mut connection, &[failure(lease)]).await.unwrap();
                        bench.make_due().await;
                        promote_due(&mut connection, 10).await.unwrap();
                    }
                    _ => drop(release(&mut connection, &[lease]).await.unwrap()),
                }
            }
            _ => {
                bench.silence(seat.hand.id).await;
                reap(&mut connection, LEASE, 1000).await.unwrap();
                seat.held.clear();
                seat.hand = bench.worker_with(random.random_range(1..=6), seat.has.clone()).await;
            }
        }
        bench.nobody_is_overcommitted().await;
        if random.random_ratio(1, 4) {
            bench.wait_for_long().await;
        }
    }

    // whatever fits somewhere is done in the end, and nothing else
    for _ in 0..200 {
        let mut is_idle = true;
        for seat in &mut seats {
            let claimed = seat.hand.fit(5).await;
            seat.held.extend(claimed.iter().map(|task| task.lease));
            is_idle &= seat.held.is_empty();
            if let Some(lease) = seat.held.pop() {
                complete(&mut connection, &[success(lease)]).await.unwrap();
            }
        }
        bench.nobody_is_overcommitted().await;
        bench.wait_for_long().await;
        if is_idle {
            break;
        }
    }
    for step in bench.report(run).await.steps {
        let fits = seats.iter().any(|seat| seat.has.lack(&asked[&step.name]).is_empty());
        assert_eq!(step.state == "succeeded", fits, "{} asks for {}", step.name, asked[&step.name]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_no_worker_holds_more_than_it_has_and_what_fits_somewhere_is_done() {
    for seed in seeds(6) {
        work_at_random(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_that_claims_on_many_connections_at_once_is_never_given_too_much() {
    let bench = Bench::set_up().await;
    let worker = bench.worker_with(40, of(5_000, 10, 0, &[])).await;
    let steps = vec![
        asking("cpu", 60, of(1_000, 0, 0, &[])),
        asking("memory", 60, of(0, 3, 0, &[])),
        asking("both", 60, of(500, 1, 0, &[])),
    ];
    let run = bench.start(&mut bench.connect().await, steps).await;
    let mut claimers = Vec::new();
    for _ in 0..4 {
        let (mut connection, claimer): (_, Claimer) = (bench.connect().await, worker.claimer.clone());
        claimers.push(tokio::spawn(async move {
            let mut done = 0;
            let mut idle = 0;
            while idle < 40 {
                let claimed = claimer.claim_fitting(&mut connection, 3).await.unwrap();
                if claimed.is_empty() {
                    idle += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    continue;
                }
                idle = 0;
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                let successes: Vec<_> = claimed.iter().map(|task| success(task.lease)).collect();
                done += complete(&mut connection, &successes).await.unwrap().won.len();
            }
            done
        }));
    }
    while !claimers.iter().all(tokio::task::JoinHandle::is_finished) {
        bench.nobody_is_overcommitted().await;
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let mut done = 0;
    for claimer in claimers {
        done += claimer.await.unwrap();
    }
    assert_eq!(done, 180);
    assert_eq!(bench.state(run).await, RunState::Succeeded);
}
