//! The public way in.

use crate::{KindCatalog, PipelineSpec, Problem, Source, problem::Problems};

/// The structure of a pipeline, without a look at kinds, references or expressions.
///
/// # Errors
/// Every problem, by place.
pub fn parse(source: &Source) -> Result<PipelineSpec, Vec<Problem>> {
    let mut problems = Problems::new(source);
    problems.add("unfinished", 0..0, "the reader is not written yet", None);
    debug_assert!(!problems.is_empty());
    Err(problems.into_sorted())
}

/// The pipeline, checked in every respect.
///
/// # Errors
/// Every problem, by place.
pub fn check(
    source: &Source,
    kinds: &KindCatalog,
    known_pipelines: Option<&dyn Fn(&str) -> bool>,
) -> Result<PipelineSpec, Vec<Problem>> {
    let _ = (kinds, known_pipelines);
    parse(source)
}
