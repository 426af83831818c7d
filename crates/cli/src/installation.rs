//! Where a command works: the database, the object store, the data directory.

use std::path::PathBuf;

use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tale_database::{DataDirectory, DataDirectoryLock, EmbeddedCluster, connect, migrate};
use tale_storage::Store;

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
};

/// Connections of one process: those of the worker and the scheduler, and some for its tasks.
const CONNECTIONS: u32 = 16;

/// A database with its object store, and what keeps them running.
pub struct Installation {
    /// The database, with its schema up to date.
    pub database: PgPool,
    /// The object store.
    pub store: Store,
    /// Whether this process runs the embedded database, so that nobody else can be working on its runs.
    pub is_alone: bool,
    cluster: Option<EmbeddedCluster>,
    _lock: Option<DataDirectoryLock>,
}

impl Installation {
    /// Takes the data directory for this process and starts its database; with `DATABASE_URL`, connects to that one.
    pub async fn own(global: &Global, purpose: &str) -> Result<Self, Failure> {
        match &global.database_url {
            Some(url) => Self::remote(global, url).await,
            None => Self::embedded(global, purpose).await,
        }
    }

    /// Takes the data directory and starts its own database, whatever `DATABASE_URL` says.
    pub async fn embedded(global: &Global, purpose: &str) -> Result<Self, Failure> {
        let directory = DataDirectory::open(data_directory(global)?)?;
        let lock = directory.lock(purpose)?;
        let cluster = EmbeddedCluster::start(&directory).await?;
        let database = connect(cluster.url(), CONNECTIONS).await?;
        migrate(&database).await?;
        let store = open_store(global, &directory)?;
        Ok(Self { database, store, is_alone: true, cluster: Some(cluster), _lock: Some(lock) })
    }

    /// Joins an installation that exists, for commands that only look: a mistyped directory is said, not made.
    pub async fn look(global: &Global, purpose: &str) -> Result<Self, Failure> {
        let directory = data_directory(global)?;
        if global.database_url.is_none() && !directory.exists() {
            return Err(Failure::new(format!("there is no installation in {}", directory.display()))
                .code(UNUSABLE)
                .help("`tale up` makes one; --data-dir or TALE_DATA_DIR names another place"));
        }
        Self::join(global, purpose).await
    }

    /// Joins whoever runs the data directory's database, or starts it for as long as this command lasts.
    pub async fn join(global: &Global, purpose: &str) -> Result<Self, Failure> {
        if let Some(url) = &global.database_url {
            return Self::remote(global, url).await;
        }
        let directory = DataDirectory::open(data_directory(global)?)?;
        if directory.holder().is_none() {
            return Self::embedded(global, purpose).await;
        }
        let Some(url) = EmbeddedCluster::find_running(&directory) else {
            // somebody has the directory and no database runs: it starts or stops just now
            let lock = directory.lock(purpose)?;
            drop(lock);
            return Err(
                Failure::new("the data directory's database is starting or stopping").help("try again")
            );
        };
        let database = connect(&url, CONNECTIONS).await?;
        let store = open_store(global, &directory)?;
        Ok(Self { database, store, is_alone: false, cluster: None, _lock: None })
    }

    async fn remote(global: &Global, url: &str) -> Result<Self, Failure> {
        let database = connect(url, CONNECTIONS).await?;
        migrate(&database).await?;
        let store = match &global.store {
            Some(store) => Store::open(store)?,
            None => open_store(global, &DataDirectory::open(data_directory(global)?)?)?,
        };
        Ok(Self { database, store, is_alone: false, cluster: None, _lock: None })
    }

    /// A connection of the pool.
    pub async fn connection(&self) -> Result<PoolConnection<Postgres>, Failure> {
        Ok(self.database.acquire().await?)
    }

    /// Starts the embedded database again where it has died; says whether that was so.
    pub async fn revive(&mut self) -> Result<bool, Failure> {
        let Some(cluster) = &mut self.cluster else { return Ok(false) };
        if cluster.is_running() {
            return Ok(false);
        }
        cluster.restart().await?;
        Ok(true)
    }

    /// Closes the connections, and stops the database where this process runs it.
    pub async fn close(self) -> Result<(), Failure> {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(5), self.database.close()).await;
        if waited.is_err() {
            tracing::debug!("connections were still in use");
        }
        match self.cluster {
            Some(cluster) => Ok(cluster.stop().await?),
            None => Ok(()),
        }
    }
}

fn open_store(global: &Global, directory: &DataDirectory) -> Result<Store, Failure> {
    match &global.store {
        Some(url) => Ok(Store::open(url)?),
        None => {
            let objects = directory.path().join("objects");
            std::fs::create_dir_all(&objects)?;
            let url = url_of(&objects)?;
            Ok(Store::open(&url)?)
        }
    }
}

fn url_of(path: &std::path::Path) -> Result<String, Failure> {
    url::Url::from_directory_path(path)
        .map(|url| url.to_string())
        .map_err(|()| Failure::new(format!("{} is not an absolute path", path.display())).code(UNUSABLE))
}

/// The data directory: the one that was asked for, else the user's own.
pub fn data_directory(global: &Global) -> Result<PathBuf, Failure> {
    match &global.data_dir {
        Some(path) => Ok(path.clone()),
        None => base_directory(),
    }
}

/// `$XDG_DATA_HOME/taleworks`, else `~/.local/share/taleworks`.
pub fn base_directory() -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("taleworks"))
        .ok_or_else(|| {
            Failure::new("there is no home directory").code(UNUSABLE).help("name a directory with --data-dir")
        })
}
