use std::os::unix::net::UnixStream;

use crate::binaries::find_postgres_for;
use crate::directory::{DataDirectoryLock, lock_file};
use crate::place::Place;
use crate::supervisor::Supervised;
use crate::{DataDirectory, DatabaseError, PostgresBinaries, server};

/// How a cluster is run. The default is for real work: durable, and it stays.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    pub(crate) durable: bool,
    pub(crate) temporary: bool,
    pub(crate) max_connections: u32,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { durable: true, temporary: false, max_connections: 100 }
    }
}

impl ClusterOptions {
    /// Whether a commit survives the machine's crash. Without it tests are faster.
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Whether the whole data directory is removed when the cluster stops, however it stops; for tests. Such a cluster
    /// cannot be started again.
    pub fn temporary(mut self, temporary: bool) -> Self {
        self.temporary = temporary;
        self
    }

    /// How many sessions the server takes; 100 unless told.
    pub fn max_connections(mut self, max_connections: u32) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Starts the data directory's cluster, making it when there is none.
    ///
    /// Dropping the future at any moment leaves no process, no socket and no half-made cluster. A server that a killed
    /// process has left behind is ended first.
    pub async fn start(self, directory: &DataDirectory) -> Result<EmbeddedCluster, DatabaseError> {
        // The caller may or may not hold the data directory; the cluster alone is guarded by a lock of its own.
        let directory = directory.clone();
        let temporary = self.temporary;
        let preparation = tokio::task::spawn_blocking(move || {
            let lock = lock_file(&directory, "postgres.lock", "the embedded PostgreSQL")?;
            let place = Place::prepare(&directory, temporary)?;
            server::stop_orphan(&place.data())?;
            let binaries = find_postgres_for(server::cluster_major(&place.data()))?;
            Ok::<_, DatabaseError>((lock, place, binaries))
        });
        // It is not cancelled, and does not panic: the task can only end.
        let (lock, place, binaries) = match preparation.await {
            Ok(prepared) => prepared?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        server::initialise(&place, &binaries, &self).await?;
        let running = server::start(&place, &binaries, &self).await?;
        let url = place.url();
        tracing::info!(cluster = %place.home.display(), version = %binaries.version(), "the database is ready");
        Ok(EmbeddedCluster { server: Some(running), url, place, binaries, options: self, _lock: lock })
    }
}

/// A private PostgreSQL server of one data directory, reachable through a Unix socket alone.
///
/// It ends with this value, or with the process, whatever ends that. Several data directories' clusters never meet.
#[derive(Debug)]
pub struct EmbeddedCluster {
    // Ended before the lock is given back: fields are dropped in this order.
    server: Option<Supervised>,
    url: String,
    place: Place,
    binaries: PostgresBinaries,
    options: ClusterOptions,
    _lock: DataDirectoryLock,
}

impl EmbeddedCluster {
    /// Starts the data directory's durable cluster; see [`ClusterOptions::start`].
    pub async fn start(directory: &DataDirectory) -> Result<Self, DatabaseError> {
        ClusterOptions::default().start(directory).await
    }

    /// The address of the database `tale`, the same at every start.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The programs that the cluster runs on.
    pub fn binaries(&self) -> &PostgresBinaries {
        &self.binaries
    }

    /// Whether the server process still runs.
    pub fn is_running(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| matches!(server.ended(), Ok(None)))
    }

    /// Stops the server, if it runs, and starts it again at the same address.
    pub async fn restart(&mut self) -> Result<(), DatabaseError> {
        if let Some(server) = self.server.take() {
            server::stop(&self.place, server).await?;
        }
        self.server = Some(server::start(&self.place, &self.binaries, &self.options).await?);
        Ok(())
    }

    /// Ends all sessions, writes everything down and stops; the socket goes too.
    pub async fn stop(mut self) -> Result<(), DatabaseError> {
        match self.server.take() {
            Some(server) => server::stop(&self.place, server).await,
            None => Ok(()),
        }
    }

    /// The address of the data directory's cluster, when some process runs it: to join a running `tale up`.
    pub fn find_running(directory: &DataDirectory) -> Option<String> {
        let place = Place::find(directory)?;
        server::running(&place.data())?;
        UnixStream::connect(place.socket_directory.join(".s.PGSQL.5432")).ok()?;
        Some(place.url())
    }
}
