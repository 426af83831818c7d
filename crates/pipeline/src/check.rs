//! The public way in: a source, checked in every respect.

use crate::{
    arguments::Arguments,
    draft::{self, Draft, DraftStep},
    kinds::{KindCatalog, KindDescription},
    names::Names,
    problem::{Problem, Problems, Source},
    spec::{PIPELINE_KIND, PipelineSpec, SCHEDULER_POOL},
    suggest,
    yaml::{self, Yaml, to_json_map},
};

/// The structure of a pipeline, without a look at kinds, references or expressions.
///
/// # Errors
/// Every problem, by place.
pub fn parse(source: &Source) -> Result<PipelineSpec, Vec<Problem>> {
    let mut problems = Problems::new(source);
    let document = yaml::read(source, &mut problems);
    let draft = document.as_ref().map(|document| draft::read(document, &mut problems)).unwrap_or_default();
    finish(draft, problems)
}

/// A pipeline, checked in every respect: its structure, kinds, arguments, references and expressions.
///
/// `known_pipelines` says whether there is a pipeline of a name; without it, the names in `uses: pipeline` are
/// not looked up.
///
/// # Errors
/// Every problem, by place.
pub fn check(
    source: &Source,
    kinds: &KindCatalog,
    known_pipelines: Option<&dyn Fn(&str) -> bool>,
) -> Result<PipelineSpec, Vec<Problem>> {
    let mut problems = Problems::new(source);
    let Some(document) = yaml::read(source, &mut problems) else { return Err(problems.into_sorted()) };
    let mut draft = draft::read(&document, &mut problems);
    check_kinds(&mut draft, kinds, &mut problems);
    check_child_pipelines(&draft, known_pipelines, &mut problems);
    Names::of(&draft, source).check(&mut problems);
    finish(draft, problems)
}

fn finish(draft: Draft<'_>, problems: Problems<'_>) -> Result<PipelineSpec, Vec<Problem>> {
    let Draft {
        name: Some(name),
        description,
        params,
        concurrency,
        tenant,
        deadline,
        schedule,
        triggers,
        steps,
        outputs,
    } = draft
    else {
        return Err(problems.into_sorted());
    };
    if !problems.is_empty() {
        return Err(problems.into_sorted());
    }
    let steps = steps.into_iter().filter_map(|step| step.spec).collect();
    let tenant = tenant.and_then(|node| match &node.value {
        Yaml::Text(text) => Some(text.clone()),
        _ => None,
    });
    let deadline = deadline.and_then(|deadline| deadline.spec);
    let triggers = triggers.into_iter().filter_map(|trigger| trigger.spec).collect();
    let outputs = outputs.map(to_json_map);
    Ok(PipelineSpec {
        name,
        description,
        params,
        concurrency,
        tenant,
        deadline,
        schedule,
        triggers,
        steps,
        outputs,
    })
}

/// Holds every step against its kind, and gives it the kind's pool where it names none.
fn check_kinds(draft: &mut Draft<'_>, kinds: &KindCatalog, problems: &mut Problems<'_>) {
    let mut arguments = Arguments::new();
    for step in &mut draft.steps {
        let Some(uses) = &step.uses else { continue };
        let Some(kind) = kinds.find(uses.text) else {
            let names: Vec<_> = kinds.list().map(|kind| kind.name.as_str()).collect();
            let help = suggest::help(uses.text, &names, "kinds");
            let message = format!("there is no task kind {:?}", crate::params::shortened(uses.text));
            problems.add("unknown-kind", uses.span.clone(), message, Some(help));
            continue;
        };
        if let (Some(spec), Some(pool), false) = (&mut step.spec, &kind.pool, step.names_pool) {
            spec.pool.clone_from(pool);
        }
        if step.with_is_read {
            arguments.check(kind, step.with, &uses.span, problems);
        }
        check_resources_and_cache(step, kind, problems);
    }
}

/// Fills in what the kind's tasks ask for, and refuses what the kind cannot have.
fn check_resources_and_cache(step: &mut DraftStep<'_>, kind: &KindDescription, problems: &mut Problems<'_>) {
    if let (Some(span), Some(SCHEDULER_POOL)) = (&step.resources, kind.pool.as_deref()) {
        let message = format!("kind {} takes no `resources`: it waits without a worker", kind.name);
        let help = "take it out; the steps of a child pipeline ask for what they need".to_owned();
        problems.add("needless-resources", span.clone(), message, Some(help));
    }
    if let (Some(span), false) = (&step.cache, kind.cacheable) {
        let message = format!("results of kind {} cannot be cached", kind.name);
        let help = "it changes something or depends on more than its arguments: take `cache` out; \
                    `tale kinds` lists the kinds that can be cached";
        problems.add("not-cacheable", span.clone(), message, Some(help.to_owned()));
    }
    if let Some(spec) = &mut step.spec {
        spec.resources = std::mem::take(&mut spec.resources).or(&kind.resources);
    }
}

fn check_child_pipelines(
    draft: &Draft<'_>,
    known_pipelines: Option<&dyn Fn(&str) -> bool>,
    problems: &mut Problems<'_>,
) {
    let children =
        draft.steps.iter().filter(|step| step.uses.as_ref().is_some_and(|uses| uses.text == PIPELINE_KIND));
    let started = children.flat_map(|step| step.with).filter(|entry| entry.key == "pipeline");
    let awaited = draft.triggers.iter().filter_map(|trigger| trigger.pipeline);
    let alarmed = draft.deadline.iter().filter_map(|deadline| deadline.pipeline);
    for node in started.map(|entry| &entry.value).chain(awaited).chain(alarmed) {
        let Yaml::Text(name) = &node.value else { continue };
        if name.contains('$') {
            continue;
        }
        let span = node.span.clone();
        if draft.name.as_ref().is_some_and(|own| own.as_str() == name) {
            let help = "it would start itself without end; to repeat, use `for_each` over another pipeline";
            problems.add(
                "own-pipeline",
                span,
                format!("pipeline {name} cannot run itself"),
                Some(help.to_owned()),
            );
        } else if known_pipelines.is_some_and(|known| !known(name)) {
            let help = "apply that pipeline first, or correct the name";
            let message = format!("there is no pipeline {:?}", crate::params::shortened(name));
            problems.add("unknown-pipeline", span, message, Some(help.to_owned()));
        }
    }
}
