//! What a demo came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::PgConnection;
use tale_network::{list_participants, list_validators};
use tale_primitives::{Address, Amount, RunId, UtcDay};
use tale_queue::{RunReport, child_runs, run_report, run_state};
use tale_storage::{DatasetManifest, Store, find_dataset};
use tale_tasks::{Behaviour, Participant, RoundAccuracy};
use tale_treasury::{Reward, Ruleset, load_result};

use super::{DATASET, Demo};
use crate::{
    failure::Failure,
    report::{
        DatasetLine, DemoReport, ParticipantLine, RewardLine, RoundLine, RunGraph, SettlementLine, StepNode,
    },
};

/// What the training run returned.
#[derive(Debug, Deserialize)]
struct Training {
    participants: Vec<Participant>,
    rounds: Vec<Round>,
    accuracy: Vec<RoundAccuracy>,
}

/// A round as the demo's tables need it.
#[derive(Debug, Deserialize)]
pub struct Round {
    pub round: u32,
    pub participants: u32,
    pub accepted: Vec<String>,
    pub rejected: Vec<tale_tasks::RejectedUpdate>,
    pub heldout_loss: f64,
    pub heldout_accuracy: f64,
}

/// What a settlement run returned.
#[derive(Debug, Deserialize)]
pub struct Settlement {
    pub epoch: UtcDay,
    pub pool: Amount,
    pub paid: Amount,
    pub carried: Amount,
    pub accounts: u64,
    pub root: Option<String>,
    pub changed: bool,
}

/// Everything that the demo shows.
pub struct Results {
    pub rounds: Vec<(Round, f64)>,
    pub participants: Vec<Participant>,
    pub rewards: Vec<(Vec<String>, Reward)>,
    pub settlement: Settlement,
    pub rerun_changed: bool,
    pub asset: String,
    pub decimals: u8,
    manifest: DatasetManifest,
    graphs: Vec<RunReport>,
}

/// The demo as one JSON document.
#[derive(Debug, Serialize)]
pub struct Document {
    rounds: Vec<DocumentRound>,
    settlement: DocumentSettlement,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct DocumentRound {
    round: u32,
    accepted: usize,
    rejected: usize,
    heldout_loss: f64,
    test_accuracy: f64,
}

#[derive(Debug, Serialize)]
struct DocumentSettlement {
    epoch: UtcDay,
    pool: Amount,
    paid: Amount,
    accounts: u64,
    root: Option<String>,
    rerun_changed: bool,
}

impl Results {
    /// Collects the outputs of the demo's runs.
    pub async fn gather(
        connection: &mut PgConnection,
        store: &Store,
        training: RunId,
        day: UtcDay,
        settlements: &[Value],
    ) -> Result<Self, Failure> {
        let (_, outputs) = run_state(connection, training).await?;
        let outputs: Training = read("the training run", outputs.unwrap_or_default())?;
        let accuracy: BTreeMap<u32, f64> =
            outputs.accuracy.iter().map(|round| (round.round, round.test_accuracy)).collect();
        let rounds = outputs
            .rounds
            .into_iter()
            .map(|round| {
                let accuracy = accuracy.get(&round.round).copied().unwrap_or(f64::NAN);
                (round, accuracy)
            })
            .collect();
        let [first, again] = settlements else {
            return Err(Failure::new("the day was not settled twice"));
        };
        let settlement: Settlement = read("the settlement run", first.clone())?;
        let again: Settlement = read("the second settlement run", again.clone())?;
        let ruleset = Ruleset::load(Ruleset::CURRENT_VERSION)?;
        let manifest =
            find_dataset(store, connection, &DATASET.parse().map_err(|error| Failure::of(&error))?).await?;
        let mut graphs = vec![run_report(connection, training).await?];
        if let Some(round) = child_runs(connection, training, "rounds").await?.first() {
            graphs.push(run_report(connection, round.id).await?);
        }
        Ok(Self {
            rewards: rewards(connection, day).await?,
            participants: outputs.participants,
            rounds,
            settlement,
            rerun_changed: again.changed,
            asset: ruleset.asset.to_string(),
            decimals: ruleset.decimals,
            manifest,
            graphs,
        })
    }

    /// The demo as one JSON document.
    pub fn document(&self, seconds: f64) -> Document {
        Document {
            rounds: self
                .rounds
                .iter()
                .map(|(round, test_accuracy)| DocumentRound {
                    round: round.round,
                    accepted: round.accepted.len(),
                    rejected: round.rejected.len(),
                    heldout_loss: round.heldout_loss,
                    test_accuracy: *test_accuracy,
                })
                .collect(),
            settlement: DocumentSettlement {
                epoch: self.settlement.epoch,
                pool: self.settlement.pool,
                paid: self.settlement.paid,
                accounts: self.settlement.accounts,
                root: self.settlement.root.clone(),
                rerun_changed: self.rerun_changed,
            },
            seconds: (seconds * 1000.0).round() / 1000.0,
        }
    }

    /// The demo as a page.
    pub fn report(&self, demo: &Demo, seconds: f64) -> DemoReport {
        DemoReport {
            seed: demo.seed,
            variant: demo.variant().to_owned(),
            command: demo.command(),
            seconds,
            dataset: DatasetLine {
                name: self.manifest.name.to_string(),
                rows: self.manifest.rows,
                shape: self.manifest.shape.to_string(),
                classes: self.manifest.classes,
            },
            rounds: self.rounds.iter().map(round_line).collect(),
            participants: self
                .participants
                .iter()
                .map(|participant| ParticipantLine {
                    name: participant.name.clone(),
                    role: role(&participant.behaviour).to_owned(),
                    rows: participant.shard.rows,
                })
                .collect(),
            rewards: self
                .rewards
                .iter()
                .map(|(names, reward)| RewardLine {
                    names: names.clone(),
                    owner: reward.owner.to_string(),
                    points: reward.shares.training.points,
                    amount: reward.net.to_string(),
                })
                .collect(),
            settlement: SettlementLine {
                epoch: self.settlement.epoch.to_string(),
                pool: self.settlement.pool.to_string(),
                paid: self.settlement.paid.to_string(),
                carried: self.settlement.carried.to_string(),
                accounts: self.settlement.accounts,
                root: self.settlement.root.clone(),
                rerun_changed: self.rerun_changed,
                asset: self.asset.clone(),
                decimals: self.decimals,
            },
            graphs: self.graphs.iter().map(graph).collect(),
        }
    }
}

/// How a participant behaves, in a word.
pub fn role(behaviour: &Behaviour) -> &'static str {
    match behaviour {
        Behaviour::Honest => "honest",
        Behaviour::Poison => "poisons",
        Behaviour::FreeRide { .. } => "free-rides",
    }
}

fn read<T: DeserializeOwned>(what: &str, outputs: Value) -> Result<T, Failure> {
    serde_json::from_value(outputs).map_err(|error| {
        Failure::new(format!("the outputs of {what} are not those of this version: {error}"))
    })
}

/// The rewards of the day with the names of the generators behind them: participants and validators.
async fn rewards(connection: &mut PgConnection, day: UtcDay) -> Result<Vec<(Vec<String>, Reward)>, Failure> {
    let Some(result) = load_result(connection, day).await? else { return Ok(vec![]) };
    let mut generators = list_participants(connection).await?;
    generators.extend(list_validators(connection).await?);
    let mut names: BTreeMap<Address, Vec<String>> = BTreeMap::new();
    for generator in generators {
        names.entry(generator.owner).or_default().push(generator.name.to_string());
    }
    let mut rewards: Vec<(Vec<String>, Reward)> = result
        .rewards
        .into_iter()
        .map(|reward| (names.get(&reward.owner).cloned().unwrap_or_default(), reward))
        .collect();
    rewards.sort_by(|one, other| other.1.net.cmp(&one.1.net).then(one.0.cmp(&other.0)));
    Ok(rewards)
}

fn round_line((round, test_accuracy): &(Round, f64)) -> RoundLine {
    RoundLine {
        round: round.round,
        participants: round.participants,
        accepted: round.accepted.clone(),
        rejected: round.rejected.iter().map(|update| (update.name.clone(), update.reason.clone())).collect(),
        heldout_loss: round.heldout_loss,
        heldout_accuracy: round.heldout_accuracy,
        test_accuracy: *test_accuracy,
    }
}

fn graph(report: &RunReport) -> RunGraph {
    RunGraph {
        title: report.pipeline.clone(),
        steps: report
            .steps
            .iter()
            .filter(|step| !step.name.starts_with('@'))
            .map(|step| StepNode {
                name: step.name.clone(),
                kind: step.kind.clone(),
                state: step.state.clone(),
                tasks: u64::try_from(step.tasks_total).unwrap_or(0),
                seconds: step
                    .started_at
                    .zip(step.finished_at)
                    .map(|(start, end)| (end - start).num_milliseconds().max(0) as f64 / 1000.0),
                dependents: step
                    .dependents
                    .iter()
                    .filter_map(|index| usize::try_from(*index).ok())
                    .filter(|index| {
                        report.steps.get(*index).is_some_and(|other| !other.name.starts_with('@'))
                    })
                    .collect(),
            })
            .collect(),
    }
}
