use serde_json::json;
use tale_api::{ApiError, Endpoint, Tokens};
use tale_queue::read_audit;

use crate::plant::{Answer, Plant};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn tokens() -> Option<Tokens> {
    Tokens::read(None, Some(&format!("ci {TOKEN}"))).unwrap()
}

#[tokio::test]
async fn with_tokens_nobody_starts_shows_lists_or_cancels_without_one() {
    let plant = Plant::with("127.0.0.1:0", tokens()).await;
    let run = "/v1/runs/0199a1f0-0000-7000-8000-000000000000";
    for answer in [
        Answer::of(plant.start(&json!({}))).await,
        plant.get("/v1/runs").await,
        plant.get(run).await,
        Answer::of(plant.client.post(plant.url(&format!("{run}/cancel")))).await,
    ] {
        answer.problem(401, "unauthorized");
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"taleworks\"");
    }
    for wrong in [&TOKEN[1..], "", &format!("{TOKEN}x"), "ci"] {
        let answer = Answer::of(plant.start(&json!({})).bearer_auth(wrong)).await;
        answer.problem(401, "unauthorized");
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("invalid_token"), "{wrong:?}");
    }
    let basic = plant.start(&json!({})).header("Authorization", format!("Basic {TOKEN}"));
    Answer::of(basic).await.problem(401, "unauthorized");
    for open in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(plant.get(open).await.status, 200, "{open}");
    }

    let started = Answer::of(plant.start(&json!({})).bearer_auth(TOKEN)).await.json(201);
    let audit = read_audit(&mut plant.database.connection().await, started["run"].as_str(), 1).await.unwrap();
    assert_eq!(audit[0].actor, "ci@127.0.0.1");
}

#[tokio::test]
async fn without_tokens_only_a_loopback_listener_shows_and_starts_runs() {
    let plant = Plant::with("0.0.0.0:0", None).await;
    Answer::of(plant.start(&json!({}))).await.problem(403, "closed");
    plant.get("/v1/runs").await.problem(403, "closed");
    assert_eq!(plant.get("/metrics").await.status, 200);

    let plant = Plant::with("0.0.0.0:0", tokens()).await;
    Answer::of(plant.start(&json!({})).bearer_auth(TOKEN)).await.json(201);
}

#[tokio::test]
async fn without_tokens_no_web_page_can_use_somebodys_browser() {
    let plant = Plant::set_up().await;
    let form =
        plant.client.post(plant.url("/v1/pipelines/greeting/runs")).header("Origin", "https://evil.example");
    Answer::of(form).await.problem(403, "closed");
    let rebound = plant.start(&json!({})).header("Host", "rebound.example:8253");
    Answer::of(rebound).await.problem(403, "closed");
    let own = plant.start(&json!({})).header("Origin", format!("http://{}", plant.address));
    Answer::of(own).await.json(201);
}

#[tokio::test]
async fn an_address_that_somebody_has_is_an_error_that_names_it() {
    let first = Endpoint::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = Endpoint::listen(first.address()).await.unwrap_err();
    assert!(matches!(error, ApiError::Taken(address) if address == first.address()), "{error}");
    assert_eq!(error.to_string(), format!("{} is taken by another program", first.address()));
}
