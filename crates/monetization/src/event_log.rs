//! Revenue event logs: Parquet files, one row for each event.

use std::{collections::BTreeMap, fmt, ops::ControlFlow, path::Path};

use ruint::aliases::U256;
use tale_ledger::Asset;
use tale_primitives::Amount;
use tale_storage::{
    CellProblem, ColumnContent, Record, RecordColumn, RecordFile, StorageError, read_records,
};

use crate::{DividendRules, IncomeKind, RevenueEvent, WorkId};

/// The columns of an event log; others are not read.
pub const REVENUE_COLUMNS: &[RecordColumn] = &[
    RecordColumn { name: "event_id", content: ColumnContent::Text },
    RecordColumn { name: "occurred_at", content: ColumnContent::Instant },
    RecordColumn { name: "kind", content: ColumnContent::Text },
    RecordColumn { name: "work", content: ColumnContent::Text },
    RecordColumn { name: "amount", content: ColumnContent::Digits },
    RecordColumn { name: "asset", content: ColumnContent::Text },
    RecordColumn { name: "payer", content: ColumnContent::Text },
];

/// The most events that one log, and one epoch, may have: they are sorted in memory.
pub const EVENTS_MAX: usize = 2_000_000;

/// The most characters in an event's id and in the name of a payer.
const TEXT_LENGTH_MAX: usize = 200;

/// The largest amount of one event, so that sums and products stay within 256 bits.
const GROSS_MAX: u128 = u128::MAX;

/// Problems of a log that are kept; the others are counted.
const PROBLEMS_KEPT: usize = 20;

/// Where something is wrong in a log. Rows count from 0, as pandas and pyarrow count them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProblem {
    /// The file.
    pub file: String,
    /// The row.
    pub row: u64,
    /// The column.
    pub column: &'static str,
    /// What is wrong.
    pub problem: EventProblem,
}

impl fmt::Display for LogProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, row {}, column {}: {}", self.file, self.row, self.column, self.problem)
    }
}

/// What is wrong with a cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventProblem {
    /// It cannot be read.
    #[error(transparent)]
    Cell(#[from] CellProblem),
    /// A text that is empty, too long or not plain.
    #[error("{0:?} has not 1 to {TEXT_LENGTH_MAX} characters, none of them a control character")]
    Text(String),
    /// Not a kind of income.
    #[error(
        "{0:?} is not a kind of revenue: expected publishing, launchpad, trading, placement_ads, \
         generation_credits or licence_sales"
    )]
    Kind(String),
    /// Not the id of a work.
    #[error("{0:?} is not the id of a work: expected 1 to 100 letters, digits, '.', '_', ':' and '-'")]
    Work(String),
    /// Not an amount.
    #[error("{0:?} is not an amount: expected decimal digits, in base units, above 0 and below 2^128")]
    Amount(String),
    /// An asset that the rules do not allow.
    #[error("{found:?} is not an asset of revenue: expected {}", list(expected))]
    Asset {
        /// What was found.
        found: String,
        /// What the rules allow.
        expected: Vec<Asset>,
    },
    /// The id of another event.
    #[error("event {id:?} stands in row {first_row} with other content")]
    Repeated {
        /// The id.
        id: String,
        /// Where it stands first.
        first_row: u64,
    },
}

fn list(assets: &[Asset]) -> String {
    assets.iter().map(Asset::as_str).collect::<Vec<_>>().join(" or ")
}

/// What a log holds.
#[derive(Debug)]
pub struct EventLog {
    /// Its digest, its size and how many rows it has.
    pub file: RecordFile,
    /// Its events by id, each with the row in which it stands first.
    pub events: BTreeMap<String, (RevenueEvent, u64)>,
    /// Rows that repeat an event of the same file.
    pub repeated: u64,
    /// The first things that are wrong with it.
    pub problems: Vec<LogProblem>,
    /// How many rows have something wrong.
    pub problem_count: u64,
    /// Whether there were more events than [`EVENTS_MAX`], so that reading broke off.
    pub is_cut: bool,
}

/// Reads the log at `path`, which messages call `name`: streamed, and only [`REVENUE_COLUMNS`].
///
/// A row that is wrong is a problem and no error, so that a check finds all of them.
pub async fn read_event_log(
    path: &Path,
    name: &str,
    rules: &DividendRules,
) -> Result<EventLog, StorageError> {
    let reading = Reading {
        name: name.to_owned(),
        rules: rules.clone(),
        events: BTreeMap::new(),
        repeated: 0,
        problems: Vec::new(),
        problem_count: 0,
        is_cut: false,
    };
    let (read, file) = read_records(path, REVENUE_COLUMNS, reading, Reading::take).await?;
    let Reading { events, repeated, problems, problem_count, is_cut, .. } = read;
    Ok(EventLog { file, events, repeated, problems, problem_count, is_cut })
}

/// A log while it is read.
struct Reading {
    name: String,
    rules: DividendRules,
    events: BTreeMap<String, (RevenueEvent, u64)>,
    repeated: u64,
    problems: Vec<LogProblem>,
    problem_count: u64,
    is_cut: bool,
}

impl Reading {
    fn take(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        if self.events.len() >= EVENTS_MAX {
            self.is_cut = true;
            return ControlFlow::Break(());
        }
        match event_of(record, &self.rules).and_then(|event| self.add(event, record.row)) {
            Ok(()) => {}
            Err((column, problem)) => {
                self.problem_count += 1;
                if self.problems.len() < PROBLEMS_KEPT {
                    let (file, column) = (self.name.clone(), REVENUE_COLUMNS[column].name);
                    self.problems.push(LogProblem { file, row: record.row, column, problem });
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn add(&mut self, event: RevenueEvent, row: u64) -> Result<(), (usize, EventProblem)> {
        match self.events.get(&event.id) {
            None => {
                self.events.insert(event.id.clone(), (event, row));
                Ok(())
            }
            Some((first, _)) if *first == event => {
                self.repeated += 1;
                Ok(())
            }
            Some((_, first_row)) => Err((0, EventProblem::Repeated { id: event.id, first_row: *first_row })),
        }
    }
}

/// The event in a row, or the number of the first column that is wrong.
fn event_of(record: &Record<'_>, rules: &DividendRules) -> Result<RevenueEvent, (usize, EventProblem)> {
    let cell = |column| record.text(column).map_err(|problem| (column, problem.into()));
    let cut = |text: &str| text.chars().take(100).collect::<String>();
    let plain = |column| {
        let text = cell(column)?;
        let is_plain = !text.chars().any(char::is_control);
        if (1..=TEXT_LENGTH_MAX).contains(&text.chars().count()) && is_plain {
            Ok(text.to_owned())
        } else {
            Err((column, EventProblem::Text(cut(text))))
        }
    };
    let kind = |column| {
        let text = cell(column)?;
        let known = text.parse::<IncomeKind>().ok().filter(|kind| rules.network_share(*kind).is_some());
        known.ok_or_else(|| (column, EventProblem::Kind(cut(text))))
    };
    let work = |column| {
        let text = cell(column)?;
        text.parse::<WorkId>().map_err(|_| (column, EventProblem::Work(cut(text))))
    };
    let gross = |column| {
        let text = record.digits(column).map_err(|problem| (column, problem.into()))?;
        let amount = text.parse::<Amount>().ok();
        let allowed = amount.filter(|amount| !amount.is_zero() && amount.to_u256() <= U256::from(GROSS_MAX));
        allowed.ok_or_else(|| (column, EventProblem::Amount(cut(&text))))
    };
    let asset = |column| {
        let text = cell(column)?;
        let known = text.parse::<Asset>().ok().filter(|asset| rules.assets().contains(asset));
        let expected = || rules.assets().to_vec();
        known.ok_or_else(|| (column, EventProblem::Asset { found: cut(text), expected: expected() }))
    };
    Ok(RevenueEvent {
        id: plain(0)?,
        occurred_at: record.instant(1).map_err(|problem| (1, problem.into()))?,
        kind: kind(2)?,
        work: work(3)?,
        gross: gross(4)?,
        asset: asset(5)?,
        payer: plain(6)?,
    })
}
