//! Where a measurement takes place: a database of its own, on a server that is given or started for it.

use tale_database::{ClusterOptions, DataDirectory, ScratchDatabase};

use crate::{arguments::Global, failure::Failure};

/// What a measurement has to itself.
pub struct Server<'a> {
    /// The database.
    pub scratch: &'a ScratchDatabase,
    /// Whether the server was started by this process, for it alone.
    pub is_own: bool,
}

/// Measures in a database that is made for it and dropped afterwards: on the server of DATABASE_URL where that is set,
/// else in the cluster of the data directory, else in a temporary one.
pub async fn on_a_server<T>(
    global: &Global,
    purpose: &str,
    measure: impl AsyncFnOnce(Server<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Some(url) = &global.database_url {
        return in_a_database(url, false, measure).await;
    }
    let temporary = match &global.data_dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("tale-bench-").tempdir_in("/var/tmp")?),
    };
    let path = match (&global.data_dir, &temporary) {
        (Some(path), _) => path.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => return Err(Failure::new("there is no data directory")),
    };
    let directory = DataDirectory::open(path)?;
    let _lock = directory.lock(purpose)?;
    let cluster = ClusterOptions::default().start(&directory).await?;
    let measured = in_a_database(cluster.url(), true, measure).await;
    cluster.stop().await?;
    measured
}

async fn in_a_database<T>(
    server_url: &str,
    is_own: bool,
    measure: impl AsyncFnOnce(Server<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let scratch = ScratchDatabase::create(server_url, "bench").await?;
    let measured = measure(Server { scratch: &scratch, is_own }).await;
    let removed = scratch.remove().await;
    let measured = measured?;
    removed?;
    Ok(measured)
}
