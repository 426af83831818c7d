//! `tale dividends show`: one divided day.

use serde::Serialize;
use tale_monetization::{
    DividendEpoch, DividendJournal, DividendResult, RevenueFile, find_dividend_epoch, list_dividend_journals,
    list_revenue_files, load_dividends,
};
use tale_primitives::UtcDay;

use crate::{arguments::Global, failure::Failure, installation::Installation, money::Money, output};

#[derive(Serialize)]
struct Shown {
    epoch: DividendEpoch,
    files: Vec<RevenueFile>,
    journals: Vec<DividendJournal>,
    result: Option<DividendResult>,
}

pub async fn run(global: &Global, installation: &Installation, day: UtcDay) -> Result<(), Failure> {
    let mut connection = installation.connection().await?;
    let Some(epoch) = find_dividend_epoch(&mut connection, day).await? else {
        return Err(Failure::new(format!("the revenue of {day} is not divided")).help(format!(
            "`tale run nightly-dividends -p epoch={day}` divides it; `tale dividends list` lists the others"
        )));
    };
    let shown = Shown {
        epoch,
        files: list_revenue_files(&mut connection, day).await?,
        journals: list_dividend_journals(&mut connection, day).await?,
        result: load_dividends(&mut connection, day).await?,
    };
    match global.output {
        output::Format::Json => output::json(&shown),
        output::Format::Table => print(&shown, &Money::registered(&mut connection).await?),
    }
}

fn print(shown: &Shown, money: &Money) -> Result<(), Failure> {
    let epoch = &shown.epoch;
    let journals = shown.journals.iter().map(|journal| format!("{} ({})", journal.journal_id, journal.asset));
    let mut table = output::table(&["", ""]);
    for (name, value) in [
        ("day", epoch.day.to_string()),
        ("ruleset", epoch.ruleset.to_string()),
        ("events", epoch.events.to_string()),
        ("journals", journals.collect::<Vec<_>>().join(", ")),
        ("inputs", epoch.inputs_digest.to_string()),
        ("result", epoch.result_digest.to_string()),
        ("posted", epoch.posted_at.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    output::line(&table.to_string())?;

    let mut table = output::table(&["file", "rows", "SHA-256"]);
    for file in &shown.files {
        table.add_row([file.path.clone(), file.rows.to_string(), file.object.digest.to_string()]);
    }
    output::line(&table.to_string())?;

    let Some(result) = &shown.result else { return Ok(()) };
    let headings = [
        "earned on",
        "work",
        "kind",
        "events",
        "gross",
        "fee",
        "network",
        "holders",
        "carried over",
        "asset",
    ];
    let mut table = output::table(&headings);
    for line in &result.lines {
        let amount = |amount| money.write(amount, &line.asset);
        table.add_row([
            line.origin.to_string(),
            line.work.to_string(),
            line.kind.to_string(),
            line.events.to_string(),
            amount(line.gross),
            amount(line.fee),
            amount(line.network),
            amount(line.distributed),
            amount(line.carried),
            line.asset.to_string(),
        ]);
    }
    output::line(&table.to_string())
}
