use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;

use crate::TestServer;

/// The variable that names a server for all tests.
const SERVER: &str = "TALE_TEST_DATABASE_URL";

/// One for all tests of this process; it ends with the process, because nothing drops it before.
static SHARED: OnceCell<TestServer> = OnceCell::const_new();
static CREATED: AtomicU32 = AtomicU32::new(0);

/// A database with the whole schema, for one test alone; dropped with the value.
#[derive(Debug)]
pub struct TestDatabase {
    server: &'static TestServer,
    name: String,
    url: String,
    pool: PgPool,
}

// In a test there is nobody to hand an error to: every failure here ends the test with its whole cause.
#[allow(clippy::expect_used, clippy::missing_panics_doc)]
impl TestDatabase {
    /// Makes the database, starting a server when none is given (see the crate's page).
    pub async fn create() -> Self {
        let server = SHARED
            .get_or_init(async || match std::env::var(SERVER) {
                Ok(url) if !url.is_empty() => TestServer::at(url),
                _ => TestServer::start().await.unwrap_or_else(|error| panic!("{error}: {error:?}")),
            })
            .await;
        let count = CREATED.fetch_add(1, Ordering::Relaxed);
        // The time tells apart two processes of the same number.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros());
        let name = format!("tale_test_{}_{count}_{time}", std::process::id());
        server.create_database(&name).await.unwrap_or_else(|error| panic!("{error}: {error:?}"));
        let url = server.url_of(&name);
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .connect(&url)
            .await
            .expect("a database just made takes connections");
        Self { server, name, url, pool }
    }

    /// A pool of up to ten connections.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The address, for processes that a test starts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection of its own, not from the pool.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the test's database takes connections")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server, std::mem::take(&mut self.name));
        // On a thread and a runtime of its own: the test's may be shutting down. A failure leaves a database that the
        // next making of a template removes.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(server.drop_database(&name)).ok()
        });
        let _ = thread.join();
    }
}
