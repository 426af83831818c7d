//! An epoch, derived again from what is stored.

use serde::Serialize;
use sqlx::PgConnection;
use tale_ledger::{Entry, journal};
use tale_primitives::{Digest, UtcDay};

use crate::{
    ClaimsTree, Epoch, EpochResult, EpochState, Manifest, Ruleset, TreasuryError,
    check::compute_in_sql,
    claims::list_cumulative,
    compute,
    epoch::find_epoch,
    load_manifest,
    posting::Accounts,
    stored::{load_inputs, load_unchecked_result},
};

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "lowercase")]
pub enum Outcome {
    /// What is stored is what was derived.
    Agrees(String),
    /// It is not: where.
    Differs(String),
    /// The epoch is not as far, or its ruleset has no such thing.
    Absent(String),
}

/// One check of an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was held against what it follows from.
    pub what: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// An epoch's checks, in the order in which each follows from those before it; the first that differs is the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The day.
    pub epoch: UtcDay,
    /// How far it has come.
    pub state: EpochState,
    /// The checks.
    pub checks: Vec<Check>,
}

impl Verification {
    /// The first discrepancy, if there is one.
    pub fn discrepancy(&self) -> Option<&Check> {
        self.checks.iter().find(|check| matches!(check.outcome, Outcome::Differs(_)))
    }
}

/// Derives an epoch again: ruleset and recorded contributions → sealed inputs → result, twice → journal → root →
/// manifest. It stops at the first discrepancy, which names the row, the owner or the account that is wrong.
pub async fn verify_epoch(conn: &mut PgConnection, day: UtcDay) -> Result<Verification, TreasuryError> {
    let epoch = find_epoch(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    let mut verification = Verification { epoch: day, state: epoch.state, checks: Vec::new() };
    for what in CHECKS {
        let outcome = match check(conn, &epoch, what).await {
            Ok(outcome) => outcome,
            Err(error @ TreasuryError::Database(_)) => return Err(error),
            Err(error) => Outcome::Differs(error.to_string()),
        };
        let stop = matches!(outcome, Outcome::Differs(_));
        verification.checks.push(Check { what, outcome });
        if stop {
            break;
        }
    }
    Ok(verification)
}

const CHECKS: [&str; 9] = [
    "ruleset",
    "contributions",
    "inputs",
    "result",
    "second computation",
    "journal",
    "ledger chain",
    "root",
    "manifest",
];

async fn check(conn: &mut PgConnection, epoch: &Epoch, what: &str) -> Result<Outcome, TreasuryError> {
    let needed = match what {
        "ruleset" | "contributions" | "inputs" => EpochState::Sealed,
        "result" | "second computation" => EpochState::Computed,
        "journal" | "ledger chain" => EpochState::Posted,
        _ => EpochState::Published,
    };
    if epoch.state < needed {
        return Ok(Outcome::Absent(format!("the epoch is {}", epoch.state)));
    }
    match what {
        "ruleset" => {
            Ok(digests("the ruleset's file", Some(epoch.ruleset_digest), Ruleset::digest(epoch.ruleset)?))
        }
        "contributions" => contributions(conn, epoch).await,
        "inputs" => {
            let inputs = load_inputs(conn, epoch.day).await?.ok_or(TreasuryError::NotSealed(epoch.day))?;
            Ok(digests("the sealed lines", Some(epoch.inputs_digest), inputs.digest()?))
        }
        "result" => result(conn, epoch).await,
        "second computation" if epoch.ruleset == 1 => Ok(Outcome::Absent("ruleset 1 has one".to_owned())),
        "second computation" => {
            let second = compute_in_sql(conn, epoch.day).await?;
            Ok(digests("the result in SQL", epoch.result_digest, second.digest))
        }
        "journal" => posted(conn, epoch).await,
        "ledger chain" => chain(conn, epoch).await,
        "root" => root(conn, epoch).await,
        _ => manifest(conn, epoch).await,
    }
}

fn digests(of: &str, recorded: Option<Digest>, derived: Digest) -> Outcome {
    match recorded {
        Some(recorded) if recorded == derived => Outcome::Agrees(derived.to_string()),
        Some(recorded) => Outcome::Differs(format!("{of} has {derived}, recorded is {recorded}")),
        None => Outcome::Differs(format!("{of} has {derived}, and none is recorded")),
    }
}

async fn contributions(conn: &mut PgConnection, epoch: &Epoch) -> Result<Outcome, TreasuryError> {
    let keeps_origins = epoch.ruleset > 1;
    let differing = sqlx::query_file!(
        "../../sql/treasury/find_unsealed_contribution.sql",
        epoch.day.date(),
        keeps_origins
    )
    .fetch_optional(conn)
    .await?;
    Ok(match differing {
        None => Outcome::Agrees("the settled batches add up to the sealed lines".to_owned()),
        Some(row) => Outcome::Differs(format!(
            "generator {} has {} points of {} in the sealed line of {}, and the settled batches {}",
            row.generator_id.map(|id| id.to_string()).unwrap_or_default(),
            row.sealed.as_deref().unwrap_or("no"),
            row.class.unwrap_or_default(),
            row.origin_day.map(|day| day.to_string()).unwrap_or_default(),
            row.recorded.as_deref().unwrap_or("none"),
        )),
    })
}

async fn result(conn: &mut PgConnection, epoch: &Epoch) -> Result<Outcome, TreasuryError> {
    let day = epoch.day;
    let inputs = load_inputs(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    let derived = compute(&inputs, &Ruleset::load(epoch.ruleset)?)?;
    let stored = load_unchecked_result(conn, epoch.clone()).await?.ok_or(TreasuryError::NotSealed(day))?;
    if let Some(difference) = first_difference(&stored, &derived) {
        return Ok(Outcome::Differs(difference));
    }
    // The rewards agree: what is left are the classes, the repayments and the sums.
    match digests("the stored result", epoch.result_digest, stored.digest()?) {
        Outcome::Agrees(_) => Ok(digests("the result", epoch.result_digest, derived.digest()?)),
        differs => Ok(differs),
    }
}

/// The first owner, by address, whose stored reward is not what was derived.
fn first_difference(stored: &EpochResult, derived: &EpochResult) -> Option<String> {
    let mut stored = stored.rewards.iter().peekable();
    let mut derived = derived.rewards.iter().peekable();
    loop {
        let (one, other) = (stored.peek(), derived.peek());
        match (one, other) {
            (None, None) => return None,
            (Some(one), Some(other)) if one == other => {
                stored.next();
                derived.next();
            }
            (Some(one), Some(other)) if one.owner == other.owner => {
                return Some(format!("{}: stored is {one}, derived {other}", one.owner));
            }
            (Some(one), Some(other)) if one.owner < other.owner => {
                return Some(format!("{}: stored is {one}, derived nothing", one.owner));
            }
            (Some(one), None) => return Some(format!("{}: stored is {one}, derived nothing", one.owner)),
            (_, Some(other)) => return Some(format!("{}: stored is nothing, derived {other}", other.owner)),
        }
    }
}

async fn posted(conn: &mut PgConnection, epoch: &Epoch) -> Result<Outcome, TreasuryError> {
    let (day, id) = (epoch.day, epoch.journal_id);
    let result = load_unchecked_result(conn, epoch.clone()).await?.ok_or(TreasuryError::NotSealed(day))?;
    let expected = Accounts::of(&result.asset)?.payout(&result)?;
    let Some(id) = id else { return Ok(Outcome::Differs("no journal is recorded".to_owned())) };
    let Some(found) = journal(conn, id).await? else {
        return Ok(Outcome::Differs(format!("the ledger has no journal {id}")));
    };
    if found.summary.key != expected.key {
        let key = found.summary.key;
        return Ok(Outcome::Differs(format!("journal {id} has the key {key}, not {}", expected.key)));
    }
    let ordered = |mut entries: Vec<Entry>| {
        entries.sort_by(|one, other| (&one.account, one.side).cmp(&(&other.account, other.side)));
        entries
    };
    let (found, expected) = (ordered(found.entries), ordered(expected.entries));
    let lines = found.len();
    let written = |entry: Option<&Entry>| match entry {
        Some(entry) => format!("{} {} {}", entry.side.as_str(), entry.account, entry.amount),
        None => "nothing".to_owned(),
    };
    let place = (0..lines.max(expected.len())).find(|place| found.get(*place) != expected.get(*place));
    Ok(match place {
        None => Outcome::Agrees(format!("journal {id}, {lines} entries")),
        Some(place) => Outcome::Differs(format!(
            "journal {id} has {}, derived is {}",
            written(found.get(place)),
            written(expected.get(place))
        )),
    })
}

async fn chain(conn: &mut PgConnection, epoch: &Epoch) -> Result<Outcome, TreasuryError> {
    let Some(id) = epoch.journal_id else {
        return Ok(Outcome::Differs("no journal is recorded".to_owned()));
    };
    Ok(match journal(conn, id).await? {
        Some(found) => digests("the ledger's chain at it", epoch.chain_head, found.summary.chain_digest),
        None => Outcome::Differs(format!("the ledger has no journal {id}")),
    })
}

async fn root(conn: &mut PgConnection, epoch: &Epoch) -> Result<Outcome, TreasuryError> {
    let leaves = list_cumulative(conn, epoch.day).await?;
    let count = leaves.len() as u64;
    let root = if leaves.is_empty() { None } else { Some(ClaimsTree::build(leaves)?.root()) };
    if (root, Some(count)) == (epoch.root, epoch.leaf_count) {
        return Ok(Outcome::Agrees(match root {
            Some(root) => format!("{root}, {count} leaves"),
            None => "none: nobody was ever paid".to_owned(),
        }));
    }
    let written =
        |root: Option<crate::MerkleHash>| root.map_or("no root".to_owned(), |root| root.to_string());
    Ok(Outcome::Differs(format!(
        "{count} leaves give {}, recorded is {} of {}",
        written(root),
        written(epoch.root),
        epoch.leaf_count.unwrap_or_default()
    )))
}

async fn manifest(conn: &mut PgConnection, epoch: &Epoch) -> Result<Outcome, TreasuryError> {
    let day = epoch.day;
    let Some(text) = load_manifest(conn, day).await? else {
        return Ok(Outcome::Absent("an older program published it".to_owned()));
    };
    let stored: Manifest = serde_json::from_str(&text).map_err(TreasuryError::Canonical)?;
    let result = load_unchecked_result(conn, epoch.clone()).await?.ok_or(TreasuryError::NotSealed(day))?;
    let tree = (epoch.leaf_count.unwrap_or_default(), epoch.root);
    let derived = Manifest::of(conn, epoch, &result, tree, stored.distributor).await?;
    // Who settled may be an older program than the one that checks.
    let derived = Manifest { program: stored.program.clone(), ..derived };
    if derived != stored {
        return Ok(Outcome::Differs("it does not say what is stored beside it".to_owned()));
    }
    Ok(digests("the manifest", epoch.manifest_digest, Digest::of(&text)))
}
