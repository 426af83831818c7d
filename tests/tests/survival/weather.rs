//! The work that goes on while things are killed, and what must be true of it afterwards.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, PgConnection, Row};
use tale_tests::{Fleet, Home, Server, repository};

/// How long a silent worker keeps its tasks.
pub const LEASE: Duration = Duration::from_secs(2);
/// How long it may take until everything has ended once nothing is killed any more.
const CALM_AT_MOST: Duration = Duration::from_secs(180);

/// The pipelines of the storm.
pub fn pipelines() -> PathBuf {
    repository().join("tests/fixtures/storm")
}

/// Waits until a scheduler has made the database's schema.
pub fn until_ready(server: &Server, fleet: &mut Fleet<'_>) {
    let mut connection = server.connect().unwrap();
    let began = Instant::now();
    // the functions come after all tables
    let found = "select count(*)::text from pg_proc where proname = 'answer_knocks'";
    while texts(server, &mut connection, found) != ["1"] {
        fleet.tend();
        assert!(began.elapsed() < Duration::from_secs(60), "no scheduler starts:\n{}", fleet.last_words());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Makes the table in which effects are counted. It has no key: a second effect is to be seen, not refused.
pub fn prepare(server: &Server) {
    run(
        server,
        "create schema storm; create table storm.effect (run text, step text, index int);
         grant usage on schema storm to tale_sql; grant insert on storm.effect to tale_sql",
    );
}

/// Runs statements that give nothing back, again where the server has just crashed.
pub fn run(server: &Server, statements: &'static str) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let mut connection = server.connect().unwrap();
        match server.block_on(sqlx::raw_sql(statements).execute(&mut connection)) {
            Ok(_) => return,
            Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(100)),
            Err(error) => panic!("{error}: {statements}"),
        }
    }
}

/// Adds a scheduler and, after it, `workers` workers of four slots.
pub fn man<'a>(fleet: &mut Fleet<'a>, home: &'a Home, schedulers: usize, workers: usize) {
    let lease = LEASE.as_secs().to_string();
    for number in 0..schedulers {
        let (lease, pipelines) = (lease.clone(), pipelines());
        fleet.add(&format!("scheduler-{number}"), move || {
            let pipelines = pipelines.to_str().unwrap();
            home.tale(&["up", "--slots", "0", "--lease-seconds", &lease, "--pipelines", pipelines])
        });
    }
    for number in 0..workers {
        let lease = lease.clone();
        fleet.add(&format!("worker-{number}"), move || {
            home.tale(&["worker", "--slots", "4", "--lease-seconds", &lease])
        });
    }
}

/// Lets no new run start and waits until those that started have ended well.
///
/// A task that has lost three workers fails, as it should; it is told to try again.
pub fn calm_down(server: &mut Server, fleet: &mut Fleet<'_>, home: &Home) -> u32 {
    // whoever is frozen may hold a lock that the next statement needs
    fleet.calm();
    server.calm();
    run(server, "update schedule.schedule set paused_at = clock_timestamp()");
    let mut retried = 0;
    let until = Instant::now() + CALM_AT_MOST;
    loop {
        server.tend();
        fleet.tend();
        let mut connection = server.connect().unwrap();
        let failed: Vec<String> = texts(
            server,
            &mut connection,
            "select id::text from queue.run where trigger = 'schedule' and state in ('failed', 'cancelled')",
        );
        for id in &failed {
            let errors: Vec<String> = texts(
                server,
                &mut connection,
                &format!(
                    "select coalesce(error, 'nothing') from queue.task where run_id = '{id}' and state = 'failed'
                     union all select error from queue.step where run_id = '{id}' and error is not null"
                ),
            );
            let expected = ["its worker died", "run ", "the scheduler died"];
            let is_expected = |error: &String| expected.iter().any(|start| error.starts_with(start));
            assert!(errors.iter().all(is_expected), "run {id} failed: {errors:?}");
            let output = home.run(&["retry", id, "--only-failed"]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            retried += 1;
        }
        let open = "select count(*)::text from queue.run where finished_at is null";
        if failed.is_empty() && texts(server, &mut connection, open) == ["0"] {
            return retried;
        }
        assert!(
            Instant::now() < until,
            "the runs do not end: {:#?}",
            texts(
                server,
                &mut connection,
                "select format('run %s of %s is %s: step %s is %s, task %s (%s) is %s: %s', r.id, r.pipeline, r.state,
                     s.name, s.state, t.id, t.index, t.state, t.error)
                 from queue.run r join queue.step s on s.run_id = r.id and s.finished_at is null
                 left join queue.task t on t.run_id = r.id and t.step = s.index and t.finished_at is null
                 where r.finished_at is null"
            )
        );
        thread::sleep(Duration::from_millis(200));
    }
}

/// Checks that nothing was lost, done twice, or left over. Every run must have ended.
pub fn audit(server: &Server) {
    let mut connection = server.connect().unwrap();
    let never = [
        (
            "a task's effect is there as often as an acknowledgement counted",
            "select format('%s %s %s: %s effects, %s acknowledgements', t.run_id, s.name, t.index, e.count, a.count)
             from queue.task t join queue.step s on s.run_id = t.run_id and s.index = t.step
             cross join lateral (select count(*) from storm.effect e
                 where e.run = t.run_id::text and e.step = s.name and e.index = t.index) e
             cross join lateral (select count(*) from queue.attempt a
                 where a.task_id = t.id and a.outcome = 'succeeded') a
             where s.kind = 'sql.postgres' and t.index >= 0 and e.count <> a.count",
        ),
        (
            "a task counts once, but for the step after all others where its run was tried again",
            "select format('%s: %s', a.task_id, count(*)) from queue.attempt a
             join queue.task t on t.id = a.task_id
             join queue.step s on s.run_id = t.run_id and s.index = t.step
             where a.outcome = 'succeeded' and t.index >= 0 and not s.is_finally
             group by a.task_id having count(*) > 1",
        ),
        (
            "every task of a run that ended well has ended well",
            "select format('%s %s %s: %s', t.run_id, t.step, t.index, t.state)
             from queue.task t join queue.run r on r.id = t.run_id
             where r.state = 'succeeded' and t.state <> 'succeeded'",
        ),
        (
            "a task that ended well was acknowledged",
            "select t.id::text from queue.task t where t.state = 'succeeded' and not exists (
                 select 1 from queue.attempt a where a.task_id = t.id and a.outcome in ('succeeded', 'waiting'))",
        ),
        (
            "no effect is without its task",
            "select format('%s %s %s', e.run, e.step, e.index) from storm.effect e where not exists (
                 select 1 from queue.task t join queue.step s on s.run_id = t.run_id and s.index = t.step
                 where t.run_id::text = e.run and s.name = e.step and t.index = e.index)",
        ),
        (
            "every run has all of its effects",
            "select format('%s of %s: %s', r.id, r.pipeline, count(e.*))
             from queue.run r left join (select distinct * from storm.effect) e on e.run = r.id::text
             where r.state = 'succeeded'
             group by r.id having count(e.*) <> case r.pipeline when 'storm' then 10 when 'gust' then 2 else 1 end",
        ),
        (
            "every fire has its run",
            "select format('%s %s', f.pipeline, f.fire_at) from schedule.fire f
             left join queue.run r on r.id = f.run_id where r.id is null",
        ),
        (
            "every run of a schedule has its fire",
            "select r.id::text from queue.run r left join schedule.fire f on f.run_id = r.id
             where r.trigger = 'schedule' and f.run_id is null",
        ),
        (
            "no fire is missing",
            "select format('%s %s follows %s', f.pipeline, f.fire_at, f.before)
             from (select f.*, lag(f.fire_at) over (partition by f.pipeline order by f.fire_at) as before
                   from schedule.fire f) f
             where f.fire_at - f.before <> case f.pipeline when 'storm' then interval '2 s' else interval '10 s' end",
        ),
    ];
    for (law, query) in never {
        let found = texts(server, &mut connection, query);
        assert!(found.is_empty(), "{law}, but {found:#?}");
    }
    let tables = [
        "ready",
        "lease",
        "delayed",
        "waiting",
        "admitted",
        "parked",
        "tally",
        "knock",
        "place",
        "cancellation",
    ];
    let until = Instant::now() + 5 * LEASE;
    loop {
        let mut left = Vec::new();
        for table in tables {
            let count =
                &texts(server, &mut connection, &format!("select count(*)::text from queue.{table}"))[0];
            if count != "0" {
                left.push(format!("{count} in queue.{table}"));
            }
        }
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "everything has ended, and yet there are {left:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The first column of what a query gives.
pub fn texts(server: &Server, connection: &mut PgConnection, query: &str) -> Vec<String> {
    let rows = server.block_on(sqlx::query(AssertSqlSafe(query)).fetch_all(connection)).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
