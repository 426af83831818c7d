use std::time::Duration;

use reqwest::Body;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use crate::plant::{Answer, Plant};

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_too_large_however_it_is_sent() {
    let plant = Plant::set_up().await;
    let body = |bytes: usize| format!("{{\"reason\":\"{}\"}}", "x".repeat(bytes - 13));
    let post = || {
        let request = plant.client.post(plant.url("/v1/pipelines/greeting/runs"));
        request.header("Content-Type", "application/json")
    };
    let at_limit = Answer::of(post().body(body(1 << 20))).await;
    assert_eq!(at_limit.problem(422, "invalid-request"), ["reason"], "it was read");
    Answer::of(post().body(body((1 << 20) + 1))).await.problem(413, "too-large");
    Answer::of(post().body(body(8 << 20))).await.problem(413, "too-large");
    let pieces = (0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 65_536]));
    let chunked = Body::wrap_stream(futures::stream::iter(pieces));
    Answer::of(post().body(chunked)).await.problem(413, "too-large");
    Answer::of(plant.start(&json!({}))).await.json(201);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_before_it_sends() {
    let plant = Plant::set_up().await;
    let mut stream = TcpStream::connect(plant.address).await.unwrap();
    let head = "POST /v1/pipelines/greeting/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut heard = vec![0; 12];
    time::timeout(Duration::from_secs(10), stream.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_server_that_stops_answers_what_it_was_asked_and_takes_nothing_more() {
    let plant = Plant::set_up().await;
    let mut blocker = plant.database.connection().await;
    sqlx::query("begin").execute(&mut blocker).await.unwrap();
    sqlx::query("lock table queue.run in access exclusive mode").execute(&mut blocker).await.unwrap();
    let asked = tokio::spawn(Answer::of(plant.start(&json!({}))));
    time::sleep(Duration::from_millis(300)).await;
    let address = plant.address;
    let stopping = tokio::spawn(plant.stop());
    time::sleep(Duration::from_millis(300)).await;
    assert!(TcpStream::connect(address).await.is_err());
    sqlx::query("commit").execute(&mut blocker).await.unwrap();
    asked.await.unwrap().json(201);
    stopping.await.unwrap();
}
