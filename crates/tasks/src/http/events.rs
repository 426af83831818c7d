//! Lineage events on their way to a server; here, because this is where HTTP is.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, StatusCode, header::CONTENT_TYPE, redirect::Policy};
use serde_json::Value;
use tale_lineage::{Refusal, Transport};

/// How long a server may take for one event, as in the reference client.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Posts events to a server, with its key where it wants one.
pub struct EventPost {
    client: Client,
    url: String,
    api_key: Option<String>,
}

impl EventPost {
    /// A way to the server at `url`. The key goes there and nowhere else: redirects are not followed.
    pub fn new(url: String, api_key: Option<String>) -> Result<Self, Refusal> {
        let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build();
        let client = client.map_err(later)?;
        Ok(Self { client, url, api_key })
    }
}

#[async_trait]
impl Transport for EventPost {
    async fn tell(&self, event: &Value) -> Result<(), Refusal> {
        let mut request =
            self.client.post(&self.url).header(CONTENT_TYPE, "application/json").body(event.to_string());
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.map_err(later)?;
        let status = answer.status();
        match status {
            status if status.is_success() => Ok(()),
            // the key may be put right, and a redirect is the operator's to follow
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS => Err(Refusal::Later(status.to_string())),
            status if status.is_client_error() => Err(Refusal::Never(status.to_string())),
            status => Err(Refusal::Later(status.to_string())),
        }
    }
}

/// With its causes, and without the address, which may hold what nobody should read.
fn later(error: reqwest::Error) -> Refusal {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Refusal::Later(text)
}
