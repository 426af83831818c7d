use serde_json::{Value, json};
use tale_queue::{list_runs, read_audit};

use crate::plant::{Answer, Plant};

#[tokio::test]
async fn a_run_is_started_shown_listed_and_cancelled() {
    let plant = Plant::set_up().await;
    let body = json!({
        "params": { "rounds": 2, "who": "ada" }, "priority": "urgent", "reason": "a test", "date": "2026-11-23",
    });
    let answer = Answer::of(plant.start(&body)).await;
    let started = answer.json(201);
    assert_eq!(started["is_new"], true);
    assert_eq!(started["state"], "running");
    let path = format!("/v1/runs/{}", started["run"].as_str().unwrap());
    assert_eq!(answer.headers["location"], path);

    let shown = plant.get(&path).await.json(200);
    for (field, expected) in [
        ("pipeline", json!("greeting")),
        ("state", json!("running")),
        ("priority", json!("urgent")),
        ("reason", json!("a test")),
        ("tenant", json!("ada")),
        ("logical_date", json!("2026-11-23")),
        ("trigger", json!("http by local@127.0.0.1")),
        ("params", json!({ "rounds": 2, "who": "ada", "at": [] })),
        ("failures", json!([])),
    ] {
        assert_eq!(shown[field], expected, "{field}");
    }
    assert_eq!(shown["steps"][0]["name"], "greet");
    assert_eq!(shown["steps"][0]["tasks_total"], 2);

    let second = Answer::of(plant.start(&json!({}))).await.json(201);
    let page = plant.get("/v1/runs?pipeline=greeting&state=running&limit=1").await.json(200);
    assert_eq!(page["runs"][0]["id"], second["run"]);
    let next = page["next"].as_str().unwrap();
    let page = plant.get(&format!("/v1/runs?limit=2&before={next}")).await.json(200);
    assert_eq!((page["runs"].as_array().unwrap().len(), &page["next"]), (1, &Value::Null));
    assert_eq!(page["runs"][0]["id"], started["run"]);

    let cancel = || plant.client.post(plant.url(&format!("{path}/cancel")));
    let asked = plant.post(&format!("{path}/cancel"), &json!({ "reason": "enough" }));
    let cancelled = Answer::of(asked).await.json(202);
    assert_eq!(cancelled["state"], "cancelled", "nothing of it was running");
    assert_eq!(Answer::of(cancel()).await.json(200)["state"], "cancelled");

    let mut connection = plant.database.connection().await;
    let audit = read_audit(&mut connection, started["run"].as_str(), 10).await.unwrap();
    let done: Vec<(&str, &str)> =
        audit.iter().rev().map(|entry| (entry.action.as_str(), entry.actor.as_str())).collect();
    assert_eq!(done, [("run.start", "local@127.0.0.1"), ("run.cancel", "local@127.0.0.1")]);
    assert_eq!(audit[0].details["reason"], "enough");
    plant.stop().await;
}

#[tokio::test]
async fn a_run_that_has_ended_cannot_be_cancelled() {
    let plant = Plant::set_up().await;
    let started = Answer::of(plant.start(&json!({}))).await.json(201);
    let run = started["run"].as_str().unwrap();
    sqlx::query("update queue.run set state = 'failed', finished_at = now() where id = $1::uuid")
        .bind(run)
        .execute(plant.database.pool())
        .await
        .unwrap();
    let answer = Answer::of(plant.client.post(plant.url(&format!("/v1/runs/{run}/cancel")))).await;
    answer.problem(409, "has-ended");
}

#[tokio::test]
async fn the_same_key_starts_one_run_and_another_request_under_it_is_refused() {
    let plant = Plant::set_up().await;
    let start = |key: &'static str, body: Value| {
        let request = plant.start(&body).header("Idempotency-Key", key);
        async move { Answer::of(request).await }
    };
    let first =
        start("order 4711", json!({ "params": { "rounds": 2, "at": [1, { "x": 2 }] } })).await.json(201);
    for same in [
        json!({ "params": { "rounds": 2, "at": [1, { "x": 2 }] } }),
        json!({ "params": { "at": [1.0, { "x": 2 }], "rounds": 2.0 }, "reason": "again" }),
        json!({}),
    ] {
        let again = start("order 4711", same).await.json(200);
        assert_eq!((&again["run"], &again["is_new"]), (&first["run"], &json!(false)));
    }
    let fields = start("order 4711", json!({ "params": { "rounds": 4, "who": "world" } })).await;
    assert_eq!(fields.problem(422, "invalid-request"), ["params.rounds"]);
    assert_ne!(start("order 4712", json!({})).await.json(201)["run"], first["run"]);
    let longer = "k".repeat(201).leak();
    for wrong in ["", " ", longer] {
        assert_eq!(start(wrong, json!({})).await.problem(422, "invalid-request"), ["Idempotency-Key"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_requests_with_one_key_at_once_start_one_run() {
    let plant = Plant::set_up().await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        requests.spawn(Answer::of(plant.start(&json!({})).header("Idempotency-Key", "one")));
    }
    let answers = requests.join_all().await;
    let new: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(new.len(), 1);
    let run = &new[0].json(201)["run"];
    assert!(
        answers.iter().filter(|answer| answer.status != 201).all(|answer| answer.json(200)["run"] == *run)
    );
    let mut connection = plant.database.connection().await;
    let filter = tale_queue::RunFilter { limit: 100, ..Default::default() };
    assert_eq!(list_runs(&mut connection, &filter).await.unwrap().len(), 1);
    assert_eq!(read_audit(&mut connection, None, 100).await.unwrap().len(), 1, "one start is one line");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let plant = Plant::set_up().await;
    let start = plant.post("/v1/pipelines/nonsense/runs", &json!({}));
    Answer::of(start).await.problem(404, "unknown-pipeline");
    plant.get("/v1/runs/0199a1f0-0000-7000-8000-000000000000").await.problem(404, "unknown-run");
    plant.get("/v1/runs/4711").await.problem(404, "unknown-run");
    let cancel = plant.client.post(plant.url("/v1/runs/0199a1f0-0000-7000-8000-000000000000/cancel"));
    Answer::of(cancel).await.problem(404, "unknown-run");
    plant.get("/v2/runs").await.problem(404, "unknown-route");
    let wrong = plant.get("/v1/pipelines/greeting/runs").await;
    wrong.problem(405, "wrong-method");
    assert_eq!(wrong.headers["allow"], "POST");
}

#[tokio::test]
async fn what_is_wrong_is_named_by_its_field() {
    let plant = Plant::set_up().await;
    let refused = async |body: Value| Answer::of(plant.start(&body)).await.problem(422, "invalid-request");
    assert_eq!(refused(json!({ "params": { "rouns": 3 } })).await, ["params.rouns"]);
    assert_eq!(
        refused(json!({ "params": { "rounds": 0, "who": 7 } })).await,
        ["params.rounds", "params.who"]
    );
    assert_eq!(refused(json!({ "params": [] })).await, ["params"]);
    assert_eq!(refused(json!({ "priority": "high" })).await, ["priority"]);
    assert_eq!(refused(json!({ "date": "2026-02-30" })).await, ["date"]);
    assert_eq!(refused(json!({ "reason": "x".repeat(1001) })).await, ["reason"]);
    assert_eq!(
        refused(json!({ "tenant": "ada", "parms": {}, "priority": 1 })).await,
        ["priority", "tenant", "parms"]
    );
    assert_eq!(refused(json!({ "params": { "who": "a\0b" } })).await, ["params.who"]);
    let text = Answer::of(plant.start(&json!({ "params": { "rouns": 3 } }))).await.text;
    assert!(text.contains("rounds"), "it says what was meant: {text}");

    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("state=done", "state"),
        ("before=4711", "before"),
        ("sub_runs=yes", "sub_runs"),
        ("pipelin=greeting", "pipelin"),
    ] {
        let answer = plant.get(&format!("/v1/runs?{query}")).await;
        assert_eq!(answer.problem(422, "invalid-request"), [field]);
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let plant = Plant::set_up().await;
    let post = |kind: &'static str, body: &'static str| {
        let request = plant.client.post(plant.url("/v1/pipelines/greeting/runs"));
        Answer::of(request.header("Content-Type", kind).body(body))
    };
    post("application/json", "{").await.problem(400, "not-json");
    post("application/json", "[1]").await.problem(400, "not-json");
    post("text/plain", "{}").await.problem(415, "not-json");
    post("application/json; charset=utf-8", "{}").await.json(201);
    let empty = plant.client.post(plant.url("/v1/pipelines/greeting/runs"));
    Answer::of(empty).await.json(201);
    let deep = "[".repeat(100_000).leak();
    post("application/json", deep).await.problem(400, "not-json");
}
