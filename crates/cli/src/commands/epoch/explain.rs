//! `tale epoch explain`: where every unit of a reward came from.

use sqlx::PgConnection;
use tale_primitives::{Address, UtcDay};
use tale_treasury::{
    ClassExplanation, EpochState, Explanation, Quota, TreasuryError, explain_reward, list_epochs,
};

use super::unsettled;
use crate::{amounts::Tokens, arguments::Global, failure::Failure, installation::Installation, output};

/// Explains an account's part of an epoch.
pub async fn explain(global: &Global, account: Address, day: Option<UtcDay>) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale epoch explain").await?;
    let explained = find(&mut *installation.connection().await?, account, day).await;
    installation.close().await?;
    let explanation = explained?;
    match global.output {
        output::Format::Json => output::json(&explanation),
        output::Format::Table => print(&explanation),
    }
}

async fn find(
    connection: &mut PgConnection,
    account: Address,
    day: Option<UtcDay>,
) -> Result<Explanation, Failure> {
    let day = match day {
        Some(day) => day,
        None => {
            let computed = |state| state >= EpochState::Computed;
            let epochs = list_epochs(connection).await?;
            let last = epochs.iter().rfind(|epoch| computed(epoch.state)).map(|epoch| epoch.day);
            last.ok_or_else(|| {
                Failure::new("no epoch has been settled yet").help("`tale settle DAY` settles one")
            })?
        }
    };
    match explain_reward(connection, day, account).await {
        Err(TreasuryError::NotSealed(day)) => Err(unsettled(day)),
        explained => Ok(explained?),
    }
}

fn print(explanation: &Explanation) -> Result<(), Failure> {
    let tokens = Tokens::current()?;
    output::line(&format!(
        "{} in epoch {} ({}, ruleset {})",
        explanation.account, explanation.epoch, explanation.state, explanation.ruleset
    ))?;
    for class in &explanation.classes {
        output::line(&format!("\n{}", describe(class, &tokens)))?;
        if !class.lines.is_empty() {
            output::line(&lines(class).to_string())?;
        }
    }
    output::line(&format!("\ngross  {}", tokens.write(explanation.gross)))?;
    for owed in &explanation.receivables {
        let repaid = explanation.repayments.iter().find(|one| one.correction == owed.correction);
        output::line(&format!(
            "repaid {} of the {} that epoch {} paid too much (correction {})",
            tokens.write(repaid.map(|one| one.amount).unwrap_or_default()),
            tokens.write(owed.outstanding),
            owed.origin,
            owed.correction
        ))?;
    }
    output::line(&format!("net    {}", tokens.write(explanation.net)))?;
    if let Some(line) = &explanation.journal {
        output::line(&format!("ledger journal {} credits {}", line.journal_id, line.account))?;
    }
    if let Some(claim) = &explanation.claim {
        output::line(&format!(
            "claim  {} in all, under root {}, with a proof of {} hashes",
            tokens.write(claim.cumulative),
            claim.root,
            claim.proof.len()
        ))?;
    }
    Ok(())
}

fn describe(class: &ClassExplanation, tokens: &Tokens) -> String {
    let pool = class.pool;
    let how = match &class.quota {
        Quota::NoWeight => "its points are not above zero".to_owned(),
        Quota::Capped => format!("its quota is above the cap of {}", tokens.write(pool.cap)),
        Quota::Divided { pool_left, weight_left, base, remainder, odd_unit } => {
            let odd = if *odd_unit { ", and one unit more for the remainder" } else { "" };
            let weight = class.share.points;
            format!(
                "{pool_left} · {weight} div {weight_left} = {base} base units{odd}, remainder {remainder}"
            )
        }
    };
    format!(
        "{}: {} of the pool of {} ({} points of {}, {} owners at the cap)\n  {how}",
        class.class,
        tokens.write(class.share.amount),
        tokens.write(pool.pool),
        class.share.points,
        pool.weight,
        pool.capped
    )
}

fn lines(class: &ClassExplanation) -> comfy_table::Table {
    let mut table = output::table(&["generator", "earned on", "points", "source", "of the source"]);
    for line in &class.lines {
        for (place, source) in line.sources.iter().enumerate() {
            // a line that adds up several sources says so once
            let first = |text: String| if place == 0 { text } else { String::new() };
            table.add_row([
                first(line.generator.to_string()),
                first(line.origin.to_string()),
                first(line.points.to_string()),
                source.source.clone(),
                source.points.to_string(),
            ]);
        }
    }
    table
}
