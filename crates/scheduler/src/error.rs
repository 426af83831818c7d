use tale_pipeline::PipelineError;
use tale_primitives::RunId;
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
    /// Outputs of an ended step are not what they were: the database was changed from outside.
    #[error("the list of a fan-out has become shorter while it was read")]
    ListChanged,
    /// The arguments of a step that uses a pipeline are not `{pipeline, params}`.
    #[error("a step that uses `pipeline` needs `with: {{pipeline: name, params: {{…}}}}`: {0}")]
    SubRunArguments(#[source] serde_json::Error),
    /// The arguments of a step that uses `approve` are not its own.
    #[error("a step that uses `approve` needs `with: {{prompt, timeout_seconds, on_timeout}}`: {0}")]
    ApproveArguments(#[source] serde_json::Error),
    /// The pipeline has no schedule, or has not been applied.
    #[error("pipeline {pipeline:?} has no schedule")]
    NotScheduled {
        /// The pipeline.
        pipeline: String,
    },
    /// The stored schedule is one of a newer release.
    #[error("the schedule of pipeline {pipeline} cannot be read")]
    Unreadable {
        /// The pipeline.
        pipeline: String,
        /// What the reader of JSON said.
        #[source]
        source: serde_json::Error,
    },
    /// The stored hook of a deadline is one of a newer release.
    #[error("what the deadline of run {run} is to start cannot be read")]
    UnreadableHook {
        /// The run.
        run: RunId,
        /// What the reader of JSON said.
        #[source]
        source: serde_json::Error,
    },
    /// A part of a pipeline's definition could not be turned into JSON.
    #[error("the definition cannot be stored")]
    Definition(#[source] serde_json::Error),
    /// The days of a back-fill have more fires than one back-fill may start.
    #[error("these days have more than {max} fires")]
    TooManyFires {
        /// How many it may be.
        max: usize,
    },
    /// A chain of triggers leads from a pipeline back to it.
    #[error("the triggers of {pipeline} lead back to it: each of its runs would start another, without end")]
    TriggerCircle {
        /// The pipeline.
        pipeline: String,
    },
    /// No back-fill has this number.
    #[error("there is no back-fill {0}")]
    UnknownBackfill(i64),
}

impl From<sqlx::Error> for SchedulerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Queue(error.into())
    }
}

impl SchedulerError {
    /// The message with its causes, each said once.
    pub(crate) fn describe(&self) -> String {
        chain(self)
    }

    /// Whether trying the same again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Queue(error) if error.is_transient())
    }
}

/// The message of an error with its causes, each said once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}
