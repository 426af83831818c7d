//! OpenLineage events, where the environment says to whom.

use std::sync::Arc;

use tale_lineage::{Console, EventFile, Namespaces, Receiver, Settings, Telling, Transport};
use tale_queue::keep_run_news;
use tale_tasks::EventPost;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    failure::{Failure, UNUSABLE},
    installation::Installation,
};

/// Starts to tell news of runs until `stop` is cancelled; `None` where nobody wants to know.
pub async fn start(
    installation: &Installation,
    stop: &CancellationToken,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let settings = Settings::read(|name| std::env::var(name).ok());
    let settings = settings.map_err(|error| Failure::of(&error).code(UNUSABLE))?;
    let (receiver, jobs) = match settings {
        Settings::Unset => return Ok(None),
        Settings::Disabled => {
            keep_run_news(&mut *installation.connection().await?, false).await?;
            return Ok(None);
        }
        Settings::To { receiver, namespace } => (receiver, namespace),
    };
    let transport: Arc<dyn Transport> = match receiver {
        Receiver::Http { url, api_key } => {
            Arc::new(EventPost::new(url, api_key).map_err(|error| Failure::of(&error))?)
        }
        Receiver::File(path) => Arc::new(EventFile(path)),
        Receiver::Console => Arc::new(Console),
    };
    // before anything starts: what happens from now on is told
    keep_run_news(&mut *installation.connection().await?, true).await?;
    let data = installation.store.url().trim_end_matches('/').to_owned();
    let telling =
        Telling { database: installation.database.clone(), names: Namespaces { jobs, data }, transport };
    Ok(Some(tokio::spawn(telling.run(stop.clone()))))
}
