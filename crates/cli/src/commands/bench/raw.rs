//! The reference: a queue of one table, in SQL written by hand, in batches.

use std::time::Instant;

use sqlx::{Executor, PgPool, raw_sql};

use crate::failure::Failure;

/// How many tasks one statement claims or completes.
const BATCH: i64 = 50;

// Not files of `sql/`: this is no part of the product, but what somebody would write without it.
const SET_UP: &str = "
    create schema raw;
    create table raw.task (
        id bigint generated always as identity primary key,
        state smallint not null default 0,
        payload jsonb,
        claimed_at timestamptz,
        finished_at timestamptz
    ) with (fillfactor = 80);
    create index task_ready on raw.task (id) where state = 0;
    alter table raw.task set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
";
const FILL: &str = "insert into raw.task (payload) select '{}' from generate_series(1, $1::bigint)";
const CLAIM: &str = "
    update raw.task set state = 1, claimed_at = now()
    where id = any (array(
        select id from raw.task where state = 0 order by id limit $1 for update skip locked))
    returning id";
const COMPLETE: &str = "update raw.task set state = 2, finished_at = now() where id = any ($1)";

/// Tasks per second of `lanes` connections that claim and complete in batches.
pub async fn measure(database: &PgPool, tasks: u64, lanes: usize) -> Result<f64, Failure> {
    database.execute(raw_sql(SET_UP)).await?;
    sqlx::query(FILL).bind(i64::try_from(tasks).unwrap_or(i64::MAX)).execute(database).await?;
    database.execute("vacuum analyze raw.task").await?;
    let started = Instant::now();
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..lanes {
        working.spawn(work(database.clone()));
    }
    let mut done = 0;
    while let Some(lane) = working.join_next().await {
        done += lane.map_err(|error| Failure::new(format!("the reference stopped: {error}")))??;
    }
    let seconds = started.elapsed().as_secs_f64();
    database.execute(raw_sql("drop schema raw cascade")).await?;
    Ok(done as f64 / seconds)
}

async fn work(database: PgPool) -> Result<u64, sqlx::Error> {
    let mut connection = database.acquire().await?;
    let mut done = 0;
    loop {
        let claimed: Vec<i64> = sqlx::query_scalar(CLAIM).bind(BATCH).fetch_all(&mut *connection).await?;
        if claimed.is_empty() {
            return Ok(done);
        }
        done += sqlx::query(COMPLETE).bind(&claimed).execute(&mut *connection).await?.rows_affected();
    }
}
