//! The demo's `report.html`: one file, no scripts, nothing fetched, readable in a browser, on a phone and on paper.
//!
//! [`render`] is pure: the same report gives the same bytes, and every text in it is escaped.

mod chart;
mod figures;
mod graph;
mod headline;
mod layering;
mod markup;
mod matrix;
mod page;
mod rewards;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub use figures::decimal_amount;
pub use page::render;

/// Everything that the page says.
#[derive(Debug, Clone)]
pub struct DemoReport {
    /// The seed of every random draw.
    pub seed: u64,
    /// `with PoV`, `without PoV`, `honest participants only` or `honest participants only, without PoV`.
    pub variant: String,
    /// The command line that makes this report again.
    pub command: String,
    /// How long the whole demo took.
    pub seconds: f64,
    /// What was learned from.
    pub dataset: DatasetLine,
    /// The rounds, in order.
    pub rounds: Vec<RoundLine>,
    /// Who could take part.
    pub participants: Vec<ParticipantLine>,
    /// What each owner earned.
    pub rewards: Vec<RewardLine>,
    /// How the epoch was closed.
    pub settlement: SettlementLine,
    /// The runs to draw.
    pub graphs: Vec<RunGraph>,
}

/// The data set.
#[derive(Debug, Clone)]
pub struct DatasetLine {
    /// Its name.
    pub name: String,
    /// Images, over all splits.
    pub rows: u64,
    /// Height × width × channels, as text.
    pub shape: String,
    /// How many classes there are to tell apart.
    pub classes: u32,
}

/// One round.
#[derive(Debug, Clone)]
pub struct RoundLine {
    /// Its number, from 1.
    pub round: u32,
    /// How many sent an update.
    pub participants: u32,
    /// The names of those whose update went into the model.
    pub accepted: Vec<String>,
    /// The names of the others, each with the reason.
    pub rejected: Vec<(String, String)>,
    /// Mean loss of the new model on the held-out rows, in nats.
    pub heldout_loss: f64,
    /// The fraction of the held-out rows that the new model gets right.
    pub heldout_accuracy: f64,
    /// The fraction of the test rows that the new model gets right.
    pub test_accuracy: f64,
}

/// One participant.
#[derive(Debug, Clone)]
pub struct ParticipantLine {
    /// Its name.
    pub name: String,
    /// `honest`, or what it does instead: `poisons`, `free-rides`.
    pub role: String,
    /// Images of its own.
    pub rows: u64,
}

/// What one owner earned with all its generators.
#[derive(Debug, Clone)]
pub struct RewardLine {
    /// The generators that earned it.
    pub names: Vec<String>,
    /// The address that it is owed to.
    pub owner: String,
    /// Contribution points, in nano-nats of held-out loss.
    pub points: i64,
    /// The amount, in base units, decimal.
    pub amount: String,
}

/// The settlement of the epoch. Amounts are in base units, decimal.
#[derive(Debug, Clone)]
pub struct SettlementLine {
    /// The UTC day.
    pub epoch: String,
    /// What there was to divide.
    pub pool: String,
    /// What was paid.
    pub paid: String,
    /// What stays for a later epoch.
    pub carried: String,
    /// Accounts in the tree.
    pub accounts: u64,
    /// The Merkle root, if anybody was ever paid.
    pub root: Option<String>,
    /// Whether settling the same day again changed anything; it must not.
    pub rerun_changed: bool,
    /// The asset's name.
    pub asset: String,
    /// How many decimals a whole unit of the asset has.
    pub decimals: u8,
}

/// One run, as a graph of steps.
#[derive(Debug, Clone)]
pub struct RunGraph {
    /// The pipeline's name, or what else to call the run.
    pub title: String,
    /// Its steps.
    pub steps: Vec<StepNode>,
}

/// One step of a run.
#[derive(Debug, Clone)]
pub struct StepNode {
    /// Its name.
    pub name: String,
    /// The task kind that it uses.
    pub kind: String,
    /// Its state, in the queue's words: `succeeded`, `skipped`, `failed` …
    pub state: String,
    /// How many tasks it has.
    pub tasks: u64,
    /// From its start to its end, once it has ended.
    pub seconds: Option<f64>,
    /// The places, in the graph's list of steps, of those that need this one.
    pub dependents: Vec<usize>,
}
