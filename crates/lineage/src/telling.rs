//! The loop that tells news.

use std::{sync::Arc, time::Duration};

use sqlx::{PgConnection, PgPool};
use tale_queue::{News, QueueError, RunNews, forget_run_news, keep_run_news, list_run_news, lock_run_news};
use tale_storage::{StorageError, run_productions};
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::{
    event::{Namespaces, events},
    transport::{Refusal, Transport},
};

/// How often to look for news.
const TICK: Duration = Duration::from_secs(1);
/// The longest pause while a receiver does not take events.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How many news are read at a time.
const BATCH: u32 = 100;
/// How many attempts of a run are told.
const PRODUCTIONS_MAX: u32 = 10_000;

/// Tells the news of a database's runs; any number of processes may do so, and one at a time does.
pub struct Telling {
    /// The database.
    pub database: PgPool,
    /// Under which names.
    pub names: Namespaces,
    /// To whom.
    pub transport: Arc<dyn Transport>,
}

#[derive(Debug, thiserror::Error)]
enum TellingError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<sqlx::Error> for TellingError {
    fn from(error: sqlx::Error) -> Self {
        Self::Queue(error.into())
    }
}

impl Telling {
    /// Tells what happens until `stop` is cancelled, and keeps it while nobody takes it.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = TICK;
        while !stop.is_cancelled() {
            let told = tokio::select! {
                told = self.serve(&mut pause) => told,
                () = stop.cancelled() => return,
            };
            if let Err(error) = told {
                tracing::warn!(%error, seconds = pause.as_secs(), "lineage is told later");
            }
            tokio::select! {
                () = time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// Tells news on one connection until something fails; a success makes the next pause short again.
    async fn serve(&self, pause: &mut Duration) -> Result<(), TellingError> {
        // it takes a lock that lives as long as the session
        let mut connection = self.database.acquire().await?.detach();
        keep_run_news(&mut connection, true).await?;
        while !lock_run_news(&mut connection).await? {
            time::sleep(TICK).await;
        }
        loop {
            let news = list_run_news(&mut connection, BATCH).await?;
            for news in &news {
                self.tell(&mut connection, news).await?;
                *pause = TICK;
            }
            if news.len() < BATCH as usize {
                time::sleep(TICK).await;
            }
        }
    }

    async fn tell(&self, connection: &mut PgConnection, news: &RunNews) -> Result<(), TellingError> {
        let productions = match news.news {
            News::Started => vec![],
            _ => run_productions(connection, news.run, PRODUCTIONS_MAX).await?,
        };
        for event in events(&self.names, news, &productions) {
            match self.transport.tell(&event).await {
                Ok(()) => {}
                // it would hold up everything behind it for ever
                Err(refusal @ Refusal::Never(_)) => {
                    tracing::error!(run = %news.run, error = %refusal, "an event is left out")
                }
                Err(refusal) => return Err(refusal.into()),
            }
        }
        forget_run_news(connection, news.id).await?;
        Ok(())
    }
}
