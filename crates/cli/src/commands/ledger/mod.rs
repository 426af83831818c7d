//! `tale ledger`: balances, journals and holds, and whether they still agree.

mod balance;
mod balances;
mod export;
mod holds;
mod journals;
mod limits;
mod units;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tale_ledger::{AccountKey, AccountKind, Asset, BalanceFilter, JournalId};

use self::units::Units;
use crate::{arguments::Global, failure::Failure};

/// Reads and audits the double-entry ledger.
#[derive(Debug, Args)]
pub struct Ledger {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Derives every balance and the whole hash chain again from the entries; ends with code 1 where something differs.
    Verify(verify::Verify),
    /// Shows what an account holds, now or as of a journal, an epoch or a time.
    Balance(balance::Balance),
    /// Lists the balances of accounts.
    Balances {
        /// Only accounts in this asset, such as xTALE.
        #[arg(long)]
        asset: Option<Asset>,
        /// Only accounts of this kind: holder, issuance, pool, receivable or treasury.
        #[arg(long, value_parser = account_kind)]
        kind: Option<AccountKind>,
    },
    /// Lists the journals and other events in the order of the chain.
    Journals,
    /// Shows one journal with its entries.
    Journal {
        /// Its number.
        id: JournalId,
    },
    /// Lists the holds that are open: what is reserved and waits to be posted or voided.
    Holds(holds::Holds),
    /// Frees what overdue holds reserve; running it again changes nothing.
    Expire,
    /// Lists the limits of accounts.
    Limits,
    /// Gives an account a floor, a ceiling or neither, in place of the limits that it has.
    Limit(limits::Limit),
    /// Lists what accounts may count, with its decimals.
    Assets,
    /// Writes the entries to a CSV or Parquet file, in the order of the chain.
    Export(export::Export),
}

fn account_kind(text: &str) -> Result<AccountKind, &'static str> {
    use AccountKind::{Holder, Issuance, Pool, Receivable, Treasury};
    [Holder, Issuance, Pool, Receivable, Treasury]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or("expected holder, issuance, pool, receivable or treasury")
}

fn account_key(text: &str) -> Result<AccountKey, String> {
    text.parse().map_err(|error: tale_ledger::LedgerError| error.to_string())
}

impl Ledger {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::Verify(verify) => return verify.run(global).await,
            What::Balance(balance) => balance.run(global).await?,
            What::Balances { asset, kind } => {
                balances::list(global, &BalanceFilter { kind: *kind, asset: asset.clone() }).await?;
            }
            What::Journals => journals::list(global).await?,
            What::Journal { id } => journals::show(global, *id).await?,
            What::Holds(holds) => holds.run(global).await?,
            What::Expire => holds::expire(global).await?,
            What::Limits => limits::list(global).await?,
            What::Limit(limit) => limit.run(global).await?,
            What::Assets => units::list(global).await?,
            What::Export(export) => export.run(global).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
