//! Where a process answers over HTTP, and to whom.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Args;
use tale_api::{ApiError, ApiSettings, DEFAULT_PORT, Endpoint, Tokens};
use tale_telemetry::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::Engine,
    failure::{Failure, UNUSABLE},
    installation::Installation,
};

/// Where the HTTP API answers, and to whom.
#[derive(Debug, Args)]
pub struct Listening {
    /// Where the HTTP API answers, or `none`; 127.0.0.1:8253 unless given.
    #[arg(long, value_name = "ADDRESS:PORT", env = "TALE_LISTEN", value_parser = Listen::from_str)]
    listen: Option<Listen>,
    /// The tokens that open the HTTP API, one a line, a name before each if you like; `TALE_API_TOKEN` is one more.
    /// Without any, only loopback addresses answer.
    #[arg(long, value_name = "FILE", env = "TALE_API_TOKEN_FILE")]
    api_token_file: Option<PathBuf>,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    Nowhere,
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::Nowhere);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_| "expected an address with a port, such as 127.0.0.1:8253, or none")
    }
}

/// The HTTP API before anything else has been started: what is wrong with its address or its tokens is said first.
pub struct Door {
    endpoint: Option<Endpoint>,
    tokens: Option<Tokens>,
}

impl Listening {
    /// Listens where that was asked for; where nothing was said, on the usual port if nobody else has it.
    pub async fn open(&self) -> Result<Door, Failure> {
        let variable = match std::env::var("TALE_API_TOKEN") {
            Ok(token) => Some(token),
            Err(std::env::VarError::NotPresent) => None,
            Err(error) => return Err(Failure::new(format!("TALE_API_TOKEN: {error}")).code(UNUSABLE)),
        };
        let tokens = Tokens::read(self.api_token_file.clone(), variable.as_deref())?;
        let endpoint = match self.listen {
            Some(Listen::Nowhere) => None,
            Some(Listen::At(address)) => Some(Endpoint::listen(address).await?),
            None => match Endpoint::listen(SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT))).await {
                Ok(endpoint) => Some(endpoint),
                Err(error) => {
                    eprintln!("no HTTP API: {error}; --listen ADDRESS:PORT chooses another address");
                    None
                }
            },
        };
        Ok(Door { endpoint, tokens })
    }
}

impl Door {
    /// Serves the API until `stop` is cancelled, and says where.
    pub fn serve(
        self,
        installation: &Installation,
        engine: &Engine,
        metrics: &Metrics,
        stop: &CancellationToken,
    ) -> Option<JoinHandle<()>> {
        let endpoint = self.endpoint?;
        let address = endpoint.address();
        let note = match (&self.tokens, endpoint.is_local()) {
            (Some(_), _) => "with tokens",
            (None, true) => "without tokens, for this machine alone",
            (None, false) => {
                "but for starting, showing and stopping runs, which need tokens here: --api-token-file FILE"
            }
        };
        eprintln!("HTTP API on http://{address}, {note}");
        let settings = ApiSettings {
            database: installation.database.clone(),
            wake: engine.wake.clone(),
            metrics: metrics.clone(),
            tokens: self.tokens,
        };
        Some(tokio::spawn(endpoint.serve_api(settings, stop.clone())))
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let failure = Self::of(&error).code(UNUSABLE);
        match error {
            ApiError::Taken(_) => failure.help("stop it, or listen elsewhere: port 0 takes any that is free"),
            ApiError::NoToken { .. } | ApiError::TokenLine { .. } => {
                failure.help("each line is `TOKEN` or `NAME TOKEN`; `openssl rand -hex 32` makes a token")
            }
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_none_is_an_address() {
        assert_eq!("none".parse(), Ok(Listen::Nowhere));
        assert_eq!("[::1]:80".parse(), Ok(Listen::At(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80)))));
        for wrong in ["", "8253", "127.0.0.1", "localhost:8253", "none:1"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }
}
