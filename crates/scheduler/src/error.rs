use tale_pipeline::PipelineError;
use tale_queue::QueueError;

/// Why a run could not be started or advanced.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The queue refused or did not answer.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The pipeline's expressions or parameters do not work out.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Sub-runs are nested too deeply: most likely a pipeline that uses itself.
    #[error("{depth} runs are nested in each other, which is as deep as they may be")]
    TooDeep {
        /// How deep.
        depth: u32,
    },
    /// The arguments of a step that uses a pipeline are not `{pipeline, params}`.
    #[error("a step that uses `pipeline` needs `with: {{pipeline: name, params: {{…}}}}`: {0}")]
    SubRunArguments(#[source] serde_json::Error),
    /// The arguments of a step that uses `approve` are not its own.
    #[error("a step that uses `approve` needs `with: {{prompt, timeout_seconds, on_timeout}}`: {0}")]
    ApproveArguments(#[source] serde_json::Error),
}

impl From<sqlx::Error> for SchedulerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Queue(error.into())
    }
}

impl SchedulerError {
    /// Whether trying the same again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Queue(error) if error.is_transient())
    }
}
