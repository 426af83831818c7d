//! The planner.

use serde_json::{Map, Value};

use crate::{Expansion, PipelineError, PipelineSpec, RunContext, RunPlan, SequenceState, StepOutputs};

pub(crate) fn plan(
    spec: &PipelineSpec,
    _params: &Map<String, Value>,
    _run: &RunContext,
) -> Result<RunPlan, PipelineError> {
    Err(PipelineError::NoSuchStep { pipeline: spec.name.to_string(), index: 0 })
}

pub(crate) fn references(spec: &PipelineSpec, index: u16) -> Result<Vec<String>, PipelineError> {
    Err(PipelineError::NoSuchStep { pipeline: spec.name.to_string(), index })
}

pub(crate) fn expand(
    spec: &PipelineSpec,
    index: u16,
    _params: &Map<String, Value>,
    _run: &RunContext,
    _outputs: &StepOutputs,
    _sequence: Option<&SequenceState>,
) -> Result<Expansion, PipelineError> {
    Err(PipelineError::NoSuchStep { pipeline: spec.name.to_string(), index })
}
