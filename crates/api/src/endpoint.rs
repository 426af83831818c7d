//! Listening, and serving connections until it is time to stop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tale_telemetry::Metrics;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{Api, ApiError, ApiSettings, access::Peer, routes};

/// The port unless another is asked for: TALE on the keys of a telephone.
pub const DEFAULT_PORT: u16 = 8253;

/// An address that this process listens on.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

/// How many connections there may be; others wait in the operating system's queue.
const CONNECTIONS_MAX: usize = 512;
/// How long a client may take to send the head of a request, and may be silent between two.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// How long requests may go on once the process stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait where no more connections can be opened.
const PAUSE: Duration = Duration::from_millis(100);

impl Endpoint {
    /// Listens on an address; port 0 lets the system choose one.
    pub async fn listen(address: SocketAddr) -> Result<Self, ApiError> {
        let listener = TcpListener::bind(address).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ApiError::Taken(address),
            _ => ApiError::Listen { address, source },
        })?;
        let address = listener.local_addr().map_err(|source| ApiError::Listen { address, source })?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether only programs of this machine can connect.
    pub fn is_local(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }

    /// Serves the API until `stop` is cancelled; then lets requests end.
    pub async fn serve_api(self, settings: ApiSettings, stop: CancellationToken) {
        let api = Api::new(settings, self.is_local());
        self.serve(routes::api(api), stop).await;
    }

    /// Serves what this process measures of itself, and nothing else, until `stop` is cancelled.
    pub async fn serve_metrics(self, metrics: Metrics, stop: CancellationToken) {
        self.serve(routes::metrics_alone(metrics), stop).await;
    }

    async fn serve(self, router: Router, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&room) => accepted,
                () = stop.cancelled() => break,
            };
            let Some((stream, peer, place)) = accepted else { continue };
            let router = router.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer));
                router.clone().oneshot(request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%peer, %error, "a connection ended badly");
                }
                drop(place);
            });
        }
        drop(self.listener);
        if time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::debug!("requests were still going on");
        }
    }

    /// The next connection, once there is room for it.
    async fn accept(
        &self,
        room: &Arc<Semaphore>,
    ) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let place = room.clone().acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                Some((stream, peer, place))
            }
            Err(error) => {
                // such as too many open files: a connection that failed by itself is over with the next try
                tracing::warn!(%error, "no connection could be taken");
                time::sleep(PAUSE).await;
                None
            }
        }
    }
}
