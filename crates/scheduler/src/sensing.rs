//! Triggers that wait for objects: a loop that looks at folders of the object store.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};
use tale_pipeline::TriggerSpec;
use tale_primitives::{RunId, UtcDay};
use tale_queue::Wake;
use tokio::time;

use crate::{
    SchedulerError,
    triggers::{Fired, record_error, start_for},
};

/// More objects than this are not looked at in one folder.
const OBJECTS_MAX: usize = 100_000;

/// How many objects are compared with what was seen at a time.
const CHUNK: usize = 1000;

const SLEEP_MIN: Duration = Duration::from_millis(10);
const SLEEP_MAX: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(250);

/// An object in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundObject {
    /// Its key in the store.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// What is another text whenever the object's content is another.
    pub version: String,
}

/// Something whose folders can be listed: the object store, as far as triggers need it.
#[async_trait]
pub trait Folders: Send + Sync {
    /// Up to `limit` objects whose keys begin with `prefix`, by key.
    async fn list(
        &self,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<FoundObject>, Box<dyn Error + Send + Sync>>;
}

/// The folders that triggers look at.
#[derive(Clone)]
pub struct Watched(pub Arc<dyn Folders>);

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

/// Looks at the folders of triggers when their time has come, for ever, on a connection of its own.
pub(crate) struct Sensing {
    pub pool: PgPool,
    pub wake: Wake,
    pub folders: Arc<dyn Folders>,
}

/// A trigger whose look has come.
struct Look {
    pipeline: String,
    index: i16,
    prefix: String,
    trigger: TriggerSpec,
    date: UtcDay,
}

impl Sensing {
    pub async fn run(self) {
        loop {
            if let Err(error) = self.serve().await {
                if error.is_transient() {
                    tracing::debug!(%error, "no folder is looked at until the database answers again");
                } else {
                    tracing::error!(error = error.describe(), "no folder is looked at; trying again");
                }
                time::sleep(PAUSE).await;
            }
        }
    }

    async fn serve(&self) -> Result<(), SchedulerError> {
        // it takes locks that live as long as the session: a connection that breaks must not go back to the pool
        let mut connection = self.pool.acquire().await?.detach();
        loop {
            while self.look_once(&mut connection).await? {}
            let seconds = sqlx::query_file_scalar!("../../sql/schedule/next_look.sql")
                .fetch_one(&mut connection)
                .await?;
            let sleep = seconds
                .map_or(SLEEP_MAX, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO));
            time::sleep(sleep.clamp(SLEEP_MIN, SLEEP_MAX)).await;
        }
    }

    /// Looks at the folder that is due longest; false where none is.
    async fn look_once(&self, connection: &mut PgConnection) -> Result<bool, SchedulerError> {
        let due =
            sqlx::query_file!("../../sql/schedule/claim_look.sql").fetch_optional(&mut *connection).await?;
        let Some(due) = due else { return Ok(false) };
        let trigger = match serde_json::from_value(due.definition) {
            Ok(trigger) => trigger,
            Err(error) => {
                record_error(connection, &due.pipeline, due.index, Some(&error.to_string())).await?;
                return Ok(true);
            }
        };
        let (pipeline, prefix, date) = (due.pipeline, due.prefix, UtcDay::of(due.now));
        let look = Look { pipeline, index: due.index, prefix, trigger, date };
        let locked =
            sqlx::query_file_scalar!("../../sql/schedule/lock_folder.sql", look.pipeline, look.prefix)
                .fetch_one(&mut *connection)
                .await?;
        if locked {
            // an error of the database ends the session, and the lock with it
            self.look(connection, &look).await?;
            sqlx::query_file_scalar!("../../sql/schedule/unlock_folder.sql", look.pipeline, look.prefix)
                .fetch_one(connection)
                .await?;
        }
        Ok(true)
    }

    /// Starts a run for each object that has none, and forgets the objects that are gone.
    async fn look(&self, connection: &mut PgConnection, look: &Look) -> Result<(), SchedulerError> {
        let mut objects = match self.folders.list(&look.prefix, OBJECTS_MAX + 1).await {
            Ok(objects) => objects,
            Err(error) => {
                let message = format!("{} cannot be listed: {error}", look.prefix);
                return record_error(connection, &look.pipeline, look.index, Some(&message)).await;
            }
        };
        let is_whole = objects.len() <= OBJECTS_MAX;
        objects.truncate(OBJECTS_MAX);
        let mut error = (!is_whole).then(|| {
            format!("{} has more than {OBJECTS_MAX} objects, and only those are looked at", look.prefix)
        });
        for chunk in objects.chunks(CHUNK) {
            let (paths, versions) = columns(chunk);
            let unseen = sqlx::query_file_scalar!(
                "../../sql/schedule/list_unseen_objects.sql",
                look.pipeline,
                look.prefix,
                &paths,
                &versions
            )
            .fetch_all(&mut *connection)
            .await?;
            for place in unseen {
                let object = usize::try_from(place - 1).ok().and_then(|place| chunk.get(place));
                if let Some(object) = object {
                    error = self.start(connection, look, object).await?.or(error);
                }
            }
        }
        let seen =
            sqlx::query_file!("../../sql/schedule/sum_up_seen_objects.sql", look.pipeline, look.prefix)
                .fetch_one(&mut *connection)
                .await?;
        if is_whole && usize::try_from(seen.count).is_ok_and(|seen| seen > objects.len()) {
            forget(connection, look, &objects).await?;
        }
        let error = error.or(seen.error);
        record_error(connection, &look.pipeline, look.index, error.as_deref()).await
    }

    /// Starts the run of an object; gives the reason where it cannot start.
    async fn start(
        &self,
        connection: &mut PgConnection,
        look: &Look,
        object: &FoundObject,
    ) -> Result<Option<String>, SchedulerError> {
        let id = RunId::generate();
        let mut transaction = connection.begin().await?;
        let taken = sqlx::query_file_scalar!(
            "../../sql/schedule/insert_seen_object.sql",
            look.pipeline,
            look.prefix,
            object.path,
            object.version,
            id.raw()
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if taken.is_none() {
            return Ok(None);
        }
        let event = json!({ "path": object.path, "size": object.size, "version": object.version });
        let fired = Fired { id, by: format!("object {}", object.path), date: look.date };
        let error = start_for(&mut transaction, &look.pipeline, &look.trigger, &event, fired).await?.err();
        if let Some(error) = &error {
            sqlx::query_file!(
                "../../sql/schedule/fail_seen_object.sql",
                look.pipeline,
                look.prefix,
                object.path,
                object.version,
                error
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        if error.is_none() {
            self.wake.tell();
        }
        Ok(error)
    }
}

/// Forgets what is not in the folder any more, so that the memory is no larger than the folder.
async fn forget(
    connection: &mut PgConnection,
    look: &Look,
    objects: &[FoundObject],
) -> Result<(), SchedulerError> {
    let (paths, versions) = columns(objects);
    sqlx::query_file!(
        "../../sql/schedule/prune_seen_objects.sql",
        look.pipeline,
        look.prefix,
        &paths,
        &versions
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn columns(objects: &[FoundObject]) -> (Vec<String>, Vec<String>) {
    objects.iter().map(|object| (object.path.clone(), object.version.clone())).unzip()
}
