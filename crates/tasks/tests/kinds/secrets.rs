use serde_json::json;
use tale_queue::RunState;

use crate::{
    plant::{Plant, step},
    server::{Server, answer},
};

/// A secret of two lines with what JSON, URLs and shells treat in their own ways.
const SECRET: &str = "s3cret \"quoted\" & 50%\nsecond-line";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_reaches_its_program_and_nothing_that_is_stored() {
    let plant = Plant::set_up().await;
    plant.tell("TOKEN", SECRET);
    let quoted = json!(SECRET).to_string();
    plant.tell("JSON", &quoted[1..quoted.len() - 1]);
    let script = r#"
        [ "$TOKEN" = "$1" ] || exit 9
        echo "out $TOKEN"; echo "err $TOKEN" >&2
        head -c 8190 /dev/zero | tr '\0' x; echo "$TOKEN"
        head -c 4090 /dev/zero | tr '\0' y; echo "$TOKEN"
        printf '{"token": "%s", "n": 7}' "$JSON""#;
    let arguments = json!({
        "argv": ["sh", "-c", script, "sh", "${secrets.TOKEN}"], "output": "json",
        "env": { "TOKEN": "${secrets.TOKEN}", "JSON": "${secrets.JSON}" },
    });
    let run = plant.start(step("shell", arguments)).await;
    let report = plant.end_of(run).await;
    assert_eq!(report.state, RunState::Succeeded, "{:?}", report.tasks[0].error);
    assert_eq!(report.tasks[0].outputs.as_ref().unwrap()["value"], json!({ "token": "***", "n": 7 }));
    let lines = plant.lines_until(run, "{\"token\"").await;
    assert!(lines.contains(&"out ***".to_owned()) && lines.contains(&"err ***".to_owned()), "{lines:?}");

    let failing = json!({ "argv": ["sh", "-c", "echo \"no: $1\" >&2; exit 1", "sh", "${secrets.TOKEN}"] });
    let (error, _) = plant.failure("shell", failing).await;
    assert_eq!(error, "sh exited with code 1: ***");
    let (error, _) = plant.failure("shell", json!({ "argv": ["${secrets.TOKEN}"] })).await;
    assert!(error.starts_with("the program \"***\" cannot be started"), "{error}");
    let (error, _) = plant.failure("shell", json!({ "argv": "${secrets.TOKEN}" })).await;
    assert!(error.contains("invalid type: string \"***\""), "{error}");

    let stored = plant.everything_stored().await;
    assert!(stored.contains("${secrets.TOKEN}"), "the arguments hold the reference");
    for part in ["s3cret", "second-line", "quoted"] {
        assert!(!stored.contains(part), "{part} is stored");
    }
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_reaches_a_server_and_its_echo_is_starred() {
    let plant = Plant::set_up().await;
    plant.tell("KEY", "k-123456\n");
    let server = Server::start(|_, seen| {
        let status = if seen.path == "/denied" { 403 } else { 200 };
        answer(
            status,
            &[("x-echo", seen.headers["authorization"].as_str())],
            format!("you sent {:?}", seen.headers),
        )
    })
    .await;
    let request = |path: &str| {
        json!({
            "url": format!("{}{path}", server.url), "keep_headers": ["x-echo"],
            "headers": { "Authorization": "Bearer ${secrets.KEY}" },
        })
    };
    let outputs = plant.outputs("http", request("/")).await;
    assert_eq!(server.seen()[0].headers["authorization"], "Bearer k-123456");
    assert_eq!(outputs["headers"]["x-echo"], "Bearer ***");
    assert!(outputs["body"].as_str().unwrap().contains("Bearer ***"), "{outputs}");
    let (error, _) = plant.failure("http", request("/denied")).await;
    assert!(error.contains("403 Forbidden: you sent") && error.contains("Bearer ***"), "{error}");
    assert!(!plant.everything_stored().await.contains("k-123456"));
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_secret_is_named_and_there_as_soon_as_it_is_added() {
    let plant = Plant::set_up().await;
    let arguments = json!({ "argv": ["printf", "%s", "${secrets.LATE}"] });
    let (error, attempts) = plant.failure("shell", arguments.clone()).await;
    assert!(error.starts_with("the secret LATE is not known here: set TALE_SECRET_LATE"), "{error}");
    assert_eq!(attempts, 3, "another worker may have it");
    plant.tell("LATE", "now it is there");
    assert_eq!(plant.outputs("shell", arguments).await["value"], "***");
    plant.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_only_looks_like_a_reference_stays_a_text() {
    let plant = Plant::set_up().await;
    plant.tell("TOKEN", SECRET);
    let outputs = plant.outputs("shell", json!({ "argv": ["printf", "%s", "$${secrets.TOKEN}"] })).await;
    assert_eq!(outputs["value"], "${secrets.TOKEN}");
    plant.stop().await;
}
