//! `tale diff`: what changed between two versions of a pipeline.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use similar::TextDiff;
use tale_primitives::Digest;
use tale_queue::{PipelineVersion, QueueError, list_versions};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    output,
};

/// Shows what changed between two versions of a pipeline, in its canonical form.
///
/// Versions are named by the beginning of their digest, as `tale pipeline list` and `tale show` print it. Without the
/// second, the newest is compared; without either, the newest with the one before it.
#[derive(Debug, Args)]
pub struct Diff {
    /// The pipeline's name.
    pipeline: String,
    /// The older version.
    from: Option<String>,
    /// The newer version.
    to: Option<String>,
}

#[derive(Serialize)]
struct Difference {
    pipeline: String,
    from: Side,
    to: Side,
    /// The difference as a unified diff; empty where the versions are the same.
    unified: String,
}

#[derive(Serialize)]
struct Side {
    version: Digest,
    applied_at: DateTime<Utc>,
}

impl Diff {
    /// Compares and prints.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale diff").await?;
        let versions = list_versions(&mut *installation.connection().await?, &self.pipeline).await?;
        installation.close().await?;
        let Some(newest) = versions.first() else {
            return Err(Failure::of(&QueueError::UnknownPipeline(self.pipeline.clone()))
                .code(UNUSABLE)
                .help("`tale pipeline list` lists them"));
        };
        let to = self.to.as_deref().map_or(Ok(newest), |written| self.find(&versions, written))?;
        let from = match &self.from {
            Some(written) => self.find(&versions, written)?,
            None => versions.get(1).unwrap_or(newest),
        };
        let (old, new) = (serde_json::to_string_pretty(&from.spec)?, serde_json::to_string_pretty(&to.spec)?);
        let unified = TextDiff::from_lines(&old, &new)
            .unified_diff()
            .context_radius(3)
            .header(&from.digest.short(), &to.digest.short())
            .to_string();
        match global.output {
            output::Format::Json => output::json(&Difference {
                pipeline: self.pipeline.clone(),
                from: Side::of(from),
                to: Side::of(to),
                unified,
            })?,
            output::Format::Table if unified.is_empty() => {
                output::line(&format!("version {} is the same", from.digest.short()))?;
            }
            output::Format::Table => output::line(unified.trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn find<'v>(
        &self,
        versions: &'v [PipelineVersion],
        written: &str,
    ) -> Result<&'v PipelineVersion, Failure> {
        let matches = |version: &&PipelineVersion| {
            let digest = version.digest.to_string();
            written.len() >= 4 && digest.starts_with(written)
        };
        let found: Vec<&PipelineVersion> = versions.iter().filter(matches).collect();
        match found.as_slice() {
            [one] => Ok(one),
            _ => {
                let known: Vec<String> =
                    versions.iter().take(10).map(|version| version.digest.short()).collect();
                let problem = if found.is_empty() { "no version" } else { "more than one version" };
                Err(Failure::new(format!("pipeline {} has {problem} {written:?}", self.pipeline))
                    .code(UNUSABLE)
                    .help(format!("the newest are {}; write at least four digits", known.join(", "))))
            }
        }
    }
}

impl Side {
    fn of(version: &PipelineVersion) -> Self {
        Self { version: version.digest, applied_at: version.applied_at }
    }
}
