//! Task kinds: what a worker can run.

use std::{collections::BTreeMap, future::Future, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tale_queue::Resources;

use crate::{Completion, TaskContext, TaskError};

/// One kind of task: typed arguments in, typed outputs and effects out.
pub trait Kind: Send + Sync + 'static {
    /// The name that pipelines use, such as `learning.train`.
    const NAME: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// What a task asks of its worker where its step does not say it.
    const RESOURCES: Resources = Resources { cpu_millis: 0, memory_bytes: 0, gpus: 0, labels: vec![] };
    /// Goes up when the same arguments come to another result: results of other versions are not taken.
    const VERSION: u32 = 1;
    /// Whether a result may stand in for that of a later task.
    const CACHING: Caching = Caching::Never;
    /// The arguments, from a step's `with`.
    type Arguments: DeserializeOwned + JsonSchema + Send;
    /// The outputs, for the steps after it.
    type Outputs: Serialize + JsonSchema + Send;

    /// Runs one attempt.
    fn run(
        context: TaskContext,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Completion<Self::Outputs>, TaskError>> + Send;

    /// Why the result of a task with these arguments, as they are stored, cannot stand in for another's, where the kind's
    /// results otherwise can.
    fn uncacheable(_arguments: &Value) -> Option<String> {
        None
    }
}

/// Whether a result may stand in for that of a later task, and what both must have in common.
///
/// A kind whose results may has no effects and depends on nothing but what is named here; what it reads beside, such as
/// a server or a file at a path, is up to whoever writes `cache` into a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// Never: it changes something, or depends on its run.
    Never,
    /// Where the arguments are the same.
    ByArguments,
    /// Where the arguments and the day of the run are the same.
    ByArgumentsAndDay,
}

/// What a kind publishes of itself.
#[derive(Debug, Clone, Serialize)]
pub struct KindSchema {
    /// The name that pipelines use.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// The JSON Schema of the arguments.
    pub arguments: Value,
    /// The JSON Schema of the outputs.
    pub outputs: Value,
    /// What a task asks of its worker where its step does not say it.
    pub resources: Resources,
    /// Goes up when the same arguments come to another result.
    pub version: u32,
    /// Whether results may be kept and stand in for those of later tasks.
    pub cacheable: bool,
}

/// A kind's name, version and way of caching.
pub(crate) struct KindCaching {
    pub name: &'static str,
    pub version: u32,
    pub caching: Caching,
}

#[async_trait]
pub(crate) trait ErasedKind: Send + Sync {
    fn schema(&self) -> KindSchema;
    fn caching(&self) -> KindCaching;
    fn uncacheable(&self, arguments: &Value) -> Option<String>;
    async fn run(&self, context: TaskContext, arguments: Value) -> Result<Completion<Value>, TaskError>;
}

struct Erased<K>(PhantomData<fn() -> K>);

#[async_trait]
impl<K: Kind> ErasedKind for Erased<K> {
    fn schema(&self) -> KindSchema {
        KindSchema {
            name: K::NAME.to_owned(),
            summary: K::SUMMARY.to_owned(),
            arguments: schemars::schema_for!(K::Arguments).to_value(),
            outputs: schemars::schema_for!(K::Outputs).to_value(),
            resources: K::RESOURCES,
            version: K::VERSION,
            cacheable: K::CACHING != Caching::Never,
        }
    }

    fn caching(&self) -> KindCaching {
        KindCaching { name: K::NAME, version: K::VERSION, caching: K::CACHING }
    }

    fn uncacheable(&self, arguments: &Value) -> Option<String> {
        K::uncacheable(arguments)
    }

    async fn run(&self, context: TaskContext, arguments: Value) -> Result<Completion<Value>, TaskError> {
        let arguments = serde_json::from_value(arguments)
            .map_err(|error| TaskError::fail(format!("the arguments do not fit {}: {error}", K::NAME)))?;
        let Completion { outputs, artifacts, effects } = K::run(context, arguments).await?;
        let outputs = serde_json::to_value(outputs)
            .map_err(|error| TaskError::fail(format!("the outputs of {} are not JSON: {error}", K::NAME)))?;
        Ok(Completion { outputs, artifacts, effects })
    }
}

/// The kinds that a worker knows, by name.
#[derive(Clone, Default)]
pub struct KindRegistry {
    kinds: BTreeMap<&'static str, Arc<dyn ErasedKind>>,
}

impl KindRegistry {
    /// Adds a kind.
    #[must_use]
    pub fn with<K: Kind>(mut self) -> Self {
        self.kinds.insert(K::NAME, Arc::new(Erased::<K>(PhantomData)));
        self
    }

    /// What every kind publishes of itself, by name.
    pub fn schemas(&self) -> Vec<KindSchema> {
        self.kinds.values().map(|kind| kind.schema()).collect()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<dyn ErasedKind>> {
        self.kinds.get(name).cloned()
    }
}
