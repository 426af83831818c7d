//! `tale pov show`: one round.

use std::{collections::BTreeMap, process::ExitCode, str::FromStr};

use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::Table;
use serde::Serialize;
use sqlx::PgConnection;
use tale_network::find_generator;
use tale_primitives::{Digest, GeneratorId, UtcDay};
use tale_validation::{
    LossChange, RoundEvidence, RoundPoints, ValidationError, Verdict, Vote, find_outcome, list_rounds,
    show_round,
};

use super::nats;
use crate::{
    arguments::Global,
    failure::{FAILED, Failure, UNUSABLE},
    installation::Installation,
    output,
};

/// Shows one round: verdicts, votes, measures and points.
#[derive(Debug, Args)]
pub struct Show {
    /// A round of the latest training, such as 3, or of another: LINEAGE/3.
    round: RoundReference,
    /// Decides again from the recorded inputs, and ends with code 1 where the answer is another.
    #[arg(long)]
    replay: bool,
}

/// A round, of the latest training unless it names one.
#[derive(Debug, Clone)]
struct RoundReference {
    lineage: Option<String>,
    round: u32,
}

impl FromStr for RoundReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // a lineage may hold slashes, a number cannot
        let (lineage, number) = match text.rsplit_once('/') {
            Some((lineage, number)) => (Some(lineage.to_owned()), number),
            None => (None, text),
        };
        match number.parse() {
            Ok(round) if round > 0 && lineage.as_deref() != Some("") => Ok(Self { lineage, round }),
            _ => Err("expected a round's number, such as 3, or LINEAGE/3".to_owned()),
        }
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    evidence: RoundEvidence,
    recorded_at: DateTime<Utc>,
    /// The names of the generators that the evidence mentions.
    names: BTreeMap<GeneratorId, String>,
    /// Nothing until the round is published.
    outcome: Option<ShownOutcome>,
    /// Whether the recorded inputs give the recorded decision; nothing unless it was tried.
    replays: Option<bool>,
}

#[derive(Serialize)]
struct ShownOutcome {
    epoch: UtcDay,
    result: Digest,
    change: LossChange,
    points: RoundPoints,
}

impl Show {
    /// Reads, perhaps replays, and prints.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale pov show").await?;
        let shown = self.read(&mut *installation.connection().await?).await;
        installation.close().await?;
        let shown = shown?;
        match global.output {
            output::Format::Json => output::json(&shown)?,
            output::Format::Table => print(&shown)?,
        }
        Ok(if shown.replays == Some(false) { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    }

    async fn read(&self, connection: &mut PgConnection) -> Result<Shown, Failure> {
        let lineage = match &self.round.lineage {
            Some(lineage) => lineage.clone(),
            None => latest(connection).await?,
        };
        let recorded =
            show_round(connection, &lineage, self.round.round).await.map_err(|error| match error {
                ValidationError::NoSuchRound { .. } => {
                    Failure::of(&error).code(UNUSABLE).help("`tale pov rounds` lists the decided rounds")
                }
                error => error.into(),
            })?;
        let evidence = recorded.evidence;
        let outcome = find_outcome(connection, &lineage, self.round.round).await?;
        Ok(Shown {
            names: names(connection, &evidence).await?,
            replays: if self.replay { Some(evidence.replays()?) } else { None },
            recorded_at: recorded.recorded_at,
            outcome: outcome.map(|outcome| ShownOutcome {
                epoch: outcome.epoch,
                result: outcome.result,
                change: outcome.change,
                points: outcome.points,
            }),
            evidence,
        })
    }
}

async fn latest(connection: &mut PgConnection) -> Result<String, Failure> {
    match list_rounds(connection, None, 1).await?.pop() {
        Some(round) => Ok(round.lineage),
        None => Err(Failure::new("no round has been decided yet")
            .code(UNUSABLE)
            .help("`tale run federated-training -p dataset=NAME` trains; so does `tale demo`")),
    }
}

/// The names of everybody in the evidence; an id stands for whoever is not registered.
async fn names(
    connection: &mut PgConnection,
    evidence: &RoundEvidence,
) -> Result<BTreeMap<GeneratorId, String>, Failure> {
    let participants = evidence.decision.verdicts.iter().map(|verdict| verdict.generator);
    let validators = evidence.inputs.panel.iter().map(|panelist| panelist.validator);
    let mut names = BTreeMap::new();
    for id in participants.chain(validators) {
        let name = find_generator(connection, id).await?.map(|generator| generator.name.to_string());
        names.insert(id, name.unwrap_or_else(|| id.to_string()));
    }
    Ok(names)
}

fn print(shown: &Shown) -> Result<(), Failure> {
    let evidence = &shown.evidence;
    output::line(&format!(
        "round {} of {}, decided {} on model {}",
        evidence.round,
        evidence.lineage,
        shown.recorded_at.format("%Y-%m-%d %H:%M:%S UTC"),
        evidence.base.short()
    ))?;
    match &shown.outcome {
        Some(outcome) => output::line(&format!(
            "model {} followed; the held-out loss fell by {}, of which {} are owed to nobody (error of the quadrature)",
            outcome.result.short(),
            nats(outcome.points.loss_drop),
            nats(outcome.points.residual)
        ))?,
        None => output::line("not published yet")?,
    }
    output::line(&verdicts(shown).to_string())?;
    output::line("a validator's cell: + for or - against, then z / relative / memory")?;
    match shown.replays {
        Some(true) => output::line("replayed: the recorded inputs give the same decision"),
        Some(false) => output::line("replayed: the recorded inputs give ANOTHER decision"),
        None => Ok(()),
    }
}

fn verdicts(shown: &Shown) -> Table {
    let panel = &shown.evidence.inputs.panel;
    let mut headings = vec!["participant", "outcome", "why", "for", "against", "points"];
    headings.extend(panel.iter().map(|panelist| shown.name(panelist.validator)));
    let mut rows: Vec<&Verdict> = shown.evidence.decision.verdicts.iter().collect();
    rows.sort_by_key(|verdict| shown.name(verdict.generator));
    let mut table = output::table(&headings);
    for verdict in rows {
        let mut row = vec![
            shown.name(verdict.generator).to_owned(),
            verdict.outcome.name().to_owned(),
            shown.with_names(verdict.outcome.reason().unwrap_or_default()),
            tally(verdict, |vote| vote.objection.is_none()),
            tally(verdict, |vote| vote.objection.is_some()),
            shown.points(verdict.generator),
        ];
        row.extend(panel.iter().map(|panelist| {
            let vote = verdict.votes.iter().find(|vote| vote.validator == panelist.validator);
            vote.map_or_else(|| "no vote".to_owned(), cell)
        }));
        table.add_row(row);
    }
    table
}

/// How many votes, and what they weigh: `3 (2.85)`.
fn tally(verdict: &Verdict, counts: impl Fn(&Vote) -> bool) -> String {
    let votes: Vec<&Vote> = verdict.votes.iter().filter(|vote| counts(vote)).collect();
    let weight: u64 = votes.iter().map(|vote| u64::from(vote.credibility_ppm)).sum();
    format!("{} ({:.2})", votes.len(), weight as f64 / 1e6)
}

fn cell(vote: &Vote) -> String {
    let sign = if vote.objection.is_none() { '+' } else { '-' };
    match vote.measure {
        Some(measure) => {
            format!("{sign} {:.1} / {:.1} / {:.1}", measure.z, measure.relative, measure.memory)
        }
        None => format!("{sign} gate"),
    }
}

impl Shown {
    fn name(&self, id: GeneratorId) -> &str {
        self.names.get(&id).map_or("", String::as_str)
    }

    /// The text with names where it has ids.
    fn with_names(&self, text: String) -> String {
        self.names.iter().fold(text, |text, (id, name)| text.replace(&id.to_string(), name))
    }

    fn points(&self, id: GeneratorId) -> String {
        let contributions = self.outcome.iter().flat_map(|outcome| &outcome.points.contributions);
        let mut own = contributions.filter(|contribution| contribution.generator == id);
        own.next().map(|contribution| contribution.points.to_string()).unwrap_or_default()
    }
}
