//! Pipeline files on their way to the database: found, checked together, applied together.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use sqlx::Connection;
use tale_pipeline::{PipelineSpec, SOURCE_BYTES_MAX, Source, check as check_source, parse};
use tale_primitives::Digest;
use tale_queue::{apply_pipeline, set_pipeline_limit};
use tale_scheduler::{apply_schedule, apply_triggers, notify_schedules, refuse_trigger_circles};
use tale_tasks::catalog;

use crate::{
    failure::{Failure, UNUSABLE},
    installation::Installation,
    params,
};

/// The product's own pipelines, for a binary that runs far from its repository.
const BUILT_IN: [(&str, &str); 9] = [
    ("federated-training.yaml", include_str!("../../../pipelines/federated-training.yaml")),
    ("training-round.yaml", include_str!("../../../pipelines/training-round.yaml")),
    ("nightly-settlement.yaml", include_str!("../../../pipelines/nightly-settlement.yaml")),
    ("nightly-vesting.yaml", include_str!("../../../pipelines/nightly-vesting.yaml")),
    ("nightly-tokens.yaml", include_str!("../../../pipelines/nightly-tokens.yaml")),
    ("nightly-dividends.yaml", include_str!("../../../pipelines/nightly-dividends.yaml")),
    ("expire-holds.yaml", include_str!("../../../pipelines/expire-holds.yaml")),
    ("licence-sale.yaml", include_str!("../../../pipelines/licence-sale.yaml")),
    ("hello.yaml", include_str!("../../../pipelines/hello.yaml")),
];

/// The folder that is looked for where none is named.
const USUAL_FOLDER: &str = "pipelines";

/// A pipeline that was applied.
#[derive(Debug, Clone, Serialize)]
pub struct AppliedPipeline {
    /// Its name.
    pub name: String,
    /// The digest of its content.
    pub version: Digest,
    /// How many steps it has.
    pub steps: usize,
    /// Whether new runs use another version than before.
    pub changed: bool,
}

/// The pipeline files of `folder`; of `pipelines` where that has any; else those that are built in.
pub fn sources(folder: Option<&Path>) -> Result<Vec<Source>, Failure> {
    match folder {
        Some(folder) => {
            let found = read_folder(folder)?;
            if found.is_empty() {
                return Err(
                    Failure::new(format!("{} holds no pipelines (*.yaml)", folder.display())).code(UNUSABLE)
                );
            }
            Ok(found)
        }
        None if Path::new(USUAL_FOLDER).is_dir() => {
            let found = read_folder(Path::new(USUAL_FOLDER))?;
            Ok(if found.is_empty() { built_in() } else { found })
        }
        None => Ok(built_in()),
    }
}

/// The pipelines of this build.
pub fn built_in() -> Vec<Source> {
    BUILT_IN.map(|(name, text)| Source { name: format!("(built in) {name}"), text: text.to_owned() }).to_vec()
}

/// The `*.yaml` and `*.yml` files of a folder, by name.
pub fn read_folder(folder: &Path) -> Result<Vec<Source>, Failure> {
    let cannot_read = |path: &Path, error: std::io::Error| {
        Failure::of(&error)
            .code(UNUSABLE)
            .help(format!("{} must be a readable folder of YAML files", path.display()))
    };
    let entries = fs::read_dir(folder).map_err(|error| cannot_read(folder, error))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| cannot_read(folder, error))?.path();
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read_file(path)).collect()
}

/// One pipeline file.
pub fn read_file(path: &Path) -> Result<Source, Failure> {
    let help = "split it into several pipelines and join them with `uses: pipeline`";
    params::read_source(path, SOURCE_BYTES_MAX, help)
}

/// Checks pipelines together: each may use any other of them.
pub fn check(sources: &[Source]) -> Result<Vec<PipelineSpec>, Failure> {
    check_beside(sources, &BTreeSet::new())
}

fn check_beside(sources: &[Source], applied: &BTreeSet<String>) -> Result<Vec<PipelineSpec>, Failure> {
    let catalog = catalog();
    let here: BTreeSet<String> = sources
        .iter()
        .filter_map(|source| Some(parse(source).ok()?.name.to_string()))
        .chain(BUILT_IN.iter().filter_map(|(name, _)| name.strip_suffix(".yaml").map(str::to_owned)))
        .collect();
    let known = |name: &str| here.contains(name) || applied.contains(name);
    let mut specs = Vec::new();
    for source in sources {
        let spec = check_source(source, &catalog, Some(&known))
            .map_err(|problems| Failure::problems(source, problems))?;
        if specs.iter().any(|other: &PipelineSpec| other.name == spec.name) {
            return Err(Failure::new(format!(
                "{}: another file has a pipeline {} already",
                source.name, spec.name
            ))
            .code(UNUSABLE)
            .help("a pipeline's name is unique"));
        }
        specs.push(spec);
    }
    Ok(specs)
}

/// Checks and applies pipelines in one transaction.
pub async fn apply(installation: &Installation, sources: &[Source]) -> Result<Vec<AppliedPipeline>, Failure> {
    let mut connection = installation.connection().await?;
    let before = tale_queue::list_pipelines(&mut connection).await?;
    let specs = check_beside(sources, &before.into_iter().map(|version| version.name).collect())?;
    let mut transaction = connection.begin().await?;
    let mut applied = Vec::with_capacity(specs.len());
    for spec in specs {
        let version = spec.digest()?;
        let result = apply_pipeline(&mut transaction, spec.name.as_str(), version, &spec.to_json()?).await?;
        set_pipeline_limit(&mut transaction, spec.name.as_str(), spec.concurrency).await?;
        apply_schedule(&mut transaction, &spec, result.version_id).await?;
        apply_triggers(&mut transaction, &spec, result.version_id).await?;
        applied.push(AppliedPipeline {
            name: spec.name.to_string(),
            version,
            steps: spec.steps.len(),
            changed: result.changed,
        });
    }
    refuse_trigger_circles(&mut transaction).await?;
    transaction.commit().await?;
    notify_schedules(&mut connection).await?;
    Ok(applied)
}
