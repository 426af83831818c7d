use std::time::Duration;

use reqwest::Client;
use serde_json::json;
use sqlx::{AssertSqlSafe, postgres::PgPoolOptions};
use tale_api::Endpoint;
use tale_primitives::WorkerId;
use tale_queue::{NewWorker, register_worker};
use tale_telemetry::Metrics;
use tale_testkit::TestDatabase;
use tokio_util::sync::CancellationToken;

use crate::{
    exposition::Exposition,
    plant::{Answer, Plant},
};

async fn read(plant: &Plant) -> Exposition {
    let answer = plant.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    Exposition::read(&answer.text)
}

#[tokio::test]
async fn metrics_are_exact_text_and_tell_what_the_queue_holds() {
    let plant = Plant::set_up().await;
    let mut connection = plant.database.connection().await;
    let worker = NewWorker {
        id: WorkerId::generate(),
        pool: "cpu".into(),
        host: "test".into(),
        pid: 1,
        slots: 8,
        has: None,
    };
    register_worker(&mut connection, &worker).await.unwrap();
    for rounds in [2, 3] {
        Answer::of(plant.start(&json!({ "params": { "rounds": rounds } }))).await.json(201);
    }
    plant.get("/v1/nonsense").await.problem(404, "unknown-route");
    let key = "a \"key\"\\ with\nevery trouble";
    sqlx::query("insert into queue.gate (key, capacity) values ($1, 2)")
        .bind(key)
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("insert into queue.admitted (task_id, key) values (-1, $1)")
        .bind(key)
        .execute(&mut connection)
        .await
        .unwrap();

    let metrics = read(&plant).await;
    let pool = [("pool", "cpu")];
    assert_eq!(metrics.value("tale_database_up", &[]), 1.0);
    assert_eq!(metrics.value("tale_queue_ready_tasks", &pool), 5.0);
    assert!(metrics.value("tale_queue_oldest_ready_seconds", &pool) > 0.0);
    assert_eq!(metrics.value("tale_queue_leased_tasks", &pool), 0.0);
    assert_eq!(metrics.value("tale_workers", &pool), 1.0);
    assert_eq!(metrics.value("tale_worker_slots", &pool), 8.0);
    assert_eq!(metrics.value("tale_queue_pool_paused", &pool), 0.0);
    assert_eq!(metrics.find("tale_queue_pool_places", &pool), None, "it has no limit");
    assert_eq!(metrics.value("tale_queue_runs", &[("state", "running")]), 2.0);
    assert_eq!(metrics.value("tale_queue_runs_ended_total", &[("state", "failed")]), 0.0);
    assert_eq!(metrics.value("tale_queue_limit_used_places", &[("key", key)]), 1.0);
    assert_eq!(metrics.value("tale_queue_limit_places", &[("key", key)]), 2.0);
    for zero in ["delayed_tasks", "waiting_tasks", "parked_tasks", "open_approvals"] {
        assert_eq!(metrics.value(&format!("tale_queue_{zero}"), &[]), 0.0, "{zero}");
    }
    let route = "/v1/pipelines/{name}/runs";
    let started = [("method", "POST"), ("route", route), ("status", "201")];
    assert_eq!(metrics.value("tale_http_requests_total", &started), 2.0);
    let unknown = [("method", "GET"), ("route", "none"), ("status", "404")];
    assert_eq!(metrics.value("tale_http_requests_total", &unknown), 1.0);
    assert_eq!(metrics.value("tale_http_request_seconds_count", &[("route", route)]), 2.0);
}

#[tokio::test]
async fn limit_keys_never_become_more_labels_than_fifty() {
    let plant = Plant::set_up().await;
    let many = "with keys as (select 'key-' || n as key, n from generate_series(1, 500) n),
        gates as (insert into queue.gate (key, capacity) select key, 1 from keys)
        insert into queue.admitted (task_id, key) select -n, key from keys";
    sqlx::query(AssertSqlSafe(many)).execute(plant.database.pool()).await.unwrap();
    let text = plant.get("/metrics").await.text;
    Exposition::read(&text);
    assert_eq!(text.lines().filter(|line| line.starts_with("tale_queue_limit_used_places{")).count(), 50);
}

#[tokio::test]
async fn the_queue_is_read_once_a_second_whoever_asks() {
    let plant = Plant::set_up().await;
    let runs = async || read(&plant).await.find("tale_queue_runs", &[("state", "running")]).unwrap();
    assert_eq!(runs().await, 0.0);
    Answer::of(plant.start(&json!({}))).await.json(201);
    assert_eq!(runs().await, 0.0, "it was read just now");
    let looked = async {
        while runs().await == 0.0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looked).await.expect("it is read again");
}

#[tokio::test]
async fn a_process_whose_database_is_away_lives_is_not_ready_and_says_so() {
    let database = TestDatabase::create().await;
    let away = PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:9/nothing").unwrap();
    let plant = Plant::over(database, away, "127.0.0.1:0", None).await;
    assert_eq!(plant.get("/healthz").await.json(200)["status"], "ok");
    let answer = plant.get("/readyz").await;
    answer.problem(503, "unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    let metrics = read(&plant).await;
    assert_eq!(metrics.value("tale_database_up", &[]), 0.0);
    assert_eq!(metrics.find("tale_queue_delayed_tasks", &[]), None, "what is not known is not said");
    Answer::of(plant.start(&json!({}))).await.problem(503, "unavailable");
}

#[tokio::test]
async fn a_worker_tells_what_it_measures_and_nothing_else() {
    let endpoint = Endpoint::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", endpoint.address());
    let metrics = Metrics::default();
    metrics.latency("tale_try_seconds", "A try.", &[]).record(&[], Duration::from_millis(7));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(endpoint.serve_metrics(metrics, stop.clone()));
    let client = Client::new();
    let answer = Answer::of(client.get(format!("{url}/metrics"))).await;
    assert_eq!(Exposition::read(&answer.text).value("tale_try_seconds_count", &[]), 1.0);
    Answer::of(client.get(format!("{url}/healthz"))).await.json(200);
    Answer::of(client.get(format!("{url}/v1/runs"))).await.problem(404, "unknown-route");
    stop.cancel();
    serving.await.unwrap();
}
