//! What can go wrong once a pipeline is past its check.

use crate::params::ParamProblem;

/// Why a stored pipeline could not be read, planned or expanded.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The stored JSON is not a pipeline, or a pipeline could not be turned into JSON.
    #[error("the stored pipeline is not readable")]
    Stored {
        /// What the reader of JSON said.
        #[source]
        source: Box<serde_json::Error>,
    },
    /// The params of a run are not those that the pipeline declares.
    #[error("{}", join(problems))]
    Params {
        /// Each problem, in the order of the declared params, unknown ones last.
        problems: Vec<ParamProblem>,
    },
    /// The params of a run are too large to be stored with it.
    #[error(
        "the params have more than {max} bytes as JSON; put large data into an artifact or the object store, and name it in a param"
    )]
    ParamsTooLarge {
        /// How many they may have.
        max: usize,
    },
    /// An expression failed.
    #[error("step {step}, {place}: ${{{expression}}}: {message}")]
    Expression {
        /// The step, or `@outputs`.
        step: String,
        /// The path of the value within the step, such as `with.rounds`.
        place: String,
        /// The text between the braces.
        expression: String,
        /// What the evaluator said.
        message: String,
    },
    /// An expression gave a value that its place does not take.
    #[error("step {step}, {place}: {message}")]
    Value {
        /// The step, or `@outputs`.
        step: String,
        /// The path of the value within the step.
        place: String,
        /// What was found, and what the place takes.
        message: String,
    },
    /// A step refers to a step that the pipeline does not have.
    #[error("step {step} needs {unknown:?}, which is not a step of pipeline {pipeline}")]
    UnknownStep {
        /// The pipeline.
        pipeline: String,
        /// The step that refers.
        step: String,
        /// The name that it refers to.
        unknown: String,
    },
    /// There is no step at this index.
    #[error("pipeline {pipeline} has no step {index}")]
    NoSuchStep {
        /// The pipeline.
        pipeline: String,
        /// The index asked for.
        index: u16,
    },
    /// The outputs of a step that an expansion needs were not handed in.
    #[error("step {step} needs the outputs of {missing}, which were not given")]
    MissingOutputs {
        /// The step being expanded.
        step: String,
        /// The step whose outputs are missing.
        missing: String,
    },
    /// The steps need one another in a circle.
    #[error("steps need one another in a circle: {}", names.join(" → "))]
    Cycle {
        /// The steps of the circle; the last is the first again.
        names: Vec<String>,
    },
    /// The schedule's expression or zone is one that this build does not know.
    #[error("the schedule cannot be read")]
    Schedule {
        /// What is wrong with it.
        #[source]
        source: tale_timetable::TimetableError,
    },
    /// The pipeline has more steps than a plan can number.
    #[error("pipeline {pipeline} has {steps} steps, more than {max}")]
    TooManySteps {
        /// The pipeline.
        pipeline: String,
        /// How many it has.
        steps: usize,
        /// How many it may have.
        max: usize,
    },
}

fn join(problems: &[ParamProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
