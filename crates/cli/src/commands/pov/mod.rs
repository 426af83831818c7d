//! `tale pov`: how Proof of Validation decided, and on what evidence.

mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tale_validation::{POINTS_PER_NAT, list_rounds};

use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Shows decisions of Proof of Validation and their evidence.
#[derive(Debug, Args)]
pub struct Pov {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists decided rounds, the last first.
    Rounds {
        /// Only rounds of this training.
        #[arg(long)]
        lineage: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: u32,
    },
    /// Shows one round: verdicts, votes, measures and points.
    Show(show::Show),
}

impl Pov {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::Rounds { lineage, limit } => rounds(global, lineage.as_deref(), *limit).await,
            What::Show(show) => show.run(global).await,
        }
    }
}

async fn rounds(global: &Global, lineage: Option<&str>, limit: u32) -> Result<ExitCode, Failure> {
    let installation = Installation::look(global, "tale pov rounds").await?;
    let rounds = list_rounds(&mut *installation.connection().await?, lineage, limit).await;
    installation.close().await?;
    output::write(global.output, &rounds?, |rounds| {
        let mut table = output::table(&[
            "training",
            "round",
            "accepted",
            "rejected",
            "deferred",
            "loss fell by",
            "decided",
        ]);
        for round in rounds {
            table.add_row([
                round.lineage.clone(),
                round.round.to_string(),
                round.accepted.to_string(),
                round.rejected.to_string(),
                round.deferred.to_string(),
                round.loss_drop.map(nats).unwrap_or_default(),
                round.recorded_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            ]);
        }
        table
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Points as the fall of the held-out loss that they are.
fn nats(points: i64) -> String {
    format!("{:.4} nats", points as f64 / POINTS_PER_NAT as f64)
}
