//! `tale pipeline plan`: what a run would do.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use chrono::Utc;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use tale_pipeline::{
    PipelineError, PipelineSpec, PlannedStep, PlannedTasks, RetryPolicy, RunContext, Source, plan,
    resolve_params,
};
use tale_primitives::{Digest, RunId, UtcDay};
use tale_queue::{QueueError, find_pipeline, list_pipelines};
use tale_tasks::catalog;

use super::{
    check::check_one,
    known::{self, USUAL_FOLDER},
};
use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::{Installation, data_directory},
    output,
    params::ParamArguments,
    pipelines,
};

/// Prints what a run of a pipeline would do; runs nothing.
///
/// NAME is looked up among the files first, and among the applied pipelines where no file defines it.
#[derive(Debug, Args)]
pub struct Plan {
    /// The pipeline's name, or a file that defines it.
    name: String,
    #[command(flatten)]
    params: ParamArguments,
    /// The folder of pipeline files; `pipelines`, or else the pipelines that are built in.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The UTC day that the run would be about, YYYY-MM-DD; today unless given.
    #[arg(long, value_name = "DAY")]
    date: Option<UtcDay>,
}

#[derive(Serialize)]
struct Planned {
    pipeline: String,
    version: Digest,
    params: Map<String, Value>,
    steps: Vec<PlannedStep>,
}

/// Plans a run of `spec` and prints what it would do.
pub fn print_plan(
    format: output::Format,
    spec: &PipelineSpec,
    params: &Map<String, Value>,
    date: Option<UtcDay>,
) -> Result<(), Failure> {
    let params = resolve_params(spec, params).map_err(|error| match error {
        PipelineError::Params { .. } => with_params(error.into(), spec),
        error => error.into(),
    })?;
    let run = RunContext {
        id: RunId::generate(),
        date: date.unwrap_or_else(|| UtcDay::of(Utc::now())),
        fire_time: None,
        parent: None,
    };
    let steps = plan(spec, &params, &run)?.steps;
    let planned = Planned { pipeline: spec.name.to_string(), version: spec.digest()?, params, steps };
    if format == output::Format::Json {
        output::json(&planned)?;
    } else {
        output::line(&format!("pipeline {}, version {}", planned.pipeline, planned.version.short()))?;
        for (name, value) in &planned.params {
            output::line(&format!("  {name} = {value}"))?;
        }
        output::line(&table(&planned.steps).to_string())?;
    }
    Ok(())
}

impl Plan {
    /// Finds, plans and prints.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let spec = self.find(global).await?;
        let params = self.params.read(&spec)?;
        print_plan(global.output, &spec, &params, self.date)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn find(&self, global: &Global) -> Result<PipelineSpec, Failure> {
        let path = Path::new(&self.name);
        if path.is_file() || is_path(&self.name) {
            return checked(&pipelines::read_file(path)?, path);
        }
        let (sources, place) = match &self.dir {
            Some(folder) => (pipelines::sources(Some(folder))?, folder.as_path()),
            None => (pipelines::sources(None)?, Path::new(USUAL_FOLDER)),
        };
        let mut names: Vec<String> = Vec::new();
        for source in &sources {
            match known::name_of(source) {
                Some(name) if name == self.name => return checked(source, place),
                name => names.extend(name),
            }
        }
        if let Some(found) = self.find_applied(global, &mut names).await? {
            return Ok(found);
        }
        names.sort();
        names.dedup();
        Err(Failure::new(format!("there is no pipeline {:?}", self.name))
            .code(UNUSABLE)
            .help(format!("there are: {}; --dir names another folder", names.join(", "))))
    }

    /// The applied version; nothing is started for it where no installation has ever been.
    async fn find_applied(
        &self,
        global: &Global,
        names: &mut Vec<String>,
    ) -> Result<Option<PipelineSpec>, Failure> {
        if global.database_url.is_none() && !data_directory(global)?.join("lock.json").exists() {
            return Ok(None);
        }
        let installation = Installation::look(global, "tale pipeline plan").await?;
        let mut connection = installation.connection().await?;
        let found = find_pipeline(&mut connection, &self.name).await;
        let applied = list_pipelines(&mut connection).await;
        drop(connection);
        installation.close().await?;
        names.extend(applied?.into_iter().map(|version| version.name));
        match found {
            Ok(version) => Ok(Some(PipelineSpec::from_json(version.spec)?)),
            Err(QueueError::UnknownPipeline(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a text can only mean a file.
fn is_path(name: &str) -> bool {
    name.contains('/') || name.ends_with(".yaml") || name.ends_with(".yml")
}

fn checked(source: &Source, place: &Path) -> Result<PipelineSpec, Failure> {
    let names = known::names(std::slice::from_ref(source), &[place.to_owned()]);
    check_one(source, &catalog(), &names).map_err(|problems| Failure::problems(source, problems))
}

/// The failure, and the params that there are.
fn with_params(failure: Failure, spec: &PipelineSpec) -> Failure {
    let params: Vec<String> = spec
        .params
        .iter()
        .map(|param| match &param.default {
            Some(default) => format!("{} ({}, {default} unless given)", param.name, param.kind),
            None => format!("{} ({}, required)", param.name, param.kind),
        })
        .collect();
    match params.is_empty() {
        true => failure.help(format!("pipeline {} has no params", spec.name)),
        false => failure.help(format!("the params of {} are {}", spec.name, params.join(", "))),
    }
}

fn table(steps: &[PlannedStep]) -> comfy_table::Table {
    let mut table =
        output::table(&["", "step", "kind", "pool", "needs", "tasks", "retry", "timeout", "may fail"]);
    for step in steps {
        let needs: Vec<&str> = step
            .needs
            .iter()
            .filter_map(|index| steps.get(usize::from(*index)))
            .map(|step| step.name.as_str())
            .collect();
        table.add_row([
            step.index.to_string(),
            step.name.clone(),
            step.kind.clone(),
            step.pool.clone(),
            needs.join(", "),
            tasks(step),
            retry(&step.retry),
            step.timeout_ms.map(milliseconds).unwrap_or_default(),
            percent(step.tolerate_ppm),
        ]);
    }
    table
}

fn tasks(step: &PlannedStep) -> String {
    let count = match &step.tasks {
        PlannedTasks::Now(tasks) => tasks.len().to_string(),
        PlannedTasks::Skipped => "skipped".to_owned(),
        PlannedTasks::Later => "later".to_owned(),
    };
    if step.sequence { format!("{count}, one after another") } else { count }
}

fn retry(policy: &RetryPolicy) -> String {
    match policy.attempts {
        1 => "no".to_owned(),
        attempts => format!(
            "{attempts} attempts, {} to {}",
            milliseconds(policy.backoff_base_ms),
            milliseconds(policy.backoff_cap_ms)
        ),
    }
}

/// A duration as pipelines write it: `500ms`, `10m`, `1h30m`.
fn milliseconds(total: u64) -> String {
    let mut text = String::new();
    let mut rest = total;
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0ms".to_owned() } else { text }
}

fn percent(ppm: u32) -> String {
    match ppm {
        0 => "none".to_owned(),
        ppm => format!("{}%", f64::from(ppm) / 10_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_pipelines_write_them() {
        for (total, text) in
            [(0, "0ms"), (500, "500ms"), (60_000, "1m"), (5_400_000, "1h30m"), (86_461_001, "1d1m1s1ms")]
        {
            assert_eq!(milliseconds(total), text);
        }
    }
}
