//! `tale ledger`: balances and journals, and whether they still agree.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use tale_ledger::{
    AccountKey, AccountKind, Asset, Balance, BalanceFilter, JournalId, Side, VerifyReport, balances, journal,
    list_journals, verify,
};
use tale_primitives::Amount;

use crate::{
    amounts::Tokens,
    arguments::Global,
    failure::{FAILED, Failure},
    installation::Installation,
    output,
};

/// Reads and audits the double-entry ledger.
#[derive(Debug, Args)]
pub struct Ledger {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Derives every balance and the whole hash chain again from the entries; ends with code 1 where something differs.
    Verify,
    /// Lists the balances of accounts.
    Balances {
        /// Only accounts in this asset, such as xTALE.
        #[arg(long)]
        asset: Option<Asset>,
        /// Only accounts of this kind: holder, issuance, pool or treasury.
        #[arg(long, value_parser = account_kind)]
        kind: Option<AccountKind>,
    },
    /// Lists the journals in the order of the chain.
    Journals,
    /// Shows one journal with its entries.
    Journal {
        /// Its number.
        id: JournalId,
    },
}

fn account_kind(text: &str) -> Result<AccountKind, &'static str> {
    [AccountKind::Holder, AccountKind::Issuance, AccountKind::Pool, AccountKind::Treasury]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or("expected holder, issuance, pool or treasury")
}

impl Ledger {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::Verify => return audit(global).await,
            What::Balances { asset, kind } => {
                list_balances(global, &BalanceFilter { kind: *kind, asset: asset.clone() }).await?;
            }
            What::Journals => journals(global).await?,
            What::Journal { id } => show_journal(global, *id).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn audit(global: &Global) -> Result<ExitCode, Failure> {
    let installation = Installation::look(global, "tale ledger verify").await?;
    let report = verify(&mut *installation.connection().await?).await;
    installation.close().await?;
    let report: VerifyReport = report?;
    if global.output == output::Format::Json {
        output::json(&report)?;
    } else {
        for discrepancy in &report.discrepancies {
            output::line(&discrepancy.to_string())?;
        }
        let VerifyReport { journals, entries, accounts, head, discrepancies, .. } = &report;
        let verdict = match discrepancies.len() {
            0 => "everything agrees".to_owned(),
            1 => "1 discrepancy".to_owned(),
            count => format!("{count} discrepancies"),
        };
        output::line(&format!(
            "{journals} journals, {entries} entries and {accounts} accounts: {verdict}; the chain ends at {}",
            head.short()
        ))?;
    }
    Ok(if report.is_consistent() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

#[derive(Serialize)]
struct Account {
    account: AccountKey,
    asset: Asset,
    balance: Amount,
    debits: Amount,
    credits: Amount,
}

impl From<Balance> for Account {
    fn from(balance: Balance) -> Self {
        Self {
            asset: balance.account.asset().clone(),
            balance: balance.amount(),
            debits: balance.debits,
            credits: balance.credits,
            account: balance.account,
        }
    }
}

async fn list_balances(global: &Global, filter: &BalanceFilter) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale ledger balances").await?;
    let found = balances(&mut *installation.connection().await?, filter).await;
    installation.close().await?;
    let accounts: Vec<Account> = found?.into_iter().map(Account::from).collect();
    let tokens = Tokens::current()?;
    output::write(global.output, &accounts, |accounts| {
        let mut table = output::table(&["account", "balance", "asset", "debits", "credits"]);
        for account in accounts {
            table.add_row([
                account.account.to_string(),
                tokens.write(account.balance),
                account.asset.to_string(),
                tokens.write(account.debits),
                tokens.write(account.credits),
            ]);
        }
        table
    })
}

async fn journals(global: &Global) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale ledger journals").await?;
    let found = list_journals(&mut *installation.connection().await?).await;
    installation.close().await?;
    output::write(global.output, &found?, |journals| {
        let mut table =
            output::table(&["journal", "key", "epoch", "entries", "posted", "chain", "description"]);
        for journal in journals {
            table.add_row([
                journal.id.to_string(),
                journal.key.clone(),
                journal.epoch.map(|day| day.to_string()).unwrap_or_default(),
                journal.entry_count.to_string(),
                journal.posted_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                journal.chain_digest.short(),
                journal.description.clone(),
            ]);
        }
        table
    })
}

async fn show_journal(global: &Global, id: JournalId) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale ledger journal").await?;
    let found = journal(&mut *installation.connection().await?, id).await;
    installation.close().await?;
    let Some(journal) = found? else {
        return Err(
            Failure::new(format!("there is no journal {id}")).help("`tale ledger journals` lists them")
        );
    };
    if global.output == output::Format::Json {
        return output::json(&journal);
    }
    let summary = &journal.summary;
    output::line(&format!("journal {} ({}): {}", summary.id, summary.key, summary.description))?;
    output::line(&format!("content {}\nchain   {}", summary.content_digest, summary.chain_digest))?;
    let tokens = Tokens::current()?;
    let mut table = output::table(&["account", "debit", "credit"]);
    for entry in &journal.entries {
        let amount = tokens.write(entry.amount);
        let (debit, credit) = match entry.side {
            Side::Debit => (amount, String::new()),
            Side::Credit => (String::new(), amount),
        };
        table.add_row([entry.account.to_string(), debit, credit]);
    }
    output::line(&table.to_string())
}
