//! The planner: what is known of each step at the start, and what each becomes once its needs have finished.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use crate::{
    Expansion, JoinRule, PipelineError, PipelineSpec, PlannedStep, PlannedTask, PlannedTasks, ResourceSpec,
    RetryPolicy, RunContext, RunPlan, SequenceState, StepOutputs, graph,
    interpreter::{ITEMS_MAX, article},
    program::{Program, Site, Template},
    session::{Locals, Session},
    spec::{APPROVE_KIND, OUTPUTS_STEP, PIPELINE_KIND, SCHEDULER_POOL, STEPS_MAX, StepSpec},
};

/// The longest key of a limit, and of a result that is kept.
const KEY_MAX: usize = 500;

/// A fan-out that is larger is no part of the plan: the scheduler inserts it part by part.
pub(crate) const PLANNED_TASKS_MAX: usize = 5_000;

pub(crate) fn plan(
    spec: &PipelineSpec,
    params: &Map<String, Value>,
    run: &RunContext,
) -> Result<RunPlan, PipelineError> {
    if spec.steps.len() > STEPS_MAX {
        let (pipeline, steps) = (spec.name.to_string(), spec.steps.len());
        return Err(PipelineError::TooManySteps { pipeline, steps, max: STEPS_MAX });
    }
    let (params, run) = (Value::Object(params.clone()), run.to_value(spec));
    let nothing = StepOutputs::new();
    let session = Session::new(&params, &run, &nothing);
    let names: HashMap<&str, u16> =
        (0..).zip(&spec.steps).map(|(index, step)| (step.name.as_str(), index)).collect();
    let mut steps = Vec::with_capacity(spec.steps.len() + 1);
    for (index, step) in (0..).zip(&spec.steps) {
        let program = Program::of_step(step)?;
        let needs = needs(spec, &program, &step.needs, &names)?;
        let tasks = tasks_at_start(&program, step.sequence, &session)?;
        steps.push(planned(index, step, needs, tasks));
    }
    if let (Some(outputs), Ok(index)) = (&spec.outputs, u16::try_from(steps.len())) {
        let program = Program::of_outputs(outputs)?;
        let needs = needs(spec, &program, &[], &names)?;
        let tasks = tasks_at_start(&program, false, &session)?;
        steps.push(planned_outputs(index, needs, tasks));
    }
    refuse_circles(&steps)?;
    add_finally_needs(spec, &mut steps);
    let mut dependents = vec![Vec::new(); steps.len()];
    for step in &steps {
        for need in &step.needs {
            dependents[usize::from(*need)].push(step.index);
        }
    }
    for (step, dependents) in steps.iter_mut().zip(dependents) {
        step.dependents = dependents;
    }
    let tenant = spec.tenant.as_ref().map(|tenant| tenant_of(tenant, &session)).transpose()?;
    Ok(RunPlan { tenant, steps })
}

/// Whose run it is: the evaluated top-level `tenant`.
fn tenant_of(written: &str, session: &Session<'_>) -> Result<String, PipelineError> {
    let template = Template::compile(Site::without_secrets(""), "tenant".to_owned(), &Value::from(written))?;
    Ok(text_of(template.evaluate("", session, Locals::default())?))
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

pub(crate) fn references(spec: &PipelineSpec, index: u16) -> Result<Vec<String>, PipelineError> {
    let program = Program::at(spec, index)?;
    let read = program.steps();
    let in_order = spec.steps.iter().filter(|step| read.contains(step.name.as_str()));
    Ok(in_order.map(|step| step.name.to_string()).collect())
}

pub(crate) fn expand(
    spec: &PipelineSpec,
    index: u16,
    params: &Map<String, Value>,
    run: &RunContext,
    outputs: &StepOutputs,
    sequence: Option<&SequenceState>,
) -> Result<Expansion, PipelineError> {
    let program = Program::at(spec, index)?;
    if let Some(missing) = program.steps().into_iter().find(|step| !outputs.contains_key(*step)) {
        return Err(PipelineError::MissingOutputs {
            step: program.name.to_owned(),
            missing: missing.to_owned(),
        });
    }
    let (params, run) = (Value::Object(params.clone()), run.to_value(spec));
    let session = Session::new(&params, &run, outputs);
    let in_sequence = spec.steps.get(usize::from(index)).is_some_and(|step| step.sequence);
    let start = SequenceState { next_index: 0, previous: Value::Null };
    let state = in_sequence.then(|| sequence.unwrap_or(&start));
    // A sequence that has begun is past its condition: what it reads may not change in between, but need not
    // be read again.
    let begun = state.is_some_and(|state| state.next_index > 0);
    if !begun && !condition(&program, &session)? {
        return Ok(Expansion::Skipped);
    }
    match state {
        Some(state) => next(&program, &session, state),
        None => Ok(Expansion::Tasks(tasks(&program, &session, items(&program, &session)?)?)),
    }
}

impl RunContext {
    pub(crate) fn to_value(self, spec: &PipelineSpec) -> Value {
        json!({
            "id": self.id.to_string(),
            "date": self.date.to_string(),
            "fire_time": self.fire_time.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            "pipeline": spec.name.as_str(),
            "parent": self.parent.map(|parent| parent.to_string()),
        })
    }
}

/// What the step needs: what it says, and what its expressions read.
fn needs(
    spec: &PipelineSpec,
    program: &Program<'_>,
    written: &[tale_primitives::Name],
    names: &HashMap<&str, u16>,
) -> Result<Vec<u16>, PipelineError> {
    let mut needs = BTreeSet::new();
    for need in written.iter().map(tale_primitives::Name::as_str).chain(program.steps()) {
        let index = names.get(need).ok_or_else(|| PipelineError::UnknownStep {
            pipeline: spec.name.to_string(),
            step: program.name.to_owned(),
            unknown: need.to_owned(),
        })?;
        needs.insert(*index);
    }
    Ok(needs.into_iter().collect())
}

/// A `finally` step needs every step that is none; these edges close no circle.
fn add_finally_needs(spec: &PipelineSpec, steps: &mut [PlannedStep]) {
    let others: Vec<u16> =
        (0..).zip(&spec.steps).filter(|(_, step)| !step.finally).map(|(index, _)| index).collect();
    for step in steps.iter_mut().filter(|step| step.finally) {
        step.needs.extend(&others);
        // two runs in order, which this sort merges
        step.needs.sort();
        step.needs.dedup();
    }
}

fn tasks_at_start(
    program: &Program<'_>,
    sequence: bool,
    session: &Session<'_>,
) -> Result<PlannedTasks, PipelineError> {
    let mut condition_reads = BTreeSet::new();
    program.when.iter().for_each(|when| when.add_steps(&mut condition_reads));
    if condition_reads.is_empty() && !condition(program, session)? {
        return Ok(PlannedTasks::Skipped);
    }
    if sequence || !program.steps().is_empty() {
        return Ok(PlannedTasks::Later);
    }
    match items(program, session)? {
        Some(items) if items.len() > PLANNED_TASKS_MAX => Ok(PlannedTasks::Later),
        items => Ok(PlannedTasks::Now(tasks(program, session, items)?)),
    }
}

pub(crate) fn condition(program: &Program<'_>, session: &Session<'_>) -> Result<bool, PipelineError> {
    let Some(when) = &program.when else { return Ok(true) };
    match when.evaluate(program.name, session, Locals::default())? {
        Value::Bool(holds) => Ok(holds),
        other => {
            Err(when.unfit(program.name, format!("a condition must be a boolean, not {}", article(&other))))
        }
    }
}

/// The list of a fan-out, which is not made where it is a range.
pub(crate) enum List {
    Range(u32),
    Items(Vec<Value>),
}

impl List {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Range(length) => *length as usize,
            Self::Items(items) => items.len(),
        }
    }

    fn get(&self, place: usize) -> Option<Cow<'_, Value>> {
        match self {
            Self::Range(length) => (place < *length as usize).then(|| Cow::Owned(Value::from(place))),
            Self::Items(items) => items.get(place).map(Cow::Borrowed),
        }
    }
}

pub(crate) fn items(program: &Program<'_>, session: &Session<'_>) -> Result<Option<List>, PipelineError> {
    let Some(for_each) = &program.for_each else { return Ok(None) };
    if let Some(length) = for_each.expression().and_then(|expression| session.range_of(expression)) {
        return Ok(Some(List::Range(length)));
    }
    match for_each.evaluate(program.name, session, Locals::default())? {
        Value::Array(items) => {
            refuse_length(program, items.len())?;
            Ok(Some(List::Items(items)))
        }
        other => {
            let message = format!("a fan-out needs a list, not {}", article(&other));
            Err(for_each.unfit(program.name, message))
        }
    }
}

/// Refuses a list that is too long to be fanned out over.
pub(crate) fn refuse_length(program: &Program<'_>, length: usize) -> Result<(), PipelineError> {
    match &program.for_each {
        Some(for_each) if length > ITEMS_MAX => {
            let message = format!("the list has {length} items, more than {ITEMS_MAX}");
            Err(for_each.unfit(program.name, message))
        }
        _ => Ok(()),
    }
}

fn tasks(
    program: &Program<'_>,
    session: &Session<'_>,
    items: Option<List>,
) -> Result<Vec<PlannedTask>, PipelineError> {
    let of = |index: u32, item: &Value| task(program, session, index, item, None);
    match items {
        None => Ok(vec![task_of(program, session, 0, Locals::default())?]),
        Some(List::Range(length)) => (0..length).map(|index| of(index, &Value::from(index))).collect(),
        Some(List::Items(items)) => (0..).zip(&items).map(|(index, item)| of(index, item)).collect(),
    }
}

fn next(
    program: &Program<'_>,
    session: &Session<'_>,
    state: &SequenceState,
) -> Result<Expansion, PipelineError> {
    let items = items(program, session)?.unwrap_or(List::Range(0));
    // The list is bounded far below the numbers of 32 bits.
    let total = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let at = usize::try_from(state.next_index).unwrap_or(usize::MAX);
    let Some(item) = items.get(at) else { return Ok(Expansion::Finished { total }) };
    let task = task(program, session, state.next_index, &item, Some(&state.previous))?;
    Ok(Expansion::Next { task, total })
}

fn task(
    program: &Program<'_>,
    session: &Session<'_>,
    index: u32,
    item: &Value,
    previous: Option<&Value>,
) -> Result<PlannedTask, PipelineError> {
    let index_value = Value::from(index);
    task_of(program, session, index, Locals { item: Some((item, &index_value)), previous, event: None })
}

fn task_of(
    program: &Program<'_>,
    session: &Session<'_>,
    index: u32,
    locals: Locals<'_>,
) -> Result<PlannedTask, PipelineError> {
    let arguments = program.with.evaluate(program.name, session, locals)?;
    Ok(PlannedTask {
        index,
        arguments,
        limit_key: limit_key(program, session, locals)?,
        cache_key: cache_key(program, session, locals)?,
    })
}

/// The key of a task's limit, where its step has one.
pub(crate) fn limit_key(
    program: &Program<'_>,
    session: &Session<'_>,
    locals: Locals<'_>,
) -> Result<Option<String>, PipelineError> {
    key_of(program, program.limit_key.as_ref(), "a limit", session, locals)
}

/// The key of a task's result, where its step says by what it is known.
pub(crate) fn cache_key(
    program: &Program<'_>,
    session: &Session<'_>,
    locals: Locals<'_>,
) -> Result<Option<String>, PipelineError> {
    key_of(program, program.cache_key.as_ref(), "a cached result", session, locals)
}

fn key_of(
    program: &Program<'_>,
    template: Option<&Template>,
    whose: &str,
    session: &Session<'_>,
    locals: Locals<'_>,
) -> Result<Option<String>, PipelineError> {
    let Some(template) = template else { return Ok(None) };
    let key = text_of(template.evaluate(program.name, session, locals)?);
    if key.is_empty() || key.len() > KEY_MAX {
        let message = format!("the key of {whose} has 1 to {KEY_MAX} bytes, not {}", key.len());
        return Err(template.unfit(program.name, message));
    }
    Ok(Some(key))
}

fn planned(index: u16, step: &StepSpec, needs: Vec<u16>, tasks: PlannedTasks) -> PlannedStep {
    PlannedStep {
        index,
        name: step.name.to_string(),
        kind: step.uses.clone(),
        needs,
        dependents: Vec::new(),
        pool: match step.uses.as_str() {
            PIPELINE_KIND | APPROVE_KIND => SCHEDULER_POOL.to_owned(),
            _ => step.pool.clone(),
        },
        retry: step.retry,
        retry_classes: step.retry_classes.clone(),
        timeout_ms: step.timeout_ms,
        timeout_total_ms: step.timeout_total_ms,
        tolerate_ppm: step.tolerate_ppm,
        fan_out: step.for_each.is_some(),
        sequence: step.sequence,
        join: if step.finally { JoinRule::AllDone } else { step.join },
        finally: step.finally,
        concurrency: step.limit.as_ref().and_then(|limit| limit.concurrency),
        rate: step.limit.as_ref().and_then(|limit| limit.rate),
        resources: step.resources.clone(),
        cache: step.cache.clone(),
        tasks,
    }
}

fn planned_outputs(index: u16, needs: Vec<u16>, tasks: PlannedTasks) -> PlannedStep {
    PlannedStep {
        index,
        name: OUTPUTS_STEP.to_owned(),
        kind: OUTPUTS_STEP.to_owned(),
        needs,
        dependents: Vec::new(),
        pool: SCHEDULER_POOL.to_owned(),
        retry: RetryPolicy::NONE,
        retry_classes: BTreeMap::new(),
        timeout_ms: None,
        timeout_total_ms: None,
        tolerate_ppm: 0,
        fan_out: false,
        sequence: false,
        join: JoinRule::AllSuccess,
        finally: false,
        concurrency: None,
        rate: None,
        resources: ResourceSpec::default(),
        cache: None,
        tasks,
    }
}

fn refuse_circles(steps: &[PlannedStep]) -> Result<(), PipelineError> {
    let needs: Vec<Vec<usize>> =
        steps.iter().map(|step| step.needs.iter().copied().map(usize::from).collect()).collect();
    let Some(circle) = graph::circles(&needs).into_iter().next() else { return Ok(()) };
    let mut names: Vec<_> =
        circle.iter().filter_map(|index| steps.get(*index)).map(|step| step.name.clone()).collect();
    names.extend(names.first().cloned());
    Err(PipelineError::Cycle { names })
}
