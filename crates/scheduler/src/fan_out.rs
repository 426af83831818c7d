//! Fan-outs: small ones in one transaction, large ones part by part, beside everything else that a scheduler does.

use std::sync::Arc;

use futures::{TryStreamExt, stream::BoxStream};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use tale_pipeline::{FanOut, ItemSource, PipelineSpec, Variables, references};
use tale_queue::{
    ClaimedTask, NewTask, Part, PartArguments, QueueError, StoredList, Wake, expand_part, expand_step,
    parts_inserted, release, stored_length, stream_items,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    SchedulerError,
    advance::{Advanced, Specs, outputs_of, record_failure, run_of},
};

/// How many large fan-outs a scheduler inserts at a time; each takes two connections.
pub(crate) const UNROLLED_MAX: usize = 2;
/// How many items are evaluated before others have their turn on the thread.
const TURN: usize = 500;

/// A fan-out's items, before any of them is read that need not be.
enum Items {
    Range(u32),
    Listed(Vec<Value>),
    Stored { list: StoredList, length: usize },
}

impl Items {
    fn len(&self) -> usize {
        match self {
            Self::Range(length) => *length as usize,
            Self::Listed(items) => items.len(),
            Self::Stored { length, .. } => *length,
        }
    }
}

/// What a fan-out is made of.
struct Material {
    variables: Variables,
    /// The list, where it can be read piece by piece.
    stored: Option<(StoredList, usize)>,
    /// How many tasks are there already.
    inserted: u32,
}

impl Material {
    async fn gather(
        connection: &mut PgConnection,
        spec: &PipelineSpec,
        task: &ClaimedTask,
    ) -> Result<Self, SchedulerError> {
        let inserted = parts_inserted(connection, task.run, task.step).await?;
        let mut stored = None;
        if let Some(path) = FanOut::outputs_path(spec, task.step)? {
            let keys = (!path.is_fan_out).then_some(path.keys);
            let list = StoredList { run: task.run, step: path.step, keys };
            stored = stored_length(connection, &list).await?.map(|length| (list, length));
        }
        // where no list is stored, evaluating the expression says what is there instead
        let read =
            if stored.is_some() { FanOut::reads(spec, task.step) } else { references(spec, task.step) };
        let outputs = outputs_of(connection, spec, task, &read?).await?;
        let (params, run) = run_of(connection, task).await?;
        Ok(Self { variables: Variables::new(spec, params, &run, outputs), stored, inserted })
    }

    fn items(stored: Option<(StoredList, usize)>, fan_out: &FanOut<'_>) -> Result<Items, SchedulerError> {
        if let Some((list, length)) = stored {
            fan_out.refuse_length(length)?;
            return Ok(Items::Stored { list, length });
        }
        Ok(match fan_out.items()? {
            ItemSource::Range(length) => Items::Range(length),
            ItemSource::Listed(items) => Items::Listed(items),
        })
    }
}

/// Expands a fan-out in the caller's transaction, unless it is too large for one.
pub(crate) async fn expand_fan_out(
    connection: &mut PgConnection,
    spec: &PipelineSpec,
    part: u32,
    task: &ClaimedTask,
) -> Result<Advanced, SchedulerError> {
    let Material { variables, stored, inserted } = Material::gather(connection, spec, task).await?;
    let Some(fan_out) = FanOut::open(spec, task.step, &variables)? else {
        expand_step(connection, task.lease, None).await?;
        return Ok(Advanced::Done);
    };
    let items = Material::items(stored, &fan_out)?;
    if items.len() > part as usize || inserted > 0 {
        return Ok(Advanced::TooLarge);
    }
    let items = match items {
        Items::Range(length) => (0..length).map(Value::from).collect(),
        Items::Listed(items) => items,
        Items::Stored { list, .. } => stream_items(connection, &list, 0).try_collect::<Vec<_>>().await?,
    };
    let tasks = (0..).zip(&items).map(|(index, item)| {
        Ok(NewTask {
            index,
            arguments: fan_out.arguments(index, item)?,
            limit_key: fan_out.limit_key(index, item)?,
            cache_key: fan_out.cache_key(index, item)?,
        })
    });
    let tasks = tasks.collect::<Result<Vec<_>, SchedulerError>>()?;
    expand_step(connection, task.lease, Some((tasks.len() as u32, &tasks))).await?;
    Ok(Advanced::Done)
}

/// Inserts large fan-outs. Clones share the room for them.
#[derive(Clone)]
pub(crate) struct Unroller {
    pub pool: PgPool,
    pub wake: Wake,
    pub specs: Specs,
    pub part: u32,
    pub room: Arc<Semaphore>,
    pub stop: CancellationToken,
}

impl Unroller {
    /// Inserts a fan-out part by part, going on where an earlier attempt has come to, and acknowledges it.
    pub async fn unroll(&self, task: &ClaimedTask) {
        let done = match self.room.acquire().await {
            Ok(_turn) => self.insert_all(task).await,
            Err(_) => Ok(Unrolled::Interrupted),
        };
        let ended = match done {
            Ok(Unrolled::Whole) => Ok(()),
            Ok(Unrolled::Interrupted) => self.hand_back(task).await,
            Err(error) if error.is_transient() => {
                tracing::warn!(run = %task.run, step = task.step_name, %error, "a fan-out is interrupted");
                self.hand_back(task).await
            }
            Err(error) => self.give_up(task, &error).await,
        };
        if let Err(error) = ended {
            // nobody holds the lease any more: the next heartbeats or the reaper give it to another
            tracing::warn!(run = %task.run, step = task.step_name, %error, "the lease of a fan-out is left behind");
        }
        self.wake.tell();
    }

    async fn insert_all(&self, task: &ClaimedTask) -> Result<Unrolled, SchedulerError> {
        let mut connection = self.pool.acquire().await?;
        let spec = self.specs.get(&mut connection, task.version_id).await?;
        let Material { variables, stored, inserted } = Material::gather(&mut connection, &spec, task).await?;
        let Some(fan_out) = FanOut::open(&spec, task.step, &variables)? else {
            expand_step(&mut connection, task.lease, None).await?;
            return Ok(Unrolled::Whole);
        };
        let items = Material::items(stored, &fan_out)?;
        let total = items.len() as u32;
        let shared = fan_out.shared_arguments()?;
        let (with_keys, with_cache_keys) = (fan_out.has_limit_keys(), fan_out.has_cache_keys());
        let mut reader = self.pool.acquire().await?;
        let mut supply = match &items {
            _ if shared.is_some() && !with_keys && !with_cache_keys => Supply::Nothing,
            Items::Range(_) => Supply::Range,
            Items::Listed(items) => Supply::Listed(items),
            Items::Stored { list, .. } => Supply::Stream(stream_items(&mut reader, list, inserted)),
        };
        let mut first = inserted;
        loop {
            if self.stop.is_cancelled() {
                return Ok(Unrolled::Interrupted);
            }
            let count = self.part.min(total.saturating_sub(first));
            let items = supply.next(first, count).await?;
            let (mut arguments, mut limit_keys, mut cache_keys) = (Vec::new(), Vec::new(), Vec::new());
            for (index, item) in (first..).zip(&items) {
                if shared.is_none() {
                    arguments.push(fan_out.arguments(index, item)?);
                }
                limit_keys.extend(fan_out.limit_key(index, item)?);
                cache_keys.extend(fan_out.cache_key(index, item)?);
                if (index as usize).is_multiple_of(TURN) {
                    tokio::task::yield_now().await;
                }
            }
            let part = Part {
                first,
                count,
                arguments: match &shared {
                    Some(arguments) => PartArguments::Shared(arguments),
                    None => PartArguments::Each(&arguments),
                },
                limit_keys: with_keys.then_some(limit_keys.as_slice()),
                cache_keys: with_cache_keys.then_some(cache_keys.as_slice()),
                is_last: first + count >= total,
            };
            if !expand_part(&mut connection, task.lease, part).await? {
                tracing::warn!(run = %task.run, step = task.step_name, "the lease of a fan-out was lost");
                return Ok(Unrolled::Whole);
            }
            self.wake.tell();
            if part.is_last {
                return Ok(Unrolled::Whole);
            }
            first += count;
        }
    }

    async fn hand_back(&self, task: &ClaimedTask) -> Result<(), SchedulerError> {
        let mut connection = self.pool.acquire().await?;
        release(&mut connection, &[task.lease]).await?;
        Ok(())
    }

    async fn give_up(&self, task: &ClaimedTask, error: &SchedulerError) -> Result<(), SchedulerError> {
        let mut connection = self.pool.acquire().await?;
        record_failure(&mut connection, task, &error.describe()).await
    }
}

/// What became of a fan-out.
enum Unrolled {
    /// Every part is inserted, or others have the lease.
    Whole,
    /// The scheduler stops before it is.
    Interrupted,
}

/// What the next items are taken from.
enum Supply<'i> {
    /// Tasks do not depend on them.
    Nothing,
    Range,
    Listed(&'i [Value]),
    Stream(BoxStream<'i, Result<Value, QueueError>>),
}

impl Supply<'_> {
    /// The next `count` items, where they are needed; the first of them has this index.
    async fn next(&mut self, first: u32, count: u32) -> Result<Vec<Value>, SchedulerError> {
        let range = first..first + count;
        Ok(match self {
            Self::Nothing => Vec::new(),
            Self::Range => range.map(Value::from).collect(),
            Self::Listed(items) => {
                items.get(range.start as usize..range.end as usize).unwrap_or_default().to_vec()
            }
            Self::Stream(stream) => {
                let mut items = Vec::with_capacity(count as usize);
                while items.len() < count as usize {
                    let Some(item) = stream.try_next().await? else { break };
                    items.push(item);
                }
                if items.len() < count as usize {
                    return Err(SchedulerError::ListChanged);
                }
                items
            }
        })
    }
}
