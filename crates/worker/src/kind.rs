//! Task kinds: what a worker can run.

use std::{collections::BTreeMap, future::Future, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Completion, TaskContext, TaskError};

/// One kind of task: typed arguments in, typed outputs and effects out.
pub trait Kind: Send + Sync + 'static {
    /// The name that pipelines use, such as `learning.train`.
    const NAME: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// The arguments, from a step's `with`.
    type Arguments: DeserializeOwned + JsonSchema + Send;
    /// The outputs, for the steps after it.
    type Outputs: Serialize + JsonSchema + Send;

    /// Runs one attempt.
    fn run(
        context: TaskContext,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Completion<Self::Outputs>, TaskError>> + Send;
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
}

#[async_trait]
pub(crate) trait ErasedKind: Send + Sync {
    fn schema(&self) -> KindSchema;
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
        }
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
