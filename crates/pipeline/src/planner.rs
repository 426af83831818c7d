//! The planner: what is known of each step at the start, and what each becomes once its needs have finished.

use std::collections::{BTreeSet, HashMap};

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
        let mut needs = needs(spec, &program, &step.needs, &names)?;
        if step.finally {
            let others = (0..).zip(&spec.steps).filter(|(_, other)| !other.finally).map(|(other, _)| other);
            needs = others.chain(needs).collect::<BTreeSet<u16>>().into_iter().collect();
        }
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
    let edges: Vec<(u16, u16)> =
        steps.iter().flat_map(|step| step.needs.iter().map(|need| (*need, step.index))).collect();
    for (need, dependent) in edges {
        if let Some(step) = steps.get_mut(usize::from(need)) {
            step.dependents.push(dependent);
        }
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
        None => Ok(Expansion::Tasks(tasks(&program, &session)?)),
    }
}

impl RunContext {
    fn to_value(self, spec: &PipelineSpec) -> Value {
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
    Ok(PlannedTasks::Now(tasks(program, session)?))
}

fn condition(program: &Program<'_>, session: &Session<'_>) -> Result<bool, PipelineError> {
    let Some(when) = &program.when else { return Ok(true) };
    match when.evaluate(program.name, session, Locals::default())? {
        Value::Bool(holds) => Ok(holds),
        other => {
            Err(when.unfit(program.name, format!("a condition must be a boolean, not {}", article(&other))))
        }
    }
}

fn items(program: &Program<'_>, session: &Session<'_>) -> Result<Option<Vec<Value>>, PipelineError> {
    let Some(for_each) = &program.for_each else { return Ok(None) };
    match for_each.evaluate(program.name, session, Locals::default())? {
        Value::Array(items) if items.len() <= ITEMS_MAX => Ok(Some(items)),
        Value::Array(items) => {
            let message = format!("the list has {} items, more than {ITEMS_MAX}", items.len());
            Err(for_each.unfit(program.name, message))
        }
        other => {
            let message = format!("a fan-out needs a list, not {}", article(&other));
            Err(for_each.unfit(program.name, message))
        }
    }
}

fn tasks(program: &Program<'_>, session: &Session<'_>) -> Result<Vec<PlannedTask>, PipelineError> {
    match items(program, session)? {
        None => Ok(vec![task_of(program, session, 0, Locals::default())?]),
        Some(items) => {
            (0..).zip(&items).map(|(index, item)| task(program, session, index, item, None)).collect()
        }
    }
}

fn next(
    program: &Program<'_>,
    session: &Session<'_>,
    state: &SequenceState,
) -> Result<Expansion, PipelineError> {
    let items = items(program, session)?.unwrap_or_default();
    // The list is bounded far below the numbers of 32 bits.
    let total = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let at = usize::try_from(state.next_index).unwrap_or(usize::MAX);
    let Some(item) = items.get(at) else { return Ok(Expansion::Finished { total }) };
    let task = task(program, session, state.next_index, item, Some(&state.previous))?;
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
    let key = |template: &Option<Template>, whose: &str| {
        template.as_ref().map(|template| key_of(program, template, whose, session, locals)).transpose()
    };
    let limit_key = key(&program.limit_key, "a limit")?;
    let cache_key = key(&program.cache_key, "a cached result")?;
    Ok(PlannedTask { index, arguments, limit_key, cache_key })
}

fn key_of(
    program: &Program<'_>,
    template: &Template,
    whose: &str,
    session: &Session<'_>,
    locals: Locals<'_>,
) -> Result<String, PipelineError> {
    let key = text_of(template.evaluate(program.name, session, locals)?);
    if key.is_empty() || key.len() > KEY_MAX {
        let message = format!("the key of {whose} has 1 to {KEY_MAX} bytes, not {}", key.len());
        return Err(template.unfit(program.name, message));
    }
    Ok(key)
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
        timeout_ms: step.timeout_ms,
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
        timeout_ms: None,
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
