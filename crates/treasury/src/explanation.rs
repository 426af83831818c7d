//! Where every unit of a reward came from.

use std::collections::BTreeMap;

use ruint::aliases::U256;
use serde::Serialize;
use sqlx::PgConnection;
use tale_ledger::{AccountKey, JournalId};
use tale_primitives::{Address, Amount, GeneratorId, UtcDay};
use uuid::Uuid;

use crate::{
    Class, ClassPool, Contribution, Epoch, EpochState, MerkleHash, OpenReceivable, Repayment, Ruleset,
    SealedInputs, Share, TreasuryError, claims_tree, compute,
    epoch::{corrupt, find_epoch},
    inputs::points_as_text,
    posting::Accounts,
    stored::load_inputs,
};

/// Where an account's reward of one epoch came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The day.
    pub epoch: UtcDay,
    /// How far it has come.
    pub state: EpochState,
    /// The version of its ruleset.
    pub ruleset: u32,
    /// The account.
    pub account: Address,
    /// What it earned, by class; only those that the ruleset pays.
    pub classes: Vec<ClassExplanation>,
    /// The sum over the classes, in base units.
    pub gross: Amount,
    /// What it owed when the day was sealed, oldest first.
    pub receivables: Vec<OpenReceivable>,
    /// What of the sum repaid that.
    pub repayments: Vec<Repayment>,
    /// What it received.
    pub net: Amount,
    /// Where the ledger has it; nothing before it is posted, and where nothing was received.
    pub journal: Option<JournalLine>,
    /// What it may claim after this day; nothing before it is published, and where nothing was ever received.
    pub claim: Option<ExplainedClaim>,
}

/// What an account earned in one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassExplanation {
    /// The class.
    pub class: Class,
    /// Its pool, cap and weights.
    #[serde(flatten)]
    pub pool: ClassPool,
    /// The account's points and what they brought.
    #[serde(flatten)]
    pub share: Share,
    /// How its points became that.
    pub quota: Quota,
    /// The sealed lines behind the points.
    pub lines: Vec<ExplainedLine>,
}

/// How a share was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Quota {
    /// Its points are not above zero.
    NoWeight,
    /// Its quota was above the cap, which it received.
    Capped,
    /// `pool_left · weight div weight_left`, and one unit more where its remainder is among the largest.
    Divided {
        /// What is left of the pool when the capped have their caps.
        pool_left: Amount,
        /// The sum of the others' weights.
        weight_left: Amount,
        /// The quota, rounded down.
        base: Amount,
        /// `pool_left · weight mod weight_left`.
        remainder: Amount,
        /// Whether the remainder brought a unit.
        odd_unit: bool,
    },
}

/// One sealed line and the batches that it adds up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedLine {
    /// The generator.
    pub generator: GeneratorId,
    /// When the points were earned; an earlier day than the epoch where they came late.
    pub origin: UtcDay,
    /// The line's points.
    #[serde(with = "points_as_text")]
    pub points: i64,
    /// The recorded batches behind them.
    pub sources: Vec<ExplainedSource>,
}

/// The part of a recorded batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedSource {
    /// The batch: a round of a training, for example.
    pub source: String,
    /// Its points for the generator.
    #[serde(with = "points_as_text")]
    pub points: i64,
}

/// The credit of an account in the epoch's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalLine {
    /// The journal.
    pub journal_id: JournalId,
    /// The account that is credited.
    pub account: AccountKey,
    /// How much, in base units.
    pub amount: Amount,
}

/// A leaf of the epoch's tree with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedClaim {
    /// The root.
    pub root: MerkleHash,
    /// The token in the leaf.
    pub token: Address,
    /// Everything received up to this day, in base units.
    pub cumulative: Amount,
    /// The hashes from the leaf to the root.
    pub proof: Vec<MerkleHash>,
}

/// Explains an account's part of a sealed epoch: it is computed again from the sealed inputs.
pub async fn explain_reward(
    conn: &mut PgConnection,
    day: UtcDay,
    account: Address,
) -> Result<Explanation, TreasuryError> {
    let epoch = find_epoch(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    let inputs = load_inputs(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?;
    let ruleset = Ruleset::load(epoch.ruleset)?;
    let result = compute(&inputs, &ruleset)?;
    let reward = result.rewards.iter().find(|reward| reward.owner == account);
    let mut sources = sources_of(conn, day, &inputs, account).await?;
    let mut classes = Vec::new();
    for (class, pool) in result.classes.iter().filter(|(class, _)| ruleset.classes[*class].share_ppm > 0) {
        let share = reward.map(|reward| reward.shares[class]).unwrap_or_default();
        let of_class = |one: &&Contribution| one.owner == account && one.class == class;
        let lines = inputs.contributions().iter().filter(of_class).map(|one| ExplainedLine {
            generator: one.generator,
            origin: one.origin,
            points: one.points,
            sources: sources.remove(&(class, one.generator, one.origin)).unwrap_or_default(),
        });
        let lines = lines.collect();
        let quota = quota(&result, class, pool, share)?;
        classes.push(ClassExplanation { class, pool: *pool, share, quota, lines });
    }
    let net = reward.map(|reward| reward.net).unwrap_or_default();
    let owned = |owner: Address| owner == account;
    Ok(Explanation {
        epoch: day,
        state: epoch.state,
        ruleset: epoch.ruleset,
        account,
        classes,
        gross: reward.map(|reward| reward.gross).unwrap_or_default(),
        receivables: inputs.receivables().iter().filter(|one| owned(one.owner)).cloned().collect(),
        repayments: result.repayments.iter().filter(|one| owned(one.owner)).cloned().collect(),
        net,
        journal: match epoch.journal_id.filter(|_| !net.is_zero()) {
            Some(journal_id) => {
                let account = Accounts::of(&result.asset)?.holder(account);
                Some(JournalLine { journal_id, account, amount: net })
            }
            None => None,
        },
        claim: claim(conn, &epoch, account).await?,
    })
}

/// How a share was found, from the weights of everyone.
fn quota(
    result: &crate::EpochResult,
    class: Class,
    pool: &ClassPool,
    share: Share,
) -> Result<Quota, TreasuryError> {
    let weight_of = |points: i64| u64::try_from(points).unwrap_or(0);
    let weight = weight_of(share.points);
    if weight == 0 {
        return Ok(Quota::NoWeight);
    }
    let mut weights: Vec<u64> =
        result.rewards.iter().map(|reward| weight_of(reward.shares[class].points)).collect();
    weights.sort_unstable_by(|one, other| other.cmp(one));
    let (capped, others) = weights.split_at((pool.capped as usize).min(weights.len()));
    // The heaviest reach the cap, and owners of equal weight reach it together.
    if capped.last().is_some_and(|lightest| weight >= *lightest) {
        return Ok(Quota::Capped);
    }
    let weight_left: u128 = others.iter().map(|weight| u128::from(*weight)).sum();
    let left = pool.cap.checked_mul(pool.capped).and_then(|capped| pool.pool.checked_sub(capped));
    let left = left.ok_or_else(|| corrupt("epoch_class", result.epoch))?;
    let product = left.to_u256().checked_mul(U256::from(weight));
    let product = product.ok_or(tale_primitives::AllocationOverflow { pool: pool.pool })?;
    let (base, remainder) = product.div_rem(U256::from(weight_left));
    Ok(Quota::Divided {
        pool_left: left,
        weight_left: Amount::from(weight_left),
        base: Amount::from_u256(base),
        remainder: Amount::from_u256(remainder),
        odd_unit: share.amount.to_u256() > base,
    })
}

type Sources = BTreeMap<(Class, GeneratorId, UtcDay), Vec<ExplainedSource>>;

/// The recorded batches behind each sealed line of an account.
async fn sources_of(
    conn: &mut PgConnection,
    day: UtcDay,
    inputs: &SealedInputs,
    account: Address,
) -> Result<Sources, TreasuryError> {
    let generators: Vec<Uuid> = inputs
        .contributions()
        .iter()
        .filter(|one| one.owner == account)
        .map(|one| one.generator.raw())
        .collect();
    let rows = sqlx::query_file!("../../sql/treasury/list_sources_of_lines.sql", day.date(), &generators)
        .fetch_all(conn)
        .await?;
    let mut sources = Sources::new();
    for row in rows {
        let class = Class::parse(&row.class).ok_or_else(|| corrupt("contribution_batch", &row.source))?;
        // Ruleset 1 did not keep the day from which points come.
        let origin = if inputs.ruleset() == 1 { day } else { UtcDay::from_date(row.origin_day) };
        let line = (class, GeneratorId::from_raw(row.generator_id), origin);
        sources.entry(line).or_default().push(ExplainedSource { source: row.source, points: row.points });
    }
    Ok(sources)
}

async fn claim(
    conn: &mut PgConnection,
    epoch: &Epoch,
    account: Address,
) -> Result<Option<ExplainedClaim>, TreasuryError> {
    if epoch.root.is_none() {
        return Ok(None);
    }
    let tree = claims_tree(conn, epoch.day).await?;
    let Some(place) = tree.leaves().iter().position(|leaf| leaf.account == account) else { return Ok(None) };
    let leaf = tree.leaves()[place];
    let proof = tree.proof(place).unwrap_or_default();
    Ok(Some(ExplainedClaim { root: tree.root(), token: leaf.token, cumulative: leaf.cumulative, proof }))
}
