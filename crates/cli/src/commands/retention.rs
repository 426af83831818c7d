//! `tale retention`: how long ended runs stay in the database.

use std::{collections::BTreeMap, process::ExitCode};

use clap::{Args, Subcommand, value_parser};
use serde::Serialize;
use serde_json::json;
use sqlx::Connection;
use tale_queue::{
    EVERY_PIPELINE, ExpiredRun, RetentionPolicy, expired_runs, list_retention, set_retention, unset_retention,
};
use tale_scheduler::{Retained, needed_runs, retain};

use crate::{
    arguments::Global,
    engine::archive_of,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    operator::audit,
    output,
};

/// Says how long ended runs stay in the database, and archives those that stay no longer.
///
/// An archived run is an object of the store: `tale runs --archived` lists it, `tale show` and `tale logs` read it. Artifacts,
/// evidence and settlements stay where they are. Without a policy runs stay for ever.
#[derive(Debug, Args)]
pub struct Retention {
    #[command(subcommand)]
    command: Retaining,
}

#[derive(Debug, Subcommand)]
enum Retaining {
    /// Lists the policies.
    Show,
    /// Sets the policy of a pipeline, or of all pipelines without one of their own.
    Set(Set),
    /// Archives now what no policy keeps; schedulers do so by themselves.
    Run(Run),
}

#[derive(Debug, Args)]
struct Set {
    /// The pipeline; every one without a policy of its own unless given.
    #[arg(value_name = "PIPELINE")]
    pipeline: Option<String>,
    /// How long after its end a run stays: 30d, 12h, 90m, 0s, or forever.
    #[arg(long, value_name = "TIME", value_parser = time, required_unless_present = "unset")]
    keep: Option<Keep>,
    /// How many of the newest ended runs stay whatever their age.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(0..=1_000_000))]
    keep_last: u32,
    /// Takes the policy away.
    #[arg(long, conflicts_with_all = ["keep", "keep_last"])]
    unset: bool,
}

#[derive(Debug, Args)]
struct Run {
    /// Says what would be archived, and archives nothing.
    #[arg(long)]
    dry_run: bool,
}

/// How long a run stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Forever,
    Seconds(i64),
}

/// The most runs that a dry run counts.
const COUNTED_MAX: u32 = 100_000;
/// Ten years, beyond which a number is a slip.
const SECONDS_MAX: i64 = 3650 * 86_400;

#[derive(Serialize)]
struct Archived {
    runs: usize,
    rows: u64,
}

impl Retention {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale retention").await?;
        let done = match &self.command {
            Retaining::Show => show(global, &installation).await,
            Retaining::Set(set) => set.run(global, &installation).await,
            Retaining::Run(Run { dry_run: true }) => count(global, &installation).await,
            Retaining::Run(Run { dry_run: false }) => archive(global, &installation).await,
        };
        installation.close().await?;
        done.map(|()| ExitCode::SUCCESS)
    }
}

async fn show(global: &Global, installation: &Installation) -> Result<(), Failure> {
    let policies = list_retention(&mut *installation.connection().await?).await?;
    output::write(global.output, &policies, |policies| {
        let mut table = output::table(&["pipeline", "keep", "keep last", "since"]);
        for RetentionPolicy { pipeline, keep_seconds, keep_last, set_at } in policies {
            table.add_row([
                pipeline.clone(),
                keep_seconds.as_ref().map_or_else(|| "forever".to_owned(), written),
                keep_last.to_string(),
                set_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            ]);
        }
        table
    })
}

impl Set {
    async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let pipeline = self.pipeline.as_deref().unwrap_or(EVERY_PIPELINE);
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        match self.keep {
            Some(keep) => {
                if pipeline != EVERY_PIPELINE {
                    tale_queue::find_pipeline(&mut transaction, pipeline).await.map_err(|error| {
                        Failure::of(&error).code(UNUSABLE).help("`tale pipeline list` lists them")
                    })?;
                }
                let seconds = match keep {
                    Keep::Forever => None,
                    Keep::Seconds(seconds) => Some(seconds),
                };
                set_retention(&mut transaction, pipeline, seconds, self.keep_last).await?;
                let details = json!({ "keep_seconds": seconds, "keep_last": self.keep_last });
                audit(&mut transaction, "retention.set", pipeline, &details).await?;
            }
            None => {
                if !unset_retention(&mut transaction, pipeline).await? {
                    return Err(Failure::new(format!("{pipeline} has no policy of its own"))
                        .code(UNUSABLE)
                        .help("`tale retention show` lists them"));
                }
                audit(&mut transaction, "retention.unset", pipeline, &json!({})).await?;
            }
        }
        transaction.commit().await?;
        drop(connection);
        show(global, installation).await
    }
}

/// Says what would be archived.
async fn count(global: &Global, installation: &Installation) -> Result<(), Failure> {
    let mut connection = installation.connection().await?;
    let needed = needed_runs(&mut connection).await?;
    let expired: Vec<ExpiredRun> = expired_runs(&mut connection, &needed, COUNTED_MAX).await?;
    output::write(global.output, &expired, |expired| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for run in expired {
            *counts.entry(&run.pipeline).or_default() += 1;
        }
        let mut table = output::table(&["pipeline", "runs to archive"]);
        for (pipeline, runs) in counts {
            table.add_row([pipeline.to_owned(), runs.to_string()]);
        }
        table
    })
}

async fn archive(global: &Global, installation: &Installation) -> Result<(), Failure> {
    // of its own: it holds a lock of its session
    let mut connection = installation.connection().await?.detach();
    let archive = archive_of(installation);
    let mut archived = Archived { runs: 0, rows: 0 };
    loop {
        let Retained { runs, rows } = retain(&mut connection, &*archive).await?;
        if runs == 0 && rows == 0 {
            break;
        }
        archived.runs += runs;
        archived.rows += rows;
    }
    match global.output {
        output::Format::Json => output::json(&archived),
        output::Format::Table => {
            output::line(&format!("{} runs archived, {} rows dropped", archived.runs, archived.rows))
        }
    }
}

/// A time as it is written on the command line.
fn time(text: &str) -> Result<Keep, String> {
    const EXPECTED: &str = "expected a time such as 30d, 12h, 90m or 0s, ten years at most, or forever";
    if text == "forever" {
        return Ok(Keep::Forever);
    }
    let split = text.find(|letter: char| !letter.is_ascii_digit()).ok_or(EXPECTED)?;
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(EXPECTED.to_owned()),
    };
    let seconds = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| *seconds <= SECONDS_MAX).map(Keep::Seconds).ok_or_else(|| EXPECTED.to_owned())
}

/// The time in the largest unit that it is a whole number of.
fn written(seconds: &i64) -> String {
    match *seconds {
        seconds if seconds > 0 && seconds % 86_400 == 0 => format!("{} d", seconds / 86_400),
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{} m", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written_and_slips_are_refused() {
        for (text, keep, back) in [
            ("30d", Keep::Seconds(2_592_000), "30 d"),
            ("36h", Keep::Seconds(129_600), "36 h"),
            ("90m", Keep::Seconds(5400), "90 m"),
            ("0s", Keep::Seconds(0), "0 s"),
        ] {
            assert_eq!(time(text), Ok(keep));
            let Keep::Seconds(seconds) = keep else { continue };
            assert_eq!(written(&seconds), back);
        }
        assert_eq!(time("forever"), Ok(Keep::Forever));
        for text in ["30", "d", "-1d", "1w", "4000d", "99999999999999999999d", "1.5h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
