//! A request and the redirects that answer it.

use std::time::Duration;

use reqwest::{
    Client, Response, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use tale_worker::{ErrorClass, TaskError};
use tokio::sync::OnceCell;

use super::request::{Arguments, Method};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);

/// One client for the process, which keeps connections open from task to task.
static CLIENT: OnceCell<Client> = OnceCell::const_new();

/// What to send.
pub(super) struct Exchange<'a> {
    pub arguments: &'a Arguments,
    /// The idempotency key.
    pub key: String,
    /// The attempt's place in a trace.
    pub trace_parent: Option<String>,
}

impl Exchange<'_> {
    /// Sends the request, and again wherever it is redirected; returns the answer that is no redirect.
    pub(super) async fn send(&self) -> Result<Response, TaskError> {
        let arguments = self.arguments;
        let client = CLIENT.get_or_try_init(async || client()).await.map_err(TaskError::retry)?;
        let headers = self.headers()?;
        let origin = self.url()?;
        let (mut url, mut method) = (origin.clone(), arguments.method);
        for followed in 0..=arguments.redirects_max {
            let response = self.send_once(client, method, &url, headers.clone()).await?;
            let Some(target) = redirect(&response) else { return Ok(response) };
            if followed == arguments.redirects_max {
                return match arguments.redirects_max {
                    0 => Ok(response),
                    max => Err(TaskError::fail(format!(
                        "{} redirects more than {max} times",
                        place(origin.as_str())
                    ))),
                };
            }
            url = target?;
            if url.origin() != origin.origin() && !self.is_anonymous() {
                return Err(TaskError::fail(format!(
                    "{} redirects to another server, {}, which is not to see this request's headers or body: \
                     name that server in `url` if it is the right one",
                    place(origin.as_str()),
                    place(url.as_str())
                )));
            }
            // as browsers do (RFC 9110, 15.4): what was posted is not posted again, except by 307 and 308
            let becomes_get = match response.status() {
                StatusCode::SEE_OTHER => method != Method::Head,
                StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::Post,
                _ => false,
            };
            method = if becomes_get { Method::Get } else { method };
        }
        Err(TaskError::fail("the redirects have no end"))
    }

    async fn send_once(
        &self,
        client: &Client,
        method: Method,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Response, TaskError> {
        let arguments = self.arguments;
        let name = method.name();
        let verb = reqwest::Method::from_bytes(name.as_bytes()).map_err(TaskError::fail)?;
        let mut request = client.request(verb, url.clone()).headers(headers);
        if let Some(auth) = &arguments.basic_auth {
            request = request.basic_auth(&auth.user, Some(&auth.password));
        }
        if !method.is_safe() && !arguments.headers.keys().any(|name| self.is_key_header(name)) {
            request = request.header(&arguments.idempotency_header, &self.key);
        }
        if let Some(place) = &self.trace_parent
            && !arguments.headers.keys().any(|name| name.eq_ignore_ascii_case("traceparent"))
        {
            request = request.header("traceparent", place);
        }
        // a redirect that made it another method took the body away
        if method == arguments.method {
            request = match (&arguments.json, &arguments.text) {
                (Some(json), _) => {
                    let has_type =
                        arguments.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
                    let request = match has_type {
                        true => request,
                        false => request.header(header::CONTENT_TYPE, "application/json"),
                    };
                    request.body(json.to_string())
                }
                (None, Some(text)) => request.body(text.clone()),
                (None, None) => request,
            };
        }
        request.send().await.map_err(|error| refuse(name, url, error))
    }

    fn url(&self) -> Result<Url, TaskError> {
        let written = &self.arguments.url;
        let mut url = Url::parse(written)
            .map_err(|error| TaskError::fail(format!("url: {} is no URL: {error}", place(written))))?;
        if !matches!(url.scheme(), "http" | "https") {
            let message = format!("url: {} is neither http:// nor https://", place(written));
            return Err(TaskError::fail(message));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TaskError::fail(
                "url: credentials do not belong into a URL: use `basic_auth` or `headers` with a secret",
            ));
        }
        if !self.arguments.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.arguments.query);
        }
        Ok(url)
    }

    fn headers(&self) -> Result<HeaderMap, TaskError> {
        if self.arguments.json.is_some() && self.arguments.text.is_some() {
            return Err(TaskError::fail("a request has one body: give either `json` or `text`"));
        }
        let written = self.arguments.headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(name)
                .map_err(|_| TaskError::fail(format!("headers: {name:?} is no name of a header")))?;
            // the value is not shown: it may be a secret
            let value = HeaderValue::try_from(value).map_err(|_| {
                TaskError::fail(format!("headers: the value of {name} holds characters that no header may"))
            })?;
            Ok((name, value))
        });
        let headers = written.collect::<Result<HeaderMap, TaskError>>()?;
        if HeaderName::try_from(&self.arguments.idempotency_header).is_err() {
            let message =
                format!("idempotency_header: {:?} is no name of a header", self.arguments.idempotency_header);
            return Err(TaskError::fail(message));
        }
        Ok(headers)
    }

    fn is_key_header(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.arguments.idempotency_header)
    }

    /// Whether nothing of the request could be meant for its first server alone.
    fn is_anonymous(&self) -> bool {
        let arguments = self.arguments;
        arguments.headers.is_empty()
            && arguments.basic_auth.is_none()
            && arguments.json.is_none()
            && arguments.text.is_none()
    }
}

fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(Policy::none())
        .connect_timeout(CONNECT)
        .user_agent(concat!("taleworks/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Where an answer redirects to; nothing where it does not.
fn redirect(response: &Response) -> Option<Result<Url, TaskError>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?;
    let from = response.url();
    let target = location.to_str().ok().and_then(|text| from.join(text).ok());
    let target = target.filter(|url| matches!(url.scheme(), "http" | "https"));
    Some(target.ok_or_else(|| TaskError::fail(format!("{} redirects to no URL", place(from.as_str())))))
}

fn refuse(method: &str, url: &Url, error: reqwest::Error) -> TaskError {
    let is_final = error.is_builder();
    let error = error.without_url();
    let mut message = format!("{method} {} failed: {error}", place(url.as_str()));
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        message.push_str(&format!(": {error}"));
        cause = error.source();
    }
    if is_final {
        return TaskError::fail(message);
    }
    let class = if error.is_timeout() { ErrorClass::TIMEOUT } else { ErrorClass::CONNECTION };
    TaskError::retry(message).of_class(class)
}

/// A URL without what may hold secrets: credentials, query and fragment.
pub(super) fn place(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "the given text".to_owned() };
    // these fail only for URLs that carry none
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
