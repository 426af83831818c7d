//! `tale vesting schedule`: the table, computed for a first day.

use clap::Args;
use comfy_table::Table;
use serde::Serialize;
use tale_primitives::{Amount, Name, UtcDay};
use tale_treasury::{MonthlyParts, Release, TreasuryError, VestingPool, VestingRules, token_start};

use super::not_started;
use crate::{
    amounts::Tokens,
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    output,
};

/// Lists the releases of the vesting table, or what is released by a day.
///
/// With --start it needs no installation.
#[derive(Debug, Args)]
pub struct Schedule {
    /// Only this pool, such as investor.
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// The first day, YYYY-MM-DD; the one that is set unless given.
    #[arg(long, value_name = "DAY")]
    start: Option<UtcDay>,
    /// What each pool has released by this day, in place of the releases.
    #[arg(long, value_name = "DAY")]
    at: Option<UtcDay>,
    /// Comma-separated values with a header, amounts in base units.
    #[arg(long)]
    csv: bool,
}

/// What one pool has released by a day.
#[derive(Serialize)]
struct Reached {
    pool: Name,
    day: UtcDay,
    allocation: Amount,
    released: Amount,
    left: Amount,
    next_day: Option<UtcDay>,
    next_amount: Option<Amount>,
    monthly_parts: MonthlyParts,
}

impl Schedule {
    /// Computes and prints.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let rules = VestingRules::load(VestingRules::CURRENT_VERSION)?;
        let pools: Vec<&VestingPool> = match &self.pool {
            None => rules.pools.iter().collect(),
            Some(name) => vec![rules.pool(name).map_err(|error| name_pools(&rules, &error))?],
        };
        let start = match self.start {
            Some(start) => start,
            None => set_start(global).await?,
        };
        let mut schedules = Vec::with_capacity(pools.len());
        for pool in pools {
            schedules.push((pool, rules.schedule(pool, start)?));
        }
        let tokens = Tokens::current()?;
        match self.at {
            Some(day) => {
                let reached: Vec<Reached> =
                    schedules.iter().map(|(pool, releases)| reached(&rules, pool, releases, day)).collect();
                self.print(global, &reached, |reached| reached_table(reached, &tokens))
            }
            None => {
                let releases: Vec<Release> =
                    schedules.into_iter().flat_map(|(_, releases)| releases).collect();
                self.print(global, &releases, |releases| release_table(releases, &tokens))
            }
        }
    }

    fn print<T: Row>(
        &self,
        global: &Global,
        rows: &Vec<T>,
        table: impl FnOnce(&Vec<T>) -> Table,
    ) -> Result<(), Failure> {
        if !self.csv {
            return output::write(global.output, rows, table);
        }
        let mut writer = csv::Writer::from_writer(vec![]);
        let written = writer
            .write_record(T::HEADER)
            .and_then(|()| rows.iter().try_for_each(|row| writer.write_record(row.fields())));
        written.map_err(|error| Failure::of(&error))?;
        let bytes = writer.into_inner().map_err(|error| Failure::of(&error))?;
        output::line(String::from_utf8_lossy(&bytes).trim_end())
    }
}

/// A row of comma-separated values.
trait Row: Serialize {
    const HEADER: &'static [&'static str];

    fn fields(&self) -> Vec<String>;
}

impl Row for Release {
    const HEADER: &'static [&'static str] = &["pool", "number", "day", "amount", "cumulative"];

    fn fields(&self) -> Vec<String> {
        let Self { pool, part } = self;
        let (number, day) = (part.number.to_string(), part.day.to_string());
        vec![pool.to_string(), number, day, part.amount.to_string(), part.cumulative.to_string()]
    }
}

impl Row for Reached {
    const HEADER: &'static [&'static str] =
        &["pool", "day", "allocation", "released", "left", "next_day", "next_amount"];

    fn fields(&self) -> Vec<String> {
        let known = |value: Option<String>| value.unwrap_or_default();
        vec![
            self.pool.to_string(),
            self.day.to_string(),
            self.allocation.to_string(),
            self.released.to_string(),
            self.left.to_string(),
            known(self.next_day.map(|day| day.to_string())),
            known(self.next_amount.map(|amount| amount.to_string())),
        ]
    }
}

fn reached(rules: &VestingRules, pool: &VestingPool, releases: &[Release], day: UtcDay) -> Reached {
    let (due, later) = releases.split_at(releases.partition_point(|release| release.part.day <= day));
    let allocation = rules.terms(pool).allocation;
    let released = due.last().map_or(Amount::ZERO, |release| release.part.cumulative);
    Reached {
        pool: pool.name.clone(),
        day,
        allocation,
        released,
        left: allocation.checked_sub(released).unwrap_or_default(),
        next_day: later.first().map(|release| release.part.day),
        next_amount: later.first().map(|release| release.part.amount),
        monthly_parts: pool.monthly_parts,
    }
}

fn release_table(releases: &[Release], tokens: &Tokens) -> Table {
    let mut table = output::table(&["pool", "release", "day", "TALE", "released by then"]);
    for Release { pool, part } in releases {
        table.add_row([
            pool.to_string(),
            part.number.to_string(),
            part.day.to_string(),
            tokens.write(part.amount),
            tokens.write(part.cumulative),
        ]);
    }
    table
}

fn reached_table(reached: &[Reached], tokens: &Tokens) -> Table {
    let mut table = output::table(&["pool", "allocation", "released", "left", "next on", "next", "by"]);
    for pool in reached {
        table.add_row([
            pool.pool.to_string(),
            tokens.write(pool.allocation),
            tokens.write(pool.released),
            tokens.write(pool.left),
            pool.next_day.map(|day| day.to_string()).unwrap_or_default(),
            tokens.write_known(pool.next_amount),
            released_by(pool.monthly_parts).to_owned(),
        ]);
    }
    table
}

/// Who releases the monthly parts, in a word.
pub(super) fn released_by(parts: MonthlyParts) -> &'static str {
    match parts {
        MonthlyParts::PostedByVesting => "vesting",
        MonthlyParts::EmittedBySettlement => "settlement, daily",
    }
}

async fn set_start(global: &Global) -> Result<UtcDay, Failure> {
    let installation = Installation::look(global, "tale vesting schedule").await?;
    let start = token_start(&mut *installation.connection().await?).await;
    installation.close().await?;
    start?.ok_or_else(not_started)
}

fn name_pools(rules: &VestingRules, error: &TreasuryError) -> Failure {
    let names: Vec<&str> = rules.pools.iter().map(|pool| pool.name.as_str()).collect();
    Failure::of(error).code(UNUSABLE).help(format!("the table has {}", names.join(", ")))
}
