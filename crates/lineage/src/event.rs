//! News as OpenLineage events; pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tale_primitives::Digest;
use tale_queue::{News, RunNews};
use tale_storage::{LineageObject, ObjectRef, Production};
use uuid::Uuid;

/// Who made the events, as OpenLineage wants it: a URL.
const PRODUCER: &str = concat!("https://github.com/taleworks/taleworks/tree/", env!("CARGO_PKG_VERSION"));
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
/// Inputs, and outputs, that one event lists.
const OBJECTS_MAX: usize = 1000;
/// Characters of an error that an event carries.
const ERROR_LENGTH_MAX: usize = 2000;

/// Under which names things are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaces {
    /// The namespace of jobs.
    pub jobs: String,
    /// The namespace of data sets: the store's URL.
    pub data: String,
}

/// The events that tell this, in their order: at the end of a run, those of its `productions` first.
pub fn events(names: &Namespaces, news: &RunNews, productions: &[Production]) -> Vec<Value> {
    let mut events = Vec::new();
    if news.news != News::Started {
        for production in productions {
            events.extend(task_events(names, news, production));
        }
    }
    events.push(run_event(names, news, productions));
    events
}

fn run_event(names: &Namespaces, news: &RunNews, productions: &[Production]) -> Value {
    let mut facets = json!({ "processing_engine": engine() });
    if let Some(fire_time) = news.fire_time {
        facets["nominalTime"] =
            facet("1-0-1/NominalTimeRunFacet", json!({ "nominalStartTime": time(fire_time) }));
    }
    if let Some((parent, pipeline)) = &news.parent {
        facets["parent"] = parent_facet(&parent.to_string(), &names.jobs, pipeline);
    }
    if let Some(error) = &news.error {
        let message: String = error.chars().take(ERROR_LENGTH_MAX).collect();
        facets["errorMessage"] =
            facet("1-0-1/ErrorMessageRunFacet", json!({ "message": message, "programmingLanguage": "Rust" }));
    }
    let (mut inputs, mut outputs) = (vec![], vec![]);
    let mut event_type = "START";
    if news.news != News::Started {
        event_type = match news.news {
            News::Succeeded => "COMPLETE",
            News::Cancelled => "ABORT",
            News::Failed | News::Started => "FAIL",
        };
        let written: BTreeSet<Digest> = productions
            .iter()
            .flat_map(|production| &production.outputs)
            .filter_map(|object| object.digest)
            .collect();
        let is_foreign =
            |object: &&LineageObject| object.digest.is_none_or(|digest| !written.contains(&digest));
        inputs =
            data_sets(names, productions.iter().flat_map(|production| &production.inputs).filter(is_foreign));
        let published = |object: &&LineageObject| object.artifact.is_some();
        outputs = outputs_of(
            names,
            productions.iter().flat_map(|production| &production.outputs).filter(published),
        );
    }
    json!({
        "eventType": event_type,
        "eventTime": time(news.at),
        "run": { "runId": news.run.to_string(), "facets": facets },
        "job": job(names, &news.pipeline, "PIPELINE"),
        "inputs": inputs,
        "outputs": outputs,
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
    })
}

fn task_events(names: &Namespaces, news: &RunNews, production: &Production) -> [Value; 2] {
    let run = Uuid::new_v5(&news.run.raw(), production.attempt.raw().to_string().as_bytes());
    let facets = json!({
        "processing_engine": engine(),
        "parent": parent_facet(&news.run.to_string(), &names.jobs, &news.pipeline),
    });
    let name = format!("{}.{}", production.pipeline, production.step);
    let event = |event_type: &str, at: DateTime<Utc>| {
        json!({
            "eventType": event_type,
            "eventTime": time(at),
            "run": { "runId": run.to_string(), "facets": facets.clone() },
            "job": job(names, &name, "TASK"),
            "inputs": data_sets(names, production.inputs.iter()),
            "outputs": outputs_of(names, production.outputs.iter()),
            "producer": PRODUCER,
            "schemaURL": SCHEMA,
        })
    };
    [event("START", production.started_at), event("COMPLETE", production.produced_at)]
}

fn job(names: &Namespaces, name: &str, job_type: &str) -> Value {
    let facets = json!({
        "jobType": facet("2-0-4/JobTypeJobFacet", json!({
            "processingType": "BATCH", "integration": "TALEWORKS", "jobType": job_type
        })),
    });
    json!({ "namespace": names.jobs, "name": name, "facets": facets })
}

fn engine() -> Value {
    let facts = json!({ "version": env!("CARGO_PKG_VERSION"), "name": "Taleworks" });
    facet("1-1-1/ProcessingEngineRunFacet", facts)
}

fn parent_facet(run: &str, namespace: &str, job: &str) -> Value {
    facet(
        "1-2-0/ParentRunFacet",
        json!({ "run": { "runId": run }, "job": { "namespace": namespace, "name": job } }),
    )
}

/// Each data set once, whatever the number of those who touched it.
fn data_sets<'a>(names: &Namespaces, objects: impl Iterator<Item = &'a LineageObject>) -> Vec<Value> {
    let named: BTreeMap<String, &LineageObject> = objects.map(|object| (name_of(object), object)).collect();
    named.into_iter().take(OBJECTS_MAX).map(|(name, object)| data_set(names, name, object)).collect()
}

fn outputs_of<'a>(names: &Namespaces, objects: impl Iterator<Item = &'a LineageObject>) -> Vec<Value> {
    let named: BTreeMap<String, &LineageObject> = objects.map(|object| (name_of(object), object)).collect();
    let output = |(name, object): (String, &LineageObject)| {
        let mut output = data_set(names, name, object);
        if let Some(bytes) = object.size_bytes {
            output["outputFacets"] = json!({
                "outputStatistics": facet("1-0-2/OutputStatisticsOutputDatasetFacet", json!({ "size": bytes, "fileCount": 1 })),
            });
        }
        output
    };
    named.into_iter().take(OBJECTS_MAX).map(output).collect()
}

fn data_set(names: &Namespaces, name: String, object: &LineageObject) -> Value {
    let mut facets = json!({});
    if let Some(digest) = object.digest {
        let version = json!({ "datasetVersion": digest.to_string() });
        facets["version"] = facet("1-0-1/DatasetVersionDatasetFacet", version);
    }
    json!({ "namespace": names.data, "name": name, "facets": facets })
}

/// What stays the same from run to run, where there is such a name.
fn name_of(object: &LineageObject) -> String {
    match (&object.name, &object.source, object.digest) {
        (Some(name), Some(source), _) => format!("{source}.{name}"),
        (Some(name), None, _) => name.clone(),
        (None, _, Some(digest)) => ObjectRef { digest, size_bytes: 0 }.key(),
        (None, _, None) => "unnamed".to_owned(),
    }
}

fn facet(schema: &str, mut content: Value) -> Value {
    let class = schema.rsplit('/').next().unwrap_or_default();
    content["_producer"] = json!(PRODUCER);
    content["_schemaURL"] = json!(format!("https://openlineage.io/spec/facets/{schema}.json#/$defs/{class}"));
    content
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
