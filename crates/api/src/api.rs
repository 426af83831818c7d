//! What the routes work with.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, Postgres, pool::PoolConnection, postgres::PgPoolOptions};
use tale_queue::Wake;
use tale_telemetry::Metrics;

use crate::{Tokens, access::Access, board::Board, measure::Exchanges, problem::Problem};

/// How the API works.
#[derive(Debug)]
pub struct ApiSettings {
    /// The database; the API opens a few connections of its own to it.
    pub database: PgPool,
    /// Wake-ups, for runs that are started here.
    pub wake: Wake,
    /// What this process measures of itself.
    pub metrics: Metrics,
    /// The tokens that open it; without them, only a loopback listener does.
    pub tokens: Option<Tokens>,
}

/// What the routes share.
#[derive(Debug, Clone)]
pub struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    database: PgPool,
    wake: Wake,
    metrics: Metrics,
    access: Access,
    board: Board,
    exchanges: Exchanges,
}

/// Connections of the API: callers wait for each other before they take the worker's and the scheduler's.
const CONNECTIONS: u32 = 4;
/// How long a request waits for a connection.
const ACQUIRED_WITHIN: Duration = Duration::from_secs(5);
/// How long one statement of a request may take.
const STATEMENT_WITHIN: &str = "10s";

impl Api {
    /// What a listener serves; `is_local` says whether only this machine reaches it.
    pub(crate) fn new(settings: ApiSettings, is_local: bool) -> Self {
        let options = settings.database.connect_options();
        let options = (*options).clone().options([("statement_timeout", STATEMENT_WITHIN)]);
        let database = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRED_WITHIN)
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(options);
        let exchanges = Exchanges::new(&settings.metrics);
        Self(Arc::new(Shared {
            database,
            wake: settings.wake,
            metrics: settings.metrics,
            access: Access { tokens: settings.tokens, is_local },
            board: Board::default(),
            exchanges,
        }))
    }

    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, Problem> {
        Ok(self.0.database.acquire().await?)
    }

    pub(crate) fn database(&self) -> &PgPool {
        &self.0.database
    }

    pub(crate) fn wake(&self) -> &Wake {
        &self.0.wake
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    pub(crate) fn board(&self) -> &Board {
        &self.0.board
    }

    pub(crate) fn exchanges(&self) -> &Exchanges {
        &self.0.exchanges
    }
}
