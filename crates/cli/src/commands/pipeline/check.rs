//! `tale pipeline check`: every problem of every file, in its place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;
use tale_pipeline::{KindCatalog, PipelineSpec, Problem, Source};
use tale_tasks::catalog;

use super::known;
use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    output, pipelines,
};

/// Checks pipeline files and shows every problem in its place; needs no database.
///
/// A pipeline may name those given with it, those in the same folder, those in `pipelines` and those built in.
#[derive(Debug, Args)]
pub struct Check {
    /// Pipeline files; a folder stands for its *.yaml and *.yml files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct FileReport {
    file: String,
    ok: bool,
    pipeline: Option<String>,
    secrets: Vec<String>,
    problems: Vec<ProblemReport>,
}

#[derive(Serialize)]
struct ProblemReport {
    code: &'static str,
    message: String,
    help: Option<String>,
    line: usize,
    column: usize,
}

impl Check {
    /// Checks every file; ends with code 2 where one has a problem.
    pub fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let sources = self.sources()?;
        let checked = check_all(&sources, &known::names(&sources, &self.files));
        let is_sound = checked.iter().all(Result::is_ok);
        if global.output == output::Format::Json {
            let reports: Vec<FileReport> =
                sources.iter().zip(checked).map(|(source, checked)| file_report(source, checked)).collect();
            output::json(&reports)?;
        } else {
            for (source, checked) in sources.iter().zip(checked) {
                match checked {
                    Ok(spec) => {
                        let steps = spec.steps.len();
                        let plural = if steps == 1 { "" } else { "s" };
                        let secrets = secrets(&spec);
                        let needs = match secrets.is_empty() {
                            true => String::new(),
                            false => format!("; its workers need the secrets {}", secrets.join(", ")),
                        };
                        output::line(&format!(
                            "{}: ok, pipeline {} of {steps} step{plural}{needs}",
                            source.name, spec.name
                        ))?;
                    }
                    Err(problems) => drop(Failure::problems(source, problems).report()),
                }
            }
        }
        Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(UNUSABLE) })
    }

    /// Every file once, in the order given.
    fn sources(&self) -> Result<Vec<Source>, Failure> {
        let mut seen = BTreeSet::new();
        let mut sources = Vec::new();
        for path in &self.files {
            let found = if path.is_dir() {
                let found = pipelines::read_folder(path)?;
                if found.is_empty() {
                    return Err(Failure::new(format!(
                        "{} holds no pipelines (*.yaml, *.yml)",
                        path.display()
                    ))
                    .code(UNUSABLE));
                }
                found
            } else {
                vec![pipelines::read_file(path)?]
            };
            sources.extend(found.into_iter().filter(|source| {
                let place = fs::canonicalize(&source.name).unwrap_or_else(|_| PathBuf::from(&source.name));
                seen.insert(place)
            }));
        }
        Ok(sources)
    }
}

/// Checks sources that would be applied together, so that no two may have one name.
fn check_all(sources: &[Source], names: &BTreeSet<String>) -> Vec<Result<PipelineSpec, Vec<Problem>>> {
    let catalog = catalog();
    let mut first_files: BTreeMap<String, String> = BTreeMap::new();
    sources
        .iter()
        .map(|source| {
            let spec = check_one(source, &catalog, names)?;
            match first_files.get(spec.name.as_str()) {
                Some(first) => Err(vec![taken(source, &spec, first)]),
                None => {
                    first_files.insert(spec.name.to_string(), source.name.clone());
                    Ok(spec)
                }
            }
        })
        .collect()
}

/// Checks one source, which may name pipelines of `names`.
pub fn check_one(
    source: &Source,
    catalog: &KindCatalog,
    names: &BTreeSet<String>,
) -> Result<PipelineSpec, Vec<Problem>> {
    tale_pipeline::check(source, catalog, Some(&|name: &str| names.contains(name)))
}

/// The problem of a name that an earlier file has.
fn taken(source: &Source, spec: &PipelineSpec, first: &str) -> Problem {
    let mut start = 0;
    let mut line = 1;
    for text in source.text.split_inclusive('\n') {
        if text.starts_with("pipeline:") {
            break;
        }
        start += text.len();
        line += 1;
    }
    if start >= source.text.len() {
        (start, line) = (0, 1);
    }
    let end = source.text[start..].find('\n').map_or(source.text.len(), |length| start + length);
    Problem {
        code: "name-taken",
        message: format!("pipeline {} is defined in {first} already", spec.name),
        help: Some("a pipeline's name is unique".to_owned()),
        file: source.name.clone(),
        span: start..end,
        line,
        column: 1,
    }
}

/// The names of the secrets that a pipeline's tasks need.
fn secrets(spec: &PipelineSpec) -> Vec<String> {
    // a checked pipeline has no expression that cannot be read
    spec.secrets().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn file_report(source: &Source, checked: Result<PipelineSpec, Vec<Problem>>) -> FileReport {
    let file = source.name.clone();
    match checked {
        Ok(spec) => FileReport {
            file,
            ok: true,
            pipeline: Some(spec.name.to_string()),
            secrets: secrets(&spec),
            problems: vec![],
        },
        Err(problems) => FileReport {
            file,
            ok: false,
            pipeline: known::name_of(source),
            secrets: vec![],
            problems: problems
                .into_iter()
                .map(|problem| ProblemReport {
                    code: problem.code,
                    message: problem.message,
                    help: problem.help,
                    line: problem.line,
                    column: problem.column,
                })
                .collect(),
        },
    }
}
