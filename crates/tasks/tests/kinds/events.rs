//! Lineage events on their way to a server.

use std::sync::Arc;

use serde_json::{Value, json};
use tale_lineage::{Namespaces, Refusal, Telling, Transport};
use tale_queue::{RunState, keep_run_news, list_run_news};
use tale_tasks::EventPost;
use tokio_util::sync::CancellationToken;

use crate::{
    plant::Plant,
    server::{Server, answer},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_run_reach_a_server_in_their_order_although_it_was_away_for_a_while() {
    let plant = Plant::set_up().await;
    keep_run_news(&mut plant.pool.acquire().await.unwrap(), true).await.unwrap();
    let report = plant.run("shell", json!({ "argv": ["echo", "made"] })).await;
    assert_eq!(report.state, RunState::Succeeded);
    let server = Server::start(|number, _| answer(if number == 0 { 503 } else { 201 }, &[], "")).await;
    let url = format!("{}/api/v1/lineage", server.url);
    let telling = Telling {
        database: plant.pool.clone(),
        names: Namespaces { jobs: "taleworks".to_owned(), data: plant.store.url().to_owned() },
        transport: Arc::new(EventPost::new(url, Some("the-key".to_owned())).unwrap()),
    };
    let stop = CancellationToken::new();
    let told = tokio::spawn(telling.run(stop.clone()));
    plant
        .until("everything is told", async || {
            let mut connection = plant.pool.acquire().await.unwrap();
            list_run_news(&mut connection, 10).await.unwrap().is_empty()
        })
        .await;
    stop.cancel();
    told.await.unwrap();

    let seen = server.seen();
    let events: Vec<Value> = seen.iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect();
    assert_eq!(events[0], events[1], "what was refused is told again, and nothing before it");
    let types: Vec<_> = events[1..].iter().map(|event| event["eventType"].as_str().unwrap()).collect();
    assert_eq!((types.first(), types.last()), (Some(&"START"), Some(&"COMPLETE")), "{types:?}");
    for seen in &seen {
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/api/v1/lineage"));
        assert_eq!(seen.headers["content-type"], "application/json");
        assert_eq!(seen.headers["authorization"], "Bearer the-key");
    }
    plant.stop().await;
}

#[tokio::test]
async fn what_a_server_will_never_take_is_told_apart_from_what_it_does_not_take_now() {
    for (status, is_for_good) in
        [(400, true), (422, true), (401, false), (404, false), (429, false), (500, false)]
    {
        let server = Server::start(move |_, _| answer(status, &[], "secret words")).await;
        let post = EventPost::new(server.url.clone(), None).unwrap();
        let refusal = post.tell(&json!({})).await.unwrap_err();
        assert_eq!(matches!(refusal, Refusal::Never(_)), is_for_good, "{status}: {refusal}");
        assert!(!server.seen()[0].headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn the_key_does_not_follow_a_redirect_and_no_address_is_in_a_message() {
    let other = Server::start(|_, _| answer(200, &[], "")).await;
    let location = other.url.clone();
    let server = Server::start(move |_, _| answer(307, &[("location", location.as_str())], "")).await;
    let post = EventPost::new(server.url.clone(), Some("the-key".to_owned())).unwrap();
    assert!(matches!(post.tell(&json!({})).await, Err(Refusal::Later(_))));
    assert!(other.seen().is_empty());

    let gone = EventPost::new("http://user:word@127.0.0.1:9/lineage".to_owned(), None).unwrap();
    let refusal = gone.tell(&json!({})).await.unwrap_err().to_string();
    assert!(refusal.contains("refused") && !refusal.contains("word"), "{refusal}");
}
