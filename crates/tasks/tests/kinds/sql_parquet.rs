use std::{fs, path::Path};

use serde_json::{Value, json};
use tale_queue::{NewStep, Retry, RunState};
use tale_storage::list_artifacts;

use crate::plant::{Plant, step, with};

/// A real data set: 10,000 labelled images, a thousand of each class.
fn land(plant: &Plant, place: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/datasets/fashion.parquet");
    let place = plant.directory.path().join("objects").join(place);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::copy(file, place).unwrap();
}

/// How many files the store holds.
fn files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

fn numbers(to: u32) -> Value {
    json!({ "query": format!("select value as n, 'é' || value as name from generate_series(1, {to})"), "tables": {} })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_become_an_artifact_that_the_next_query_reads() {
    let plant = Plant::set_up().await;
    let run = plant
        .start(step("sql.parquet", with(numbers(1000), json!({ "save_as": "numbers", "return_rows": 2 }))))
        .await;
    let report = plant.end_of(run).await;
    let outputs = report.tasks[0].outputs.clone().unwrap();
    assert_eq!(outputs["row_count"], 1000);
    assert_eq!(outputs["rows"], json!([{ "n": 1, "name": "é1" }, { "n": 2, "name": "é2" }]));
    assert_eq!(
        outputs["columns"],
        json!([{ "name": "n", "type": "Int64" }, { "name": "name", "type": "Utf8" }])
    );
    let artifacts = list_artifacts(&mut plant.pool.acquire().await.unwrap(), run).await.unwrap();
    assert_eq!((artifacts.len(), artifacts[0].name.as_str()), (1, "numbers"));
    assert_eq!(json!(artifacts[0].object), outputs["object"]);

    let object = outputs["object"].clone();
    for source in [object.clone(), json!([object]), json!({ "artifact": "numbers", "run": run })] {
        let query = json!({ "query": "select sum(n) as sum from t where n > $1", "params": [998], "tables": { "t": source } });
        assert_eq!(plant.outputs("sql.parquet", query).await["rows"], json!([{ "sum": 999 + 1000 }]));
    }
    let twice = json!({ "query": "select count(*) as c from t", "tables": { "t": [object, null, object] } });
    assert_eq!(plant.outputs("sql.parquet", twice).await["rows"], json!([{ "c": 2000 }]));
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_prefixes_of_the_store_are_tables() {
    let plant = Plant::set_up().await;
    land(&plant, "landing/a.parquet");
    land(&plant, "landing/day=2/b %1.parquet");
    fs::write(plant.directory.path().join("objects/landing/notes.txt"), "no table").unwrap();
    let query = "select label, count(*) as n from images group by label order by label limit 2";
    for (path, n) in [("landing/a.parquet", 1000), ("landing/", 2000)] {
        let arguments = json!({ "query": query, "tables": { "images": { "path": path } } });
        let rows = plant.outputs("sql.parquet", arguments).await["rows"].clone();
        assert_eq!(rows, json!([{ "label": 0, "n": n }, { "label": 1, "n": n }]), "{path}");
    }
    let (error, attempts) = plant
        .failure("sql.parquet", json!({ "query": query, "tables": { "images": { "path": "nothing/" } } }))
        .await;
    assert_eq!((error.as_str(), attempts), ("table images: there is nothing to read", 1));
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_changes_nothing_and_reads_nothing_that_it_was_not_given() {
    let plant = Plant::set_up().await;
    land(&plant, "landing/a.parquet");
    let objects = plant.directory.path().join("objects");
    let before = files(&objects);
    for (query, words) in [
        ("create table t as select 1", "it may only read: DDL"),
        (
            "create external table t stored as parquet location 'tale://store/landing/'",
            "it may only read: DDL",
        ),
        ("drop table images", "it may only read: DDL"),
        ("insert into images select * from images", "it may only read: DML"),
        ("copy images to 'tale://store/out.parquet'", "it may only read: DML"),
        ("set datafusion.execution.batch_size = 1", "it may only read: Statement"),
        ("select 1; select 2", "query"),
        ("select * from 'tale://store/landing/a.parquet'", "query"),
        ("select * from '/etc/passwd'", "query"),
    ] {
        let arguments = json!({ "query": query, "tables": { "images": { "path": "landing/a.parquet" } } });
        let (error, attempts) = plant.failure("sql.parquet", arguments).await;
        assert!(error.contains(words), "{query}: {error}");
        assert_eq!(attempts, 1, "{query}");
    }
    assert_eq!(files(&objects), before);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_says_where_in_the_query_it_is() {
    let plant = Plant::set_up().await;
    land(&plant, "a.parquet");
    for (query, words) in [
        ("select\n  lable from images", "query, line 2, column 3: "),
        ("select label\nfrom images\nwhere where", "query, line 3, column 7: "),
        ("select * from imags", "query, line 1, column 15: "),
    ] {
        let arguments = json!({ "query": query, "tables": { "images": { "path": "a.parquet" } } });
        let (error, attempts) = plant.failure("sql.parquet", arguments).await;
        assert!(error.starts_with(words), "{error}");
        assert_eq!(attempts, 1);
    }
    fs::write(plant.directory.path().join("objects/b.parquet"), "no parquet").unwrap();
    let broken = json!({ "query": "select 1", "tables": { "b": { "path": "b.parquet" } } });
    let (error, _) = plant.failure("sql.parquet", broken).await;
    assert!(error.starts_with("table b: "), "{error}");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sort_larger_than_its_memory_is_spilled() {
    let plant = Plant::set_up().await;
    let text = "select value as n, repeat('x', 100) as pad from generate_series(1, 300000) order by n % 1000, n desc";
    let query = json!({ "query": text, "tables": {}, "memory_mib": 24, "return_rows": 1 });
    let outputs = plant.outputs("sql.parquet", query).await;
    assert_eq!((&outputs["row_count"], &outputs["rows"][0]["n"]), (&json!(300_000), &json!(300_000)));
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_without_end_is_stopped_by_its_time_out() {
    let plant = Plant::set_up().await;
    let text = "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b where a.value % 7 = b.value % 11";
    let endless = NewStep {
        timeout_ms: Some(1000),
        retry: Retry { attempts_max: 1, backoff_base_ms: 0, backoff_cap_ms: 0 },
        ..step("sql.parquet", json!({ "query": text, "tables": {} }))
    };
    let run = plant.start(endless).await;
    let report = plant.end_of(run).await;
    assert_eq!(report.state, RunState::Failed);
    assert!(report.tasks[0].error.as_ref().unwrap().contains("longer than its time-out"));
    assert_eq!(plant.outputs("sql.parquet", numbers(3)).await["row_count"], 3, "the worker works on");
    plant.stop().await;
}
