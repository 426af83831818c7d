use std::process::ExitCode;

use clap::Args;
use tale_ledger::{ChainHead, VerifyProgress, VerifyReport, verify_against};

use crate::{
    arguments::Global,
    failure::{FAILED, Failure},
    installation::Installation,
    output,
    progress::Progress,
};

/// Derives every balance and the whole hash chain again from the entries; ends with code 1 where something differs.
#[derive(Debug, Args)]
pub struct Verify {
    /// A head of the chain that was kept elsewhere, such as in an epoch's manifest: it must still be a link. Repeatable.
    #[arg(long = "head", value_name = "JOURNAL:DIGEST", value_parser = chain_head)]
    heads: Vec<ChainHead>,
}

fn chain_head(text: &str) -> Result<ChainHead, String> {
    text.parse().map_err(|error: tale_ledger::LedgerError| error.to_string())
}

impl Verify {
    /// Audits, and prints what differs.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale ledger verify").await?;
        let progress = Progress::start();
        // A callback that crosses threads, and a progress that does not.
        let (sender, mut steps) = tokio::sync::mpsc::unbounded_channel();
        let mut connection = installation.connection().await?;
        let mut tell = |step| {
            let _ = sender.send(step);
        };
        let report = {
            let mut audit = std::pin::pin!(verify_against(&mut connection, &self.heads, &mut tell));
            loop {
                tokio::select! {
                    report = &mut audit => break report,
                    Some(step) = steps.recv() => progress.update(&words(step)),
                }
            }
        };
        progress.finish();
        drop(connection);
        installation.close().await?;
        let report = report?;
        print(global, &report)?;
        Ok(if report.is_consistent() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    }
}

fn words(step: VerifyProgress) -> String {
    match step {
        VerifyProgress::Chain { journals, entries } => {
            format!("checking the chain: {journals} journals, {entries} entries")
        }
        VerifyProgress::Accounts => "adding up accounts and holds".to_owned(),
    }
}

fn print(global: &Global, report: &VerifyReport) -> Result<(), Failure> {
    if global.output == output::Format::Json {
        return output::json(report);
    }
    for discrepancy in &report.discrepancies {
        output::line(&discrepancy.to_string())?;
    }
    let VerifyReport { journals, entries, accounts, holds, open_holds, head, discrepancies, .. } = report;
    let verdict = match discrepancies.len() {
        0 => "everything agrees".to_owned(),
        1 => "1 discrepancy".to_owned(),
        count => format!("{count} discrepancies"),
    };
    output::line(&format!(
        "{journals} journals, {entries} entries, {accounts} accounts and {holds} holds, of which {open_holds} are open: \
         {verdict}; the chain ends at {}",
        head.short()
    ))
}
