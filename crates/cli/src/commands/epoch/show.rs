//! `tale epoch show`: one epoch with its rewards.

use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::UtcDay;
use tale_treasury::{Epoch, EpochResult, Reward, find_epoch, load_manifest, load_result};

use super::unsettled;
use crate::{amounts::Tokens, arguments::Global, failure::Failure, installation::Installation, output};

/// An epoch and, once it is computed, its result.
#[derive(Serialize)]
pub struct Shown {
    pub epoch: Epoch,
    pub result: Option<EpochResult>,
}

impl Shown {
    /// The epoch of this day, if it is sealed.
    pub async fn find(connection: &mut PgConnection, day: UtcDay) -> Result<Option<Self>, Failure> {
        let Some(epoch) = find_epoch(connection, day).await? else { return Ok(None) };
        Ok(Some(Self { epoch, result: load_result(connection, day).await? }))
    }
}

/// Shows an epoch, or its manifest alone.
pub async fn show(global: &Global, day: UtcDay, manifest: bool) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale epoch show").await?;
    let found = find(&installation, day, manifest).await;
    installation.close().await?;
    let (shown, text) = found?;
    if manifest {
        let text = text.ok_or_else(|| {
            Failure::new(format!("epoch {day} has no manifest"))
                .help(format!("it is {}; the manifest is written with its publication", shown.epoch.state))
        })?;
        // the very bytes that have the digest
        return output::line(&text);
    }
    match global.output {
        output::Format::Json => output::json(&shown),
        output::Format::Table => print(&shown),
    }
}

async fn find(
    installation: &Installation,
    day: UtcDay,
    manifest: bool,
) -> Result<(Shown, Option<String>), Failure> {
    let mut connection = installation.connection().await?;
    let shown = Shown::find(&mut connection, day).await?.ok_or_else(|| unsettled(day))?;
    let text = if manifest { load_manifest(&mut connection, day).await? } else { None };
    Ok((shown, text))
}

/// Prints an epoch: what it is, its classes, its rewards, what was repaid.
pub fn print(shown: &Shown) -> Result<(), Failure> {
    output::line(&facts(&shown.epoch)?.to_string())?;
    let Some(result) = &shown.result else { return Ok(()) };
    output::line(&classes(result)?.to_string())?;
    output::line(&rewards(result)?.to_string())?;
    if !result.repayments.is_empty() {
        let tokens = Tokens::current()?;
        let mut table = output::table(&["correction", "owner", "of epoch", "repaid"]);
        for one in &result.repayments {
            let (owner, origin) = (one.owner.to_string(), one.origin.to_string());
            table.add_row([one.correction.clone(), owner, origin, tokens.write(one.amount)]);
        }
        output::line(&table.to_string())?;
    }
    Ok(())
}

fn facts(epoch: &Epoch) -> Result<comfy_table::Table, Failure> {
    let tokens = Tokens::current()?;
    let asset = epoch.asset.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut table = output::table(&["", ""]);
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.add_row([name.to_owned(), value]);
        }
    };
    let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let money = |amount| format!("{} {asset}", tokens.write(amount));
    row("epoch", Some(epoch.day.to_string()));
    row("state", Some(epoch.state.to_string()));
    row("held", epoch.held.clone());
    row("ruleset", Some(format!("{} ({})", epoch.ruleset, epoch.ruleset_digest)));
    row("pool", epoch.pool.map(money));
    row("paid", epoch.paid.map(money));
    row("repaid of that", epoch.paid.map(|_| money(epoch.repaid)));
    row("carried over", epoch.carried.map(money));
    row("token", epoch.token.map(|token| token.to_string()));
    row("journal", epoch.journal_id.map(|id| id.to_string()));
    row("ledger head", epoch.chain_head.map(|digest| digest.to_string()));
    row("accounts", epoch.leaf_count.map(|count| count.to_string()));
    row("Merkle root", epoch.root.map(|root| root.to_string()));
    row("inputs", Some(epoch.inputs_digest.to_string()));
    row("result", epoch.result_digest.map(|digest| digest.to_string()));
    row("result in SQL", epoch.checked_digest.map(|digest| digest.to_string()));
    row("manifest", epoch.manifest_digest.map(|digest| digest.to_string()));
    row("sealed", Some(time(epoch.sealed_at)));
    row("posted", epoch.posted_at.map(time));
    row("published", epoch.published_at.map(time));
    row("final", epoch.finalised_at.map(time));
    Ok(table)
}

fn classes(result: &EpochResult) -> Result<comfy_table::Table, Failure> {
    let tokens = Tokens::current()?;
    let mut table = output::table(&["class", "pool", "cap", "paid", "carried over", "at the cap"]);
    for (class, pool) in result.classes.iter().filter(|(_, class)| !class.pool.is_zero()) {
        table.add_row([
            class.to_string(),
            tokens.write(pool.pool),
            tokens.write(pool.cap),
            tokens.write(pool.paid),
            tokens.write(pool.carried),
            pool.capped.to_string(),
        ]);
    }
    Ok(table)
}

fn rewards(result: &EpochResult) -> Result<comfy_table::Table, Failure> {
    let tokens = Tokens::current()?;
    let mut table = output::table(&["owner", "compute", "training", "validation", "gross", "repaid", "net"]);
    for Reward { owner, shares, gross, repaid, net } in &result.rewards {
        table.add_row([
            owner.to_string(),
            shares.compute.points.to_string(),
            shares.training.points.to_string(),
            shares.validation.points.to_string(),
            tokens.write(*gross),
            tokens.write(*repaid),
            tokens.write(*net),
        ]);
    }
    Ok(table)
}
