//! Wake-ups: who waits for ready tasks is told, from a connection that does no other work.

use std::{sync::Arc, time::Duration};

use sqlx::{PgConnection, PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time,
};

use crate::QueueError;

const CHANNEL: &str = "tale_ready";

/// How long wake-ups are gathered before one notification is sent for all of them.
const COALESCE: Duration = Duration::from_millis(2);

/// Tells and hears that tasks have become ready.
///
/// A notifying transaction holds a database-wide lock until it has committed, so nothing ever notifies inside the
/// transactions that do the work: [`Wake::tell`] only marks that there is something to say, and a task of its own says
/// it. A lost notification costs one polling interval, never a task.
#[derive(Debug, Clone)]
pub struct Wake {
    told: Arc<Notify>,
    heard: watch::Sender<()>,
    _tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Wake {
    /// Starts to listen and to tell, over connections of `pool`.
    pub fn start(pool: PgPool) -> Self {
        let told = Arc::new(Notify::new());
        let heard = watch::Sender::new(());
        let tell = tokio::spawn(tell_others(pool.clone(), told.clone(), heard.clone()));
        let hear = tokio::spawn(hear_others(pool, heard.clone()));
        Self { told, heard, _tasks: Arc::new(Tasks(vec![tell, hear])) }
    }

    /// Says that tasks have become ready: to this process at once, to the others within milliseconds.
    pub fn tell(&self) {
        self.heard.send_replace(());
        self.told.notify_one();
    }

    /// Hears of everything that becomes ready from now on.
    pub fn listen(&self) -> Wakeups {
        Wakeups { heard: self.heard.subscribe(), _heard_on: self.heard.clone() }
    }
}

/// One listener: what becomes ready while it is busy is not missed, but ends its next wait at once.
#[derive(Debug)]
pub struct Wakeups {
    heard: watch::Receiver<()>,
    // without a sender, waiting would not wait
    _heard_on: watch::Sender<()>,
}

impl Wakeups {
    /// Waits until something has become ready since the last wait, or `at_most`.
    pub async fn wait(&mut self, at_most: Duration) {
        let _ = time::timeout(at_most, self.heard.changed()).await;
    }
}

async fn tell_others(pool: PgPool, told: Arc<Notify>, heard: watch::Sender<()>) {
    loop {
        told.notified().await;
        time::sleep(COALESCE).await;
        let sent = async {
            let mut connection = pool.acquire().await?;
            notify_ready(&mut connection).await
        };
        if let Err(error) = sent.await {
            tracing::debug!(%error, "a wake-up was not sent; the others find the tasks by polling");
            heard.send_replace(());
        }
    }
}

async fn hear_others(pool: PgPool, heard: watch::Sender<()>) {
    loop {
        let heard_until_lost = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                listener.recv().await?;
                heard.send_replace(());
            }
            #[allow(unreachable_code)]
            Ok::<(), sqlx::Error>(())
        };
        if let Err(error) = heard_until_lost.await {
            tracing::debug!(%error, "not listening for wake-ups; polling until the connection is back");
            time::sleep(Duration::from_millis(250)).await;
        }
    }
}

/// Tells every listener that tasks have become ready; for programs that start a run and leave.
pub async fn notify_ready(connection: &mut PgConnection) -> Result<(), QueueError> {
    sqlx::query_file!("../../sql/queue/notify_ready.sql").fetch_one(connection).await?;
    Ok(())
}
