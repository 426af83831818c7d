//! Results that are kept: taken when an attempt starts, kept with its acknowledgement.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures::FutureExt;
use serde_json::Value;
use sqlx::PgPool;
use tale_primitives::{RunId, TaskId};
use tale_queue::{
    CacheLookup, ClaimedTask, KeptResult, NewCachedResult, QueueError, keep_result, look_up_result,
    note_cache_decision,
};
use tale_storage::{NewArtifact, Store};

use crate::{
    Caching, Completion, TaskError,
    content::{Content, lasting},
    kind::ErasedKind,
    outcome::chain,
};

/// Longer outputs are not kept: they are stored a second time.
const OUTPUTS_BYTES_MAX: usize = 4 << 20;
/// So many steps are remembered as being without a cache.
const PLAIN_MAX: usize = 10_000;

/// The worker's side of the cache.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    database: PgPool,
    store: Store,
    /// Steps of pipeline versions, which never change, that are without a cache: their attempts look nothing up.
    plain: Arc<Mutex<HashSet<(i64, u16)>>>,
}

/// What the cache says when an attempt starts.
pub(crate) enum Asked {
    /// The step has no cache.
    Plain,
    /// This result stands in for the attempt's.
    Hit(Completion<Value>),
    /// The task must run; what it comes to is kept by [`Keeping::keep`].
    Miss(Keeping),
}

/// What to do with the result of an attempt that runs.
pub(crate) struct Keeping {
    task: TaskId,
    /// Why nothing was taken.
    reason: String,
    /// The result as far as it is known; nothing where it must not be kept.
    result: Option<Box<NewCachedResult>>,
}

impl Cache {
    pub fn new(database: PgPool, store: Store) -> Self {
        Self { database, store, plain: Arc::default() }
    }

    /// Looks for a result that may stand in for this attempt's.
    pub async fn ask(&self, claimed: &ClaimedTask, kind: &dyn ErasedKind) -> Asked {
        let of = kind.caching();
        let step = (claimed.version_id, claimed.step);
        if of.caching == Caching::Never || self.lock().contains(&step) {
            return Asked::Plain;
        }
        let content = Content::of(of.name, of.version, of.caching, &claimed.arguments, claimed.logical_date);
        let lookup = match self.look_up(claimed.lease.task, &content).await {
            Ok(lookup) => lookup,
            Err(error) => {
                // the attempt goes on as it would without a cache
                tracing::warn!(error = chain(&error), "kept results could not be looked up");
                return Asked::Plain;
            }
        };
        if !lookup.caches {
            let mut plain = self.lock();
            if plain.len() >= PLAIN_MAX {
                plain.clear();
            }
            plain.insert(step);
            return Asked::Plain;
        }
        let task = claimed.lease.task;
        if let Some(why) = kind.uncacheable(&claimed.arguments) {
            return Asked::Miss(Keeping { task, reason: format!("cannot be cached: {why}"), result: None });
        }
        match self.judge(&content, &lookup).await {
            Ok((kept, artifacts)) => Asked::Hit(taken(task, kept, artifacts)),
            Err(reason) => Asked::Miss(Keeping {
                task,
                reason,
                result: Some(Box::new(NewCachedResult {
                    pipeline: claimed.pipeline.clone(),
                    step: claimed.step_name.clone(),
                    key: lookup.key,
                    kind: content.kind.to_owned(),
                    kind_version: content.version,
                    inputs: content.kept_inputs(lookup.written_key.as_deref()),
                    outputs: Value::Null,
                    artifacts: Value::Null,
                    run: claimed.run,
                    task,
                })),
            }),
        }
    }

    async fn look_up(&self, task: TaskId, content: &Content) -> Result<CacheLookup, QueueError> {
        let mut connection = self.database.acquire().await?;
        look_up_result(&mut connection, task, content.digest(), &content.prefix()).await
    }

    /// The result to take with its artifacts, or why there is none.
    async fn judge(
        &self,
        content: &Content,
        lookup: &CacheLookup,
    ) -> Result<(KeptResult, Vec<NewArtifact>), String> {
        if !lookup.uses_cache {
            return Err("the run was started with --no-cache".to_owned());
        }
        let Some(found) = &lookup.found else {
            return Err(content.why_not(lookup.written_key.as_deref(), lookup.newest.as_ref()));
        };
        if let Some(ttl) = lookup.ttl
            && let Some(over) = found.age.checked_sub(ttl)
        {
            return Err(format!("the result of run {} expired {} ago", found.run, lasting(over)));
        }
        let artifacts: Vec<NewArtifact> = serde_json::from_value(found.artifacts.clone())
            .map_err(|error| format!("the result of run {} cannot be read: {error}", found.run))?;
        for artifact in &artifacts {
            match self.store.contains(&artifact.object).await {
                Ok(true) => {}
                Ok(false) => {
                    let (name, run) = (&artifact.name, found.run);
                    return Err(format!("artifact {name:?} of run {run} is missing from the store"));
                }
                Err(error) => {
                    let (name, run) = (&artifact.name, found.run);
                    return Err(format!("artifact {name:?} of run {run} cannot be read: {}", chain(&error)));
                }
            }
        }
        Ok((found.clone(), artifacts))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<(i64, u16)>> {
        // a set of numbers is never half changed
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An earlier result as this task's own.
fn taken(task: TaskId, kept: KeptResult, artifacts: Vec<NewArtifact>) -> Completion<Value> {
    let reason = format!("from run {}, task {}", kept.run, kept.task);
    let completion = Completion { outputs: kept.outputs, artifacts, effects: vec![] };
    noting(completion, task, reason, Some((kept.run, kept.task)))
}

fn noting(
    completion: Completion<Value>,
    task: TaskId,
    reason: String,
    from: Option<(RunId, TaskId)>,
) -> Completion<Value> {
    completion.effect(move |connection| {
        let reason = reason.clone();
        async move { note_cache_decision(connection, task, &reason, from).await.map_err(TaskError::retry) }
            .boxed()
    })
}

impl Keeping {
    /// Why nothing was taken.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The attempt's result, which will be kept with its acknowledgement.
    pub fn keep(mut self, completion: Completion<Value>) -> Completion<Value> {
        let length = completion.outputs.to_string().len();
        // an effect of the kind's own happens once, with this task: nothing may stand in for it
        let why_not = if !completion.effects.is_empty() {
            Some("it has changed the database".to_owned())
        } else if length > OUTPUTS_BYTES_MAX {
            Some(format!("its outputs of {length} bytes are too long"))
        } else {
            None
        };
        let artifacts = serde_json::to_value(&completion.artifacts).ok();
        let result = self.result.take().zip(artifacts).map(|(result, artifacts)| NewCachedResult {
            outputs: completion.outputs.clone(),
            artifacts,
            ..*result
        });
        if let Some(why_not) = why_not {
            return noting(completion, self.task, format!("{}; not kept: {why_not}", self.reason), None);
        }
        let completion = match result {
            None => completion,
            Some(result) => {
                let result = Arc::new(result);
                completion.effect(move |connection| {
                    let result = result.clone();
                    async move { keep_result(connection, &result).await.map_err(TaskError::retry) }.boxed()
                })
            }
        };
        noting(completion, self.task, self.reason, None)
    }
}
