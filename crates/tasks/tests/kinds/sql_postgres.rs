use serde_json::{Value, json};
use tale_queue::RunState;

use crate::plant::{Plant, step};

/// A plant whose database has a table that the role of the kind may write.
async fn shop() -> Plant {
    let plant = Plant::set_up().await;
    sqlx::raw_sql(
        "create schema shop;
         create table shop.item (
             id integer, name text, price numeric, at timestamptz, tags text[], more jsonb, sold boolean, day date
         );
         create sequence shop.growing;
         grant usage on schema shop to tale_sql;
         grant select, insert, update, delete on shop.item to tale_sql;
         grant usage on sequence shop.growing to tale_sql",
    )
    .execute(&plant.pool)
    .await
    .unwrap();
    plant
}

async fn items(plant: &Plant) -> i64 {
    sqlx::query_scalar("select count(*) from shop.item").fetch_one(&plant.pool).await.unwrap()
}

fn insert(from: &str) -> Value {
    json!({ "execute": format!("insert into item (id) {from}"), "schema": "shop" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_commits_with_its_task_and_its_params_are_bound() {
    let plant = shop().await;
    let evil = "'); drop table shop.item; --";
    let arguments = json!({
        "execute": "insert into item values ($1, $2, $3, $4, $5, $6, $7, $8), ($1 + 1, null, null, null, null, null, null, null)",
        "params": [7, evil, 12.50, "2026-11-23T10:00:00Z", ["a", "b"], { "deep": [1] }, true, "2026-11-24"],
        "schema": "shop",
    });
    assert_eq!(plant.outputs("sql.postgres", arguments).await, json!({ "row_count": 2, "rows": [] }));
    let query =
        json!({ "query": "select * from item where id = $1 -- the first", "params": [7], "schema": "shop" });
    let outputs = plant.outputs("sql.postgres", query).await;
    let expected = json!({
        "id": 7, "name": evil, "price": 12.5, "at": "2026-11-23T10:00:00+00:00", "tags": ["a", "b"],
        "more": { "deep": [1] }, "sold": true, "day": "2026-11-24",
    });
    let mut found = outputs["rows"][0].clone();
    // the session's zone decides how a time is written
    found["at"] = expected["at"].clone();
    assert_eq!((&outputs["row_count"], &found), (&json!(1), &expected));
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_lost_attempt_is_not_there() {
    let plant = shop().await;
    let slow = insert("select 1 from pg_sleep(1.5)");
    let run = plant.start(step("sql.postgres", slow)).await;
    plant.until("it runs", async || plant.report(run).await.tasks[0].state == "running").await;
    plant.steal_leases().await;
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(items(&plant).await, 0);
    assert_eq!(plant.report(run).await.tasks[0].crashes, 1);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_refused_leaves_nothing_and_says_where() {
    let plant = shop().await;
    let (error, attempts) = plant.failure("sql.postgres", insert("values (1),\n  (nope)")).await;
    assert!(error.starts_with("execute, line 2, column 4: column \"nope\" does not exist"), "{error}");
    assert_eq!((attempts, items(&plant).await), (1, 0));
    let query = json!({ "query": "select 1,\n nope" });
    let (error, _) = plant.failure("sql.postgres", query).await;
    assert!(error.starts_with("query, line 2, column 2: column \"nope\" does not exist"), "{error}");
    let late = json!({ "execute": "insert into item (id) select 1 / (n - 3) from generate_series(1, 5) n", "schema": "shop" });
    assert_eq!(plant.failure("sql.postgres", late).await.0, "execute: division by zero");
    assert_eq!(items(&plant).await, 0);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_another_one_than_was_rehearsed_does_not_commit() {
    let plant = shop().await;
    let growing = insert("select n from generate_series(1, nextval('growing')) n");
    let (error, attempts) = plant.failure("sql.postgres", growing).await;
    assert!(error.contains("the tables have changed in between"), "{error}");
    assert_eq!((attempts, items(&plant).await), (3, 0));
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_cannot_touch_the_products_own_schemas() {
    let plant = shop().await;
    for statement in [
        "delete from queue.run",
        "update ledger.account set name = 'mine'",
        "with gone as (delete from queue.task returning 1) insert into shop.item (id) select * from gone",
    ] {
        let (error, attempts) = plant.failure("sql.postgres", json!({ "execute": statement })).await;
        assert!(error.contains("permission denied for schema"), "{statement}: {error}");
        assert_eq!(attempts, 1);
    }
    for query in ["select * from queue.run", "select * from storage.artifact"] {
        let (error, _) = plant.failure("sql.postgres", json!({ "query": query })).await;
        assert!(error.contains("permission denied for schema"), "{query}: {error}");
    }
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_end_the_acknowledgements_transaction_is_not_sent() {
    let plant = shop().await;
    for statement in [
        "commit",
        "/* now */ rollback",
        "set role none",
        "do $$ begin reset role; end $$",
        "create table t ()",
    ] {
        let (error, attempts) = plant.failure("sql.postgres", json!({ "execute": statement })).await;
        assert!(error.starts_with("execute: it takes one statement of insert, update"), "{error}");
        assert_eq!(attempts, 1);
    }
    let (error, _) =
        plant.failure("sql.postgres", json!({ "execute": "insert into shop.item values (1); commit" })).await;
    assert!(error.contains("cannot insert multiple commands"), "{error}");
    let (error, _) =
        plant.failure("sql.postgres", json!({ "query": "select nextval('shop.growing')" })).await;
    assert!(error.contains("read-only transaction"), "{error}");
    // the connections that ran all this are the worker's own again
    let outputs = plant.outputs("sql.postgres", insert("values (1)")).await;
    assert_eq!((&outputs["row_count"], items(&plant).await), (&json!(1), 1));
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_said_before_anything_runs() {
    let plant = shop().await;
    for (arguments, words) in [
        (json!({}), "give either `query`, which reads, or `execute`, which changes"),
        (json!({ "query": "select 1", "execute": "insert" }), "give either"),
        (json!({ "query": "select $1::integer" }), "the statement has 1 parameters and `params` 0 values"),
        (
            json!({ "query": "select $1::integer", "params": ["s3cret"] }),
            "parameter $1 is of type INT4, which the value given is not",
        ),
        (
            json!({ "query": "select $1::inet", "params": ["::1"] }),
            "parameter $1 is of type inet, which cannot be bound: write $1::text::inet",
        ),
        (
            json!({ "query": "select 1", "role": "nobody_at_all" }),
            "role \"nobody_at_all\" does not exist; as the database's owner: create role",
        ),
        (json!({ "query": "select generate_series(1, 5)", "rows_max": 4 }), "it gives more than 4 rows"),
    ] {
        let (error, attempts) = plant.failure("sql.postgres", arguments).await;
        assert!(error.contains(words) && !error.contains("s3cret"), "{error}");
        assert_eq!(attempts, 1);
    }
    let slow = json!({ "query": "select pg_sleep(10)", "timeout_seconds": 0.2 });
    let (error, attempts) = plant.failure("sql.postgres", slow).await;
    assert!(error.contains("statement timeout"), "{error}");
    assert_eq!(attempts, 3);
    assert_eq!(
        plant.run("sql.postgres", json!({ "query": "select 1 as one" })).await.state,
        RunState::Succeeded
    );
    plant.stop().await;
}
