//! Revenue becomes dividends: a pure function.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tale_ledger::Asset;
use tale_primitives::{Address, Amount, Digest, UtcDay, allocate};

use crate::{
    DividendRules, IncomeKind, MonetizationError, RevenueEvent, SealedRevenue, WorkId,
    revenue::{digest_of_json, units_as_text},
};

/// What one holder has of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dividend {
    /// The holder.
    pub holder: Address,
    /// How many units of the work the holder had on the record date.
    #[serde(with = "units_as_text")]
    pub units: u128,
    /// The holder's share, in base units; it may be nothing.
    pub amount: Amount,
}

/// What a work earned by one kind of income on one day, and who has it:
/// `gross = fee + network + distributed + carried`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DividendLine {
    /// The day on which it was earned: before the epoch where the events came late, which makes this a correction.
    pub origin: UtcDay,
    /// By what.
    pub kind: IncomeKind,
    /// With which work.
    pub work: WorkId,
    /// In what.
    pub asset: Asset,
    /// How many events it sums up.
    pub events: u64,
    /// What was paid.
    pub gross: Amount,
    /// The treasury's fee.
    pub fee: Amount,
    /// The network's share of what is left.
    pub network: Amount,
    /// What the holders have of the rest: all of it, where there are any.
    pub distributed: Amount,
    /// The rest of a work that nobody held: kept in the carry-over account.
    pub carried: Amount,
    /// One for each holder, by address.
    pub dividends: Vec<Dividend>,
}

/// The sums over the lines of one asset, and with that its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetTotal {
    /// The asset.
    pub asset: Asset,
    /// What was paid: the sum of the four below.
    pub gross: Amount,
    /// What the treasury took as fees.
    pub fees: Amount,
    /// What the network has.
    pub network: Amount,
    /// What holders have.
    pub distributed: Amount,
    /// What was carried over.
    pub carried: Amount,
}

/// The dividends of an epoch, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DividendResult {
    /// The day.
    pub epoch: UtcDay,
    /// The version of the rules that divided it.
    pub ruleset: u32,
    /// The digest of the inputs that it follows from.
    pub inputs_digest: Digest,
    /// One for each asset, by name.
    pub totals: Vec<AssetTotal>,
    /// By origin, kind, work and asset.
    pub lines: Vec<DividendLine>,
}

impl DividendResult {
    /// The SHA-256 of the result as canonical JSON: fields in the order above, no white space, amounts and units as
    /// decimal text.
    pub fn digest(&self) -> Result<Digest, MonetizationError> {
        digest_of_json(self)
    }
}

type LineKey = (UtcDay, IncomeKind, WorkId, Asset);

/// Divides the revenue of an epoch: a pure function of its sealed inputs and the rules.
///
/// Events are added up by day, kind, work and asset. Of each sum the treasury takes its fee and the network its
/// share, both rounded down; the rest is divided among those who held the work on the record date, by the largest
/// remainder. What nobody held is carried over.
pub fn divide(revenue: &SealedRevenue, rules: &DividendRules) -> Result<DividendResult, MonetizationError> {
    if revenue.ruleset() != rules.version() {
        return Err(MonetizationError::RulesetDiffers {
            epoch: revenue.epoch(),
            sealed: revenue.ruleset(),
            given: rules.version(),
        });
    }
    let mut holders: BTreeMap<(UtcDay, &WorkId), Vec<(Address, u128)>> = BTreeMap::new();
    for holding in revenue.holdings() {
        let of_work = holders.entry((holding.record_day, &holding.work)).or_default();
        of_work.push((holding.holder, holding.units));
    }
    let mut lines = Vec::new();
    for ((origin, kind, work, asset), sum) in sums(revenue.events())? {
        let record = (rules.record_day(origin), &work);
        let of_work = holders.get(&record).cloned().unwrap_or_default();
        lines.push(line((origin, kind, work, asset), sum, &of_work, rules)?);
    }
    Ok(DividendResult {
        epoch: revenue.epoch(),
        ruleset: rules.version(),
        inputs_digest: revenue.digest()?,
        totals: totals(&lines)?,
        lines,
    })
}

/// How many events there are of each line, and what they add up to.
fn sums(events: &[RevenueEvent]) -> Result<BTreeMap<LineKey, (u64, Amount)>, MonetizationError> {
    let mut sums: BTreeMap<LineKey, (u64, Amount)> = BTreeMap::new();
    for event in events {
        let key = (event.origin(), event.kind, event.work.clone(), event.asset.clone());
        let (count, gross) = sums.entry(key).or_default();
        *count += 1;
        *gross = add(*gross, event.gross, &event.asset)?;
    }
    Ok(sums)
}

fn line(
    (origin, kind, work, asset): LineKey,
    (events, gross): (u64, Amount),
    holders: &[(Address, u128)],
    rules: &DividendRules,
) -> Result<DividendLine, MonetizationError> {
    if !rules.assets().contains(&asset) {
        return Err(MonetizationError::AssetNotAllowed { asset, work });
    }
    let share =
        rules.network_share(kind).ok_or_else(|| MonetizationError::NoRevenue { kind, work: work.clone() })?;
    let fee = rules.fees().fee_of(kind, gross);
    let network = share.of(fee.net);
    // A share of an amount is at most the amount.
    let rest = fee.net.checked_sub(network).unwrap_or_default();
    let allocation = allocate(rest, holders)?;
    let units: BTreeMap<Address, u128> = holders.iter().copied().collect();
    let dividends = allocation
        .shares
        .into_iter()
        .map(|(holder, amount)| Dividend { holder, units: units[&holder], amount })
        .collect();
    Ok(DividendLine {
        distributed: rest.checked_sub(allocation.carried).unwrap_or_default(),
        carried: allocation.carried,
        fee: fee.fee,
        origin,
        kind,
        work,
        asset,
        events,
        gross,
        network,
        dividends,
    })
}

pub(crate) fn totals(lines: &[DividendLine]) -> Result<Vec<AssetTotal>, MonetizationError> {
    let mut totals: BTreeMap<&Asset, AssetTotal> = BTreeMap::new();
    for line in lines {
        let asset = &line.asset;
        let total = totals.entry(asset).or_insert_with(|| AssetTotal {
            asset: asset.clone(),
            gross: Amount::ZERO,
            fees: Amount::ZERO,
            network: Amount::ZERO,
            distributed: Amount::ZERO,
            carried: Amount::ZERO,
        });
        total.gross = add(total.gross, line.gross, asset)?;
        total.fees = add(total.fees, line.fee, asset)?;
        total.network = add(total.network, line.network, asset)?;
        total.distributed = add(total.distributed, line.distributed, asset)?;
        total.carried = add(total.carried, line.carried, asset)?;
    }
    for total in totals.values() {
        let parts = [total.fees, total.network, total.distributed, total.carried];
        // By construction; a release build checks it too, before anything is posted.
        assert_eq!(
            Amount::checked_sum(parts),
            Some(total.gross),
            "dividends in {} do not add up",
            total.asset
        );
    }
    Ok(totals.into_values().collect())
}

fn add(sum: Amount, amount: Amount, asset: &Asset) -> Result<Amount, MonetizationError> {
    sum.checked_add(amount).ok_or_else(|| MonetizationError::Overflow { asset: asset.clone() })
}
