//! Old programs beside new ones: migrations expand before they contract.

use std::{borrow::Cow, str::FromStr};

use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool, Row, migrate::Migrator,
    postgres::PgConnectOptions,
};
use tale_queue::{RunState, run_state};
use uuid::Uuid;

use crate::bench::Bench;

/// The last migration of the release before limits, joins and schedules.
const BEFORE: i64 = 6;

/// What that release does to start a run of two steps, the second of which its scheduler must expand.
const OLD_START: &str = "
    with version as (
        insert into queue.pipeline_version (name, digest, spec) values ('old', sha256('old'), '{}') returning id
    )
    insert into queue.run (id, version_id, pipeline, params, logical_date, trigger, open_steps)
    select $1, v.id, 'old', '{}', '2026-11-23', 'an old program', 2 from version v";
const OLD_STEPS: &str = "
    insert into queue.step (run_id, index, name, kind, unmet, dependents, planned, sequence, pool, attempts_max,
        backoff_base_ms, backoff_cap_ms, tolerate_ppm, tasks_total, tasks_open)
    select $1, u.index, u.name, 'test', u.unmet, u.dependents::smallint[], u.planned, false, p.id, 1, 0, 0, 0, u.tasks, u.tasks
    from (values (0, 'first', 0, '{1}', true, 2), (1, 'second', 1, '{}', false, 0))
        u (index, name, unmet, dependents, planned, tasks)
    cross join queue.pool p where p.name = 'cpu'";
const OLD_TASKS: &str = "
    insert into queue.task (run_id, step, index, state) select $1, 0, u.index, 'blocked' from generate_series(0, 1) u (index)";

async fn old_claim(connection: &mut PgConnection, pool: &str, worker: Uuid) -> Vec<(i64, i64)> {
    let claimed = sqlx::query(
        "select c.task_id, c.attempt_id from queue.pool p, queue.claim(p.id, $2, 10, '{0,0,0}') c where p.name = $1",
    );
    let rows = claimed.bind(pool).bind(worker).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn old_complete(connection: &mut PgConnection, (task, attempt): (i64, i64)) -> Vec<i64> {
    let completed = sqlx::query("select queue.complete($1, $2, array['{}'::jsonb])");
    completed.bind(vec![task]).bind(vec![attempt]).fetch_one(connection).await.unwrap().get(0)
}

#[tokio::test]
async fn an_old_worker_and_an_old_scheduler_finish_their_run_on_a_database_that_a_new_program_has_migrated() {
    // a database of its own beside that of the bench, as the release before left it
    let bench = Bench::set_up().await;
    let name = format!("tale_test_upgrade_{}", std::process::id());
    bench.connect().await.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    let options = PgConnectOptions::from_str(bench.database.url()).unwrap().database(&name);
    let mut old = options.connect().await.unwrap();
    let whole = sqlx::migrate!("../../sql/migrations");
    let before = whole.iter().filter(|migration| migration.version <= BEFORE).cloned().collect();
    Migrator { migrations: Cow::Owned(before), ..whole }.run(&mut old).await.unwrap();

    let (run, worker) = (Uuid::now_v7(), Uuid::now_v7());
    old.execute("insert into queue.pool (name) values ('cpu')").await.unwrap();
    for statement in [OLD_START, OLD_STEPS, OLD_TASKS, "select queue.open_run($1)"] {
        sqlx::query(statement).bind(run).execute(&mut old).await.unwrap();
    }
    let held = old_claim(&mut old, "cpu", worker).await;
    assert_eq!(held.len(), 2);
    assert_eq!(old_complete(&mut old, held[0]).await.len(), 1);

    let pool = PgPool::connect_with(options.clone()).await.unwrap();
    tale_database::migrate(&pool).await.unwrap();

    // the old programs are still connected, and call what they know
    assert_eq!(old_complete(&mut old, held[1]).await.len(), 1);
    assert!(old_complete(&mut old, held[1]).await.is_empty(), "fenced as ever");
    let expansion = old_claim(&mut old, "@scheduler", worker).await;
    let expanded: bool =
        sqlx::query("select queue.expand_step($1, $2, false, 1, array[0], array['{}'::jsonb])")
            .bind(expansion[0].0)
            .bind(expansion[0].1)
            .fetch_one(&mut old)
            .await
            .unwrap()
            .get(0);
    assert!(expanded);
    for token in old_claim(&mut old, "cpu", worker).await {
        old_complete(&mut old, token).await;
    }
    let mut new = pool.acquire().await.unwrap();
    let (state, _) = run_state(&mut new, tale_primitives::RunId::from_raw(run)).await.unwrap();
    assert_eq!(state, RunState::Succeeded);

    // migrating again changes nothing
    tale_database::migrate(&pool).await.unwrap();
    drop(new);
    pool.close().await;
    old.close().await.unwrap();
    let drop = sqlx::AssertSqlSafe(format!("drop database {name} with (force)"));
    bench.connect().await.execute(drop).await.unwrap();
}
