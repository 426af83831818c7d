//! Who may ask: bearer tokens, or, where there are none, whoever is on this machine.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};

use crate::{Tokens, api::Api, problem::Problem};

/// The other end of the connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub SocketAddr);

/// Who asks, for the audit log: the name of the token and the address it came from.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    name: String,
    address: Option<IpAddr>,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{}@{address}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// To whom a listener answers.
#[derive(Debug)]
pub(crate) struct Access {
    pub tokens: Option<Tokens>,
    /// Whether only this machine reaches the listener.
    pub is_local: bool,
}

/// The name of a caller who needs no token.
const LOCAL: &str = "local";

/// Lets requests through whose caller is known, and tells the route who it is.
pub(crate) async fn admit(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let address = request.extensions().get::<Peer>().map(|Peer(peer)| peer.ip());
    match api.access().check(request.headers()) {
        Ok(name) => {
            request.extensions_mut().insert(Caller { name, address });
            Ok(next.run(request).await)
        }
        Err(problem) => {
            let path = request.uri().path();
            tracing::warn!(
                peer = address.map(tracing::field::display),
                path,
                ?problem,
                "a request was refused"
            );
            Err(problem)
        }
    }
}

impl Access {
    /// The caller's name.
    fn check(&self, headers: &HeaderMap) -> Result<String, Problem> {
        let Some(tokens) = &self.tokens else { return self.check_local(headers) };
        let refused = |detail: &str, challenge: &'static str| {
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
                .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
        };
        let shown = headers.get(header::AUTHORIZATION).ok_or_else(|| {
            refused("this needs `Authorization: Bearer TOKEN`", "Bearer realm=\"taleworks\"")
        })?;
        let token = shown.to_str().ok().and_then(|shown| {
            let (scheme, token) = shown.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        token.and_then(|token| tokens.find(token)).ok_or_else(|| {
            refused("the token is not known here", "Bearer realm=\"taleworks\", error=\"invalid_token\"")
        })
    }

    /// Without tokens only this machine may ask, and not by way of a page in somebody's browser: such a page may send
    /// requests here, and may even have a name that leads here (DNS rebinding).
    fn check_local(&self, headers: &HeaderMap) -> Result<String, Problem> {
        let closed = |detail: &str| Problem::new(StatusCode::FORBIDDEN, "closed", detail);
        if !self.is_local {
            return Err(closed(
                "without tokens (--api-token-file, TALE_API_TOKEN) only loopback addresses answer",
            ));
        }
        let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
        let host = text(header::HOST).unwrap_or_default();
        if !is_loopback(host) {
            return Err(closed("without tokens a request must be to localhost, 127.0.0.1 or [::1]"));
        }
        match text(header::ORIGIN) {
            Some(origin) if origin.strip_prefix("http://") != Some(host) => {
                Err(closed("without tokens no page of another server may ask"))
            }
            _ => Ok(LOCAL.to_owned()),
        }
    }
}

/// Whether the value of a `Host` header means this machine.
fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let has_port = |(_, port): &(&str, &str)| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(has_port).map_or(host, |(name, _)| name);
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_addresses_of_this_machine_are_loopback() {
        for host in
            ["localhost", "LOCALHOST:8253", "127.0.0.1", "127.0.0.1:80", "127.8.9.1", "[::1]:8253", "[::1]"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.evil.example",
            "evil.example:8253",
            "10.0.0.1:80",
            "127.0.0.1.evil",
            "[::2]",
            "x:y",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn without_tokens_only_this_machine_may_ask_and_no_page_of_another_server() {
        let check = |is_local, host: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            Access { tokens: None, is_local }.check(&headers).is_ok()
        };
        assert!(check(true, "127.0.0.1:8253", None));
        assert!(check(true, "localhost:8253", Some("http://localhost:8253")));
        assert!(!check(false, "127.0.0.1:8253", None));
        assert!(!check(true, "rebound.example:8253", None));
        assert!(!check(true, "localhost:8253", Some("https://evil.example")));
        assert!(!check(true, "localhost:8253", Some("null")));
    }
}
