//! The HTTP API of a real `tale up`, and the metrics of a real worker.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, Response};
use serde_json::{Value, json as value};

use crate::{
    schedules::{Up, json, tale},
    tale::Place,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const GREETING: &str = "\
pipeline: greeting
params: { who: { type: string, default: world } }
steps:
  hi: { uses: shell, with: { argv: [echo, 'hello, ${params.who}'] } }
outputs: { said: '${steps.hi.outputs.value}' }
";

/// The address in a line such as `HTTP API on http://127.0.0.1:4711, …`.
fn address_in(said: &str) -> String {
    let from = said.find("http://").unwrap_or_else(|| panic!("no address in {said}"));
    let rest = &said[from..];
    rest[..rest.find([',', '\n', ' ']).unwrap()].to_owned()
}

async fn post(url: &str, token: &str, key: &str, body: Value) -> (u16, Value) {
    let request = Client::new().post(url).bearer_auth(token).header("Idempotency-Key", key);
    read(request.header("Content-Type", "application/json").body(body.to_string()).send().await.unwrap())
        .await
}

async fn get(url: &str) -> (u16, Value) {
    read(Client::new().get(url).bearer_auth(TOKEN).send().await.unwrap()).await
}

async fn read(response: Response) -> (u16, Value) {
    (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_run_that_is_started_over_http_runs_and_is_found_in_the_audit_log() {
    let place = Place::new();
    place.write("pipelines/greeting.yaml", GREETING);
    let tokens = place.write("tokens", format!("# who may start runs\nci {TOKEN}\n"));
    let (_up, said) =
        Up::start_with(&place, &["--listen", "127.0.0.1:0", "--api-token-file", tokens.to_str().unwrap()]);
    assert!(said.contains("with tokens"), "{said}");
    let api = address_in(&said);
    let runs = format!("{api}/v1/pipelines/greeting/runs");

    assert_eq!(post(&runs, "wrong", "a", value!({})).await.0, 401);
    let (status, refused) = post(&runs, TOKEN, "a", value!({ "params": { "whom": "ada" } })).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (422, &value!("params.whom")), "{refused:#}");
    let asked = value!({ "params": { "who": "ada" }, "reason": "a test" });
    let (status, started) = post(&runs, TOKEN, "a", asked.clone()).await;
    assert_eq!(status, 201, "{started:#}");
    let (status, again) = post(&runs, TOKEN, "a", asked).await;
    assert_eq!((status, &again["run"]), (200, &started["run"]));

    let run = started["run"].as_str().unwrap();
    let began = Instant::now();
    let shown = loop {
        let (_, shown) = get(&format!("{api}/v1/runs/{run}")).await;
        if shown["state"] != "running" {
            break shown;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it does not end: {shown:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(shown["outputs"], value!({ "said": "hello, ada" }), "{shown:#}");
    assert_eq!(json(&place, &["show", run])["trigger"], "http by ci@127.0.0.1");
    let audit = json(&place, &["audit", run]);
    assert_eq!((&audit[0]["action"], &audit[0]["actor"]), (&value!("run.start"), &value!("ci@127.0.0.1")));

    let began = Instant::now();
    loop {
        let metrics = Client::new().get(format!("{api}/metrics")).send().await.unwrap().text().await.unwrap();
        let has = |line: &str| metrics.lines().any(|found| found == line);
        if has("tale_queue_runs_ended_total{state=\"succeeded\"} 1") {
            assert!(has("tale_worker_attempts_total{outcome=\"succeeded\"} 1"), "{metrics}");
            assert!(has("tale_worker_attempts_total{outcome=\"failed\"} 0"), "{metrics}");
            assert!(has("tale_scheduler_leases_lost_total 0"), "{metrics}");
            assert!(has("tale_worker_slots{pool=\"cpu\"} 2"), "{metrics}");
            assert!(metrics.contains("tale_worker_claim_seconds_count"), "{metrics}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{metrics}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn the_examples_of_the_api_page_work_as_they_are_written() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("curl is not installed, so that its examples are not tried");
        return;
    }
    let page = include_str!("../../../api/README.md");
    let examples = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let place = Place::new();
    let (_up, said) = Up::start_with(&place, &["--listen", "127.0.0.1:0"]);
    assert!(said.contains("without tokens, for this machine alone"), "{said}");
    let examples = examples.replace("http://127.0.0.1:8253", &address_in(&said));
    let (start, others) = examples.split_once("\ncurl -sS 'http").unwrap();
    let output = Command::new("sh").args(["-ec", start]).output().unwrap();
    let started: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let run = started["run"].as_str().unwrap_or_else(|| panic!("{started:#}"));
    let others = format!("curl -sS 'http{others}").replace("curl -sS", "curl -sS --fail-with-body -w '\\n'");
    // the run may have ended before it is told to stop, which the page says is a conflict
    let others = others.replace("/cancel", "/cancel || true");
    let output = Command::new("sh").args(["-ec", &others]).env("RUN", run).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    let listed: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    assert_eq!(listed["runs"][0]["id"], *run, "{shown}");
    for words in
        ["\"priority\":\"urgent\"", "\"dedup_key\":\"order-4711\"", "# TYPE tale_queue_ready_tasks gauge"]
    {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
}

#[test]
fn a_taken_address_and_unusable_tokens_are_said_before_anything_starts() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    tale(&place, &["up", "--listen", &address]).failed(2, &[&format!("{address} is taken"), "port 0"]);
    tale(&place, &["up", "--listen", "8253"]).failed(2, &["127.0.0.1:8253, or none"]);
    let tokens = place.write("tokens", "ci short\n");
    let tokens = tokens.to_str().unwrap();
    tale(&place, &["up", "--listen", "none", "--api-token-file", tokens])
        .failed(2, &["tokens:1", "16", "openssl"]);
    assert!(!place.path().join("data").exists(), "nothing was started");
    tale(&place, &["serve", "--listen", "none"]).failed(2, &["there is no installation", "tale up"]);
}

#[tokio::test]
async fn other_processes_serve_the_api_and_their_own_metrics() {
    let place = Place::new();
    place.write("pipelines/greeting.yaml", GREETING);
    let (_up, said) = Up::start_with(&place, &["--listen", "none"]);
    assert!(!said.contains("http://"), "{said}");
    let mut children = Vec::new();
    let mut addresses = Vec::new();
    for (arguments, words) in [
        (&["serve", "--listen", "127.0.0.1:0"][..], "HTTP API on"),
        (&["worker", "--slots", "1", "--metrics-listen", "127.0.0.1:0"], "metrics on"),
    ] {
        let arguments = [arguments, &["--data-dir", "data"]].concat();
        let (child, said) = Up::start_process(place.command(&arguments).stderr(Stdio::piped()), words);
        addresses.push(address_in(&said));
        children.push(child);
    }
    let (status, started) =
        post(&format!("{}/v1/pipelines/greeting/runs", addresses[0]), "none", "a", value!({})).await;
    assert_eq!(status, 201, "{started:#}");
    let patience = Instant::now();
    let metrics = loop {
        let metrics = Client::new().get(addresses[1].clone()).send().await.unwrap().text().await.unwrap();
        // there is nothing to tell of claims before the first one
        if metrics.contains("# TYPE tale_worker_claim_seconds histogram") {
            break metrics;
        }
        assert!(patience.elapsed() < Duration::from_secs(30), "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(!metrics.contains("tale_queue_"), "{metrics}");
    let (status, _) = get(&addresses[1].replace("/metrics", "/v1/runs")).await;
    assert_eq!(status, 404);
}
