//! A server of the API, and requests to it.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Client, RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use sqlx::PgPool;
use tale_api::{ApiSettings, Endpoint, Tokens};
use tale_pipeline::{KindCatalog, KindDescription, Source, check};
use tale_queue::{Wake, apply_pipeline};
use tale_telemetry::Metrics;
use tale_testkit::TestDatabase;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PIPELINE: &str = "\
pipeline: greeting
params:
  rounds: { type: integer, default: 3, min: 1 }
  who: { type: string, default: world }
  at: { type: list, default: [] }
tenant: '${params.who}'
steps:
  greet: { uses: noop, for_each: '${range(params.rounds)}' }
  rest: { uses: noop, needs: [greet] }
";

/// A server, and what it works with.
pub struct Plant {
    pub database: TestDatabase,
    pub address: SocketAddr,
    pub client: Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

/// How a request was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Plant {
    /// A server on a loopback address without tokens.
    pub async fn set_up() -> Self {
        Self::with("127.0.0.1:0", None).await
    }

    pub async fn with(address: &str, tokens: Option<Tokens>) -> Self {
        let database = TestDatabase::create().await;
        apply(&database).await;
        let pool = database.pool().clone();
        Self::over(database, pool, address, tokens).await
    }

    /// A server that finds its database over this pool.
    pub async fn over(database: TestDatabase, pool: PgPool, address: &str, tokens: Option<Tokens>) -> Self {
        let endpoint = Endpoint::listen(address.parse().unwrap()).await.unwrap();
        let address = endpoint.address();
        let wake = Wake::start(pool.clone());
        let settings = ApiSettings { database: pool, wake, metrics: Metrics::default(), tokens };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(endpoint.serve_api(settings, stop.clone()));
        let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { database, address, client, stop, serving }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.address.port())
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.url(path))).await
    }

    /// Asks for a run of the pipeline `greeting`.
    pub fn start(&self, body: &Value) -> RequestBuilder {
        self.post("/v1/pipelines/greeting/runs", body)
    }

    /// A request with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.post(self.url(path)).header("Content-Type", "application/json");
        request.body(body.to_string())
    }

    /// Stops the server and waits for its end.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.serving).await.expect("it ends").unwrap();
    }
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.unwrap()).await
    }

    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    /// The answer is JSON and has this status.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_str(&self.text).unwrap()
    }

    /// The answer is a problem of this sort; returns the fields that it names.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Vec<String> {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(problem["type"], format!("urn:taleworks:{code}"), "{problem:#}");
        assert_eq!(problem["status"], status);
        assert!(
            !problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty()
        );
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

async fn apply(database: &TestDatabase) {
    let noop = KindDescription {
        name: "noop".to_owned(),
        summary: "Does nothing.".to_owned(),
        arguments: json!({ "type": "object" }),
        outputs: json!({ "type": "null" }),
        pool: None,
        resources: tale_pipeline::ResourceSpec::default(),
        cacheable: false,
    };
    let source = Source { name: "greeting.yaml".to_owned(), text: PIPELINE.to_owned() };
    let spec = check(&source, &KindCatalog::new([noop]), None).expect("the pipeline is right");
    let mut connection = database.connection().await;
    let stored = spec.to_json().unwrap();
    apply_pipeline(&mut connection, "greeting", spec.digest().unwrap(), &stored).await.unwrap();
}
