//! A PostgreSQL server that a test kills and freezes.

use std::{
    error::Error,
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    str::FromStr,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tale_database::{DataDirectory, DatabaseError, EmbeddedCluster};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::timeout};

/// A durable server of a test's own, reached through `DATABASE_URL`. It ends with this value.
pub struct Server {
    runtime: Runtime,
    cluster: EmbeddedCluster,
    data: String,
    frozen: Vec<(Pid, Instant)>,
    _directory: TempDir,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// Where PostgreSQL is not there, or does not start.
    pub fn start() -> Result<Self, Box<dyn Error>> {
        // open to the user that the server runs as where this is root, so that its files lie inside and go with it
        let open = Permissions::from_mode(0o755);
        let directory = tempfile::Builder::new().prefix("tale-test-").permissions(open).tempdir()?;
        Self::start_in(directory)
    }

    /// Starts one with its data in this directory, which anybody may enter.
    ///
    /// # Errors
    /// Where PostgreSQL is not there, or does not start.
    pub fn start_in(directory: TempDir) -> Result<Self, Box<dyn Error>> {
        let runtime = Runtime::new()?;
        let place = DataDirectory::open(directory.path().join("server"))?;
        let cluster = runtime.block_on(EmbeddedCluster::start(&place))?;
        let data = runtime.block_on(async {
            let mut connection = PgConnection::connect(cluster.url()).await?;
            let data = sqlx::query_scalar("select current_setting('data_directory')");
            data.fetch_one(&mut connection).await as Result<String, sqlx::Error>
        })?;
        Ok(Self { runtime, cluster, data, frozen: vec![], _directory: directory })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.cluster.url()
    }

    /// Where it keeps its data.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// Runs what talks to it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Lets something go on beside the test.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    /// Connects, waiting for a server that recovers from a crash.
    ///
    /// # Errors
    /// Where it does not answer within half a minute.
    pub fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let until = Instant::now() + Duration::from_secs(30);
        let options = PgConnectOptions::from_str(self.url())?.application_name("the test");
        loop {
            match self.block_on(options.connect()) {
                Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
                answer => return answer,
            }
        }
    }

    /// Kills the postmaster with SIGKILL, as a machine that loses power would, and starts it again.
    ///
    /// # Errors
    /// Where it does not start again.
    pub fn crash(&mut self) -> Result<(), DatabaseError> {
        // a frozen session would hold on to the memory that the next server needs
        self.thaw(true);
        if let Some(postmaster) = self.postmaster() {
            let _ = kill_process(postmaster, Signal::KILL);
        }
        self.runtime.block_on(self.cluster.restart())
    }

    /// Starts it again where it has ended by itself.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn revive(&mut self) -> Result<(), DatabaseError> {
        if self.cluster.is_running() {
            return Ok(());
        }
        self.runtime.block_on(self.cluster.restart())
    }

    /// Kills one of the product's sessions: the server ends all the others, recovers and goes on.
    pub fn kill_session(&mut self, choice: usize) -> bool {
        self.session(choice).is_some_and(|session| kill_process(session, Signal::KILL).is_ok())
    }

    /// Freezes one of the product's sessions, whatever it is doing, until [`Server::tend`] finds that the time has passed.
    pub fn freeze_session(&mut self, choice: usize, time: Duration) -> bool {
        let Some(session) = self.session(choice) else { return false };
        self.frozen.push((session, Instant::now() + time));
        kill_process(session, Signal::STOP).is_ok()
    }

    /// Freezes the postmaster: nobody can connect meanwhile.
    pub fn freeze_postmaster(&mut self, time: Duration) -> bool {
        let Some(postmaster) = self.postmaster() else { return false };
        self.frozen.push((postmaster, Instant::now() + time));
        kill_process(postmaster, Signal::STOP).is_ok()
    }

    /// Thaws what has been frozen for long enough.
    pub fn tend(&mut self) {
        self.thaw(false);
    }

    /// Thaws everything.
    pub fn calm(&mut self) {
        self.thaw(true);
    }

    fn thaw(&mut self, all: bool) {
        self.frozen.retain(|(process, until)| {
            let is_over = all || *until <= Instant::now();
            if is_over {
                let _ = kill_process(*process, Signal::CONT);
            }
            !is_over
        });
    }

    fn postmaster(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(format!("{}/postmaster.pid", self.data)).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    }

    /// One of the sessions that the product has open.
    fn session(&self, choice: usize) -> Option<Pid> {
        let sessions = async {
            let mut connection = PgConnection::connect(self.cluster.url()).await.ok()?;
            let found: Result<Vec<i32>, sqlx::Error> =
                sqlx::query_scalar("select pid from pg_stat_activity where application_name = 'tale'")
                    .fetch_all(&mut connection)
                    .await;
            found.ok()
        };
        // a frozen postmaster takes connections and answers nobody
        let sessions =
            self.runtime.block_on(async { timeout(Duration::from_secs(1), sessions).await.ok()? })?;
        Pid::from_raw(*sessions.get(choice.checked_rem(sessions.len())?)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thaw(true);
    }
}
