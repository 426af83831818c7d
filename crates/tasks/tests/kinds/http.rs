use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tale_queue::RunState;
use tale_storage::list_artifacts;

use crate::{
    plant::{Plant, step},
    server::{Server, answer},
};

const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_carries_what_it_was_given_and_hands_on_the_answer() {
    let plant = Plant::set_up().await;
    let server =
        Server::start(|_, _| answer(201, &[JSON, ("etag", "\"7\""), ("x-other", "no")], r#"{"id": 7}"#))
            .await;
    let arguments = json!({
        "method": "POST", "url": format!("{}/things?a=1", server.url), "query": { "name": "b c&d" },
        "headers": { "X-Team": "blue" }, "json": { "name": "thing" },
        "basic_auth": { "user": "ada", "password": "pw" },
    });
    let outputs = plant.outputs("http", arguments).await;
    let expected = json!({
        "status": 201, "body": { "id": 7 }, "object": null,
        "headers": { "content-type": "application/json; charset=utf-8", "etag": "\"7\"" },
    });
    assert_eq!(outputs, expected);
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/things?a=1&name=b+c%26d"));
    assert_eq!((seen.headers["x-team"].as_str(), seen.body.as_str()), ("blue", r#"{"name":"thing"}"#));
    assert_eq!(seen.headers["authorization"], "Basic YWRhOnB3");
    assert!(seen.headers["user-agent"].starts_with("taleworks/"));
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_of_a_task_has_one_idempotency_key_and_no_other_task_has_it() {
    let plant = Plant::set_up().await;
    let server = Server::start(|number, _| answer(if number % 3 == 2 { 200 } else { 503 }, &[], "")).await;
    let arguments = json!({ "method": "POST", "url": server.url });
    for _ in 0..2 {
        let report = plant.run("http", arguments.clone()).await;
        assert_eq!((report.state, report.attempts.len()), (RunState::Succeeded, 3));
    }
    let keys: Vec<String> =
        server.seen().iter().map(|seen| seen.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys.len(), 6);
    assert_eq!(keys[..3].iter().collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 2, "the second run is another piece of work");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_goes_where_it_is_wanted_and_reading_carries_none() {
    let plant = Plant::set_up().await;
    let server = Server::start(|_, _| answer(204, &[], "")).await;
    plant.outputs("http", json!({ "url": server.url })).await;
    let named = json!({ "method": "PUT", "url": server.url, "idempotency_header": "X-Request-Id" });
    plant.outputs("http", named).await;
    let own = json!({ "method": "PUT", "url": server.url, "headers": { "idempotency-key": "mine" } });
    plant.outputs("http", own).await;
    let seen = server.seen();
    assert!(!seen[0].headers.contains_key("idempotency-key"));
    assert_eq!(seen[1].headers["x-request-id"].len(), 64);
    assert_eq!(seen[2].headers["idempotency-key"], "mine");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_when_to_come_back_is_asked_again_then() {
    let plant = Plant::set_up().await;
    let server = Server::start(|number, _| match number {
        0 => answer(429, &[("retry-after", "2")], "slow down"),
        _ => answer(200, &[], "ok"),
    })
    .await;
    let started = Instant::now();
    let report = plant.run("http", json!({ "url": server.url })).await;
    assert_eq!(report.state, RunState::Succeeded);
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    let error = report.attempts[0].error.as_deref().unwrap();
    assert!(error.ends_with("answered 429 Too Many Requests: slow down"), "{error}");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_decide_between_success_another_attempt_and_failure() {
    let plant = Plant::set_up().await;
    let server = Server::start(|_, seen| answer(seen.path[1..4].parse().unwrap(), &[], "because")).await;
    let url = |status: u16| format!("{}/{status}", server.url);
    let (error, attempts) =
        plant.failure("http", json!({ "url": format!("{}?token=s3cret", url(404)) })).await;
    assert_eq!(error, format!("GET {} answered 404 Not Found: because", url(404)));
    assert_eq!(attempts, 1);
    assert_eq!(plant.failure("http", json!({ "url": url(500) })).await.1, 3);
    assert_eq!(plant.failure("http", json!({ "url": url(500), "retry": [] })).await.1, 1);
    assert_eq!(plant.outputs("http", json!({ "url": url(404), "expect": [404] })).await["status"], 404);
    assert_eq!(plant.failure("http", json!({ "url": url(200), "expect": [201], "retry": [200] })).await.1, 3);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_in_time_or_at_all_is_tried_again() {
    let plant = Plant::set_up().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let (error, attempts) = plant.failure("http", json!({ "url": url, "timeout_seconds": 0.3 })).await;
    assert_eq!(error, format!("GET {url} took longer than its timeout_seconds of 0.3"));
    assert_eq!(attempts, 3);
    drop(silent);
    let (error, attempts) = plant.failure("http", json!({ "url": url })).await;
    assert!(error.contains("Connection refused"), "{error}");
    assert_eq!(attempts, 3);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_followed_up_to_their_limit_and_take_no_headers_to_other_servers() {
    let plant = Plant::set_up().await;
    let other = Server::start(|_, _| answer(200, &[], "elsewhere")).await;
    let away = other.url.clone();
    let server = Server::start(move |_, seen| match seen.path.as_str() {
        "/start" => answer(302, &[("location", "/end")], ""),
        "/again" => answer(307, &[("location", "/end")], ""),
        "/loop" => answer(302, &[("location", "/loop")], ""),
        "/away" => answer(302, &[("location", away.as_str())], ""),
        _ => answer(200, &[], format!("{} {}", seen.method, seen.body)),
    })
    .await;
    let url = |path: &str| format!("{}{path}", server.url);
    let posted = |path: &str| json!({ "method": "POST", "url": url(path), "text": "hi" });
    assert_eq!(plant.outputs("http", posted("/start")).await["body"], "GET ");
    assert_eq!(plant.outputs("http", posted("/again")).await["body"], "POST hi");
    let (error, attempts) = plant.failure("http", json!({ "url": url("/loop"), "redirects_max": 3 })).await;
    assert_eq!((error, attempts), (format!("{} redirects more than 3 times", url("/loop")), 1));
    let stays = json!({ "url": url("/start"), "redirects_max": 0, "expect": [302] });
    assert_eq!(plant.outputs("http", stays).await["headers"]["location"], "/end");
    assert_eq!(plant.outputs("http", json!({ "url": url("/away") })).await["body"], "elsewhere");
    let guarded = json!({ "url": url("/away"), "headers": { "X-Api-Key": "k" } });
    let (error, attempts) = plant.failure("http", guarded).await;
    assert!(error.contains("redirects to another server"), "{error}");
    assert_eq!((attempts, other.seen().len()), (1, 1));
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_never_larger_than_its_limit() {
    let plant = Plant::set_up().await;
    let server =
        Server::start(|_, _| answer(200, &[("content-type", "text/plain")], vec![b'x'; 2 << 20])).await;
    let (error, attempts) = plant.failure("http", json!({ "url": server.url })).await;
    assert!(error.starts_with("the answer has more than 1048576 bytes: raise"), "{error}");
    assert_eq!(attempts, 1);
    let wide = json!({ "url": server.url, "response_bytes_max": 2 << 20 });
    assert_eq!(plant.outputs("http", wide).await["body"].as_str().unwrap().len(), 2 << 20);
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_may_become_an_artifact() {
    let plant = Plant::set_up().await;
    let bytes: Vec<u8> = (0..3 << 20).map(|place| (place % 251) as u8).collect();
    let sent = bytes.clone();
    let server = Server::start(move |_, _| answer(200, &[("content-type", "image/png")], sent.clone())).await;
    let run = plant.start(step("http", json!({ "url": server.url, "save_as": "picture" }))).await;
    let report = plant.end_of(run).await;
    let outputs = report.tasks[0].outputs.as_ref().unwrap();
    assert_eq!((&outputs["body"], &outputs["object"]["size_bytes"]), (&Value::Null, &json!(3 << 20)));
    let artifacts = list_artifacts(&mut plant.pool.acquire().await.unwrap(), run).await.unwrap();
    assert_eq!((artifacts[0].name.as_str(), artifacts[0].media_type.as_str()), ("picture", "image/png"));
    assert_eq!(plant.store.get(&artifacts[0].object).await.unwrap(), bytes);
    let (error, _) = plant.failure("http", json!({ "url": server.url })).await;
    assert!(error.starts_with("the answer has more than"), "{error}");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_cannot_be_right_is_not_sent() {
    let plant = Plant::set_up().await;
    for (arguments, words) in [
        (json!({ "url": "no url" }), "is no URL"),
        (json!({ "url": "ftp://host/" }), "neither http:// nor https://"),
        (json!({ "url": "http://ada:pw@host/" }), "credentials do not belong into a URL"),
        (json!({ "url": "http://host/", "json": 1, "text": "a" }), "a request has one body"),
        (json!({ "url": "http://host/", "headers": { "a b": "c" } }), "\"a b\" is no name of a header"),
        (json!({ "url": "http://host/", "headers": { "a": "s3\n" } }), "the value of a holds characters"),
    ] {
        let (error, attempts) = plant.failure("http", arguments).await;
        assert!(error.contains(words) && !error.contains("s3") && !error.contains("pw"), "{error}");
        assert_eq!(attempts, 1);
    }
    plant.stop().await;
}
