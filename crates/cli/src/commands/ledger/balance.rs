use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use tale_ledger::{AccountKey, At, JournalId, balance_at, chain_head};
use tale_primitives::{Amount, UtcDay};

use super::{Units, account_key};
use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Shows what an account holds, now or as of a journal, an epoch or a time.
#[derive(Debug, Args)]
pub struct Balance {
    /// The account: holder:0x…:xTALE, pool:generator:xTALE.
    #[arg(value_parser = account_key)]
    account: AccountKey,
    /// Right after this journal.
    #[arg(long, value_name = "JOURNAL", conflicts_with_all = ["epoch", "at"])]
    at_journal: Option<JournalId>,
    /// Right after the last journal that settles this day.
    #[arg(long, value_name = "DAY", conflicts_with = "at")]
    epoch: Option<UtcDay>,
    /// At this time, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct Shown {
    account: AccountKey,
    /// The last journal that counts.
    journal: JournalId,
    balance: Amount,
    available: Amount,
    debits: Amount,
    credits: Amount,
    pending_debits: Amount,
    pending_credits: Amount,
}

impl Balance {
    /// Prints the balance.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let installation = Installation::look(global, "tale ledger balance").await?;
        let found = self.find(&installation).await;
        installation.close().await?;
        let (shown, units) = found?;
        output::write(global.output, &shown, |shown| {
            let asset = self.account.asset();
            let mut table = output::table(&["what", asset.as_str()]);
            for (what, amount) in [
                ("balance", shown.balance),
                ("available", shown.available),
                ("debits", shown.debits),
                ("credits", shown.credits),
                ("pending debits", shown.pending_debits),
                ("pending credits", shown.pending_credits),
            ] {
                table.add_row([what.to_owned(), units.write(amount, asset)]);
            }
            table.add_row(["as of journal".to_owned(), shown.journal.to_string()]);
            table
        })
    }

    async fn find(&self, installation: &Installation) -> Result<(Shown, Units), Failure> {
        let mut connection = installation.connection().await?;
        let at = match (self.at_journal, self.epoch, self.at) {
            (Some(journal), ..) => At::Journal(journal),
            (_, Some(epoch), _) => At::Epoch(epoch),
            (.., Some(time)) => At::Time(time),
            (None, None, None) => At::Journal(chain_head(&mut connection).await?.journal_id),
        };
        let past = balance_at(&mut connection, &self.account, at).await?;
        let balance = past.balance;
        let shown = Shown {
            journal: past.journal_id,
            balance: balance.amount(),
            available: balance.available(),
            debits: balance.debits,
            credits: balance.credits,
            pending_debits: balance.pending_debits,
            pending_credits: balance.pending_credits,
            account: balance.account,
        };
        Ok((shown, Units::load(&mut connection).await?))
    }
}
