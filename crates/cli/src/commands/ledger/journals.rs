use tale_ledger::{Journal, JournalId, Side, journal, list_journals};

use super::Units;
use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Lists the links of the chain.
pub async fn list(global: &Global) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale ledger journals").await?;
    let found = list_journals(&mut *installation.connection().await?).await;
    installation.close().await?;
    output::write(global.output, &found?, |journals| {
        let headings = ["journal", "event", "key", "epoch", "entries", "posted", "chain", "description"];
        let mut table = output::table(&headings);
        for journal in journals {
            table.add_row([
                journal.id.to_string(),
                journal.event.to_string(),
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

/// Shows one journal with its entries.
pub async fn show(global: &Global, id: JournalId) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale ledger journal").await?;
    let mut connection = installation.connection().await?;
    let found = journal(&mut connection, id).await;
    let units = Units::load(&mut connection).await;
    drop(connection);
    installation.close().await?;
    let Some(journal) = found? else {
        return Err(
            Failure::new(format!("there is no journal {id}")).help("`tale ledger journals` lists them")
        );
    };
    if global.output == output::Format::Json {
        return output::json(&journal);
    }
    print(&journal, &units?)
}

fn print(journal: &Journal, units: &Units) -> Result<(), Failure> {
    let summary = &journal.summary;
    output::line(&format!("{} {} ({}): {}", summary.event, summary.id, summary.key, summary.description))?;
    output::line(&format!("content {}\nchain   {}", summary.content_digest, summary.chain_digest))?;
    if journal.entries.is_empty() {
        return Ok(());
    }
    let mut table = output::table(&["account", "debit", "credit"]);
    for entry in &journal.entries {
        let amount = units.write(entry.amount, entry.account.asset());
        let (debit, credit) = match entry.side {
            Side::Debit => (amount, String::new()),
            Side::Credit => (String::new(), amount),
        };
        table.add_row([entry.account.to_string(), debit, credit]);
    }
    output::line(&table.to_string())
}
