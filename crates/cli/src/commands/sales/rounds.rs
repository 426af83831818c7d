//! `tale sales rounds`, `schedule`, `allow` and `eligibility`: what is sold when, and to whom.

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;
use sqlx::Connection;
use tale_monetization::{Tier, eligibility, list_wallet, sale_rounds, schedule_round};
use tale_primitives::{Address, Amount};

use super::explain;
use crate::{
    arguments::Global, failure::Failure, installation::Installation, money::dollars, operator::audit, output,
};

#[derive(Debug, Args)]
pub struct Schedule {
    /// The round's number.
    round: u32,
    /// From when on it sells, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    opens: DateTime<Utc>,
    /// Until when it sells.
    #[arg(long, value_name = "TIME")]
    closes: DateTime<Utc>,
}

#[derive(Debug, Args)]
pub struct Allow {
    /// The wallet's address.
    wallet: Address,
    /// The list: sl1 or sl2.
    tier: Tier,
    /// How the place was earned; several of one list give nothing extra.
    #[arg(long, value_name = "TEXT")]
    source: String,
}

#[derive(Debug, Args)]
pub struct WhoMay {
    /// The wallet's address.
    wallet: Address,
}

pub async fn list(global: &Global, installation: &Installation) -> Result<(), Failure> {
    let rounds = sale_rounds(&mut *installation.connection().await?).await.map_err(explain)?;
    output::write(global.output, &rounds, |rounds| {
        let mut table = output::table(&[
            "round", "state", "opens", "closes", "USD", "who", "limit", "supply", "sold", "reserved", "left",
        ]);
        for round in rounds {
            table.add_row([
                round.round.to_string(),
                round.state.as_str().to_owned(),
                time(round.opens_at),
                time(round.closes_at),
                dollars(Amount::from(round.price_cents)),
                round.least_tier.to_string(),
                round.buyer_max.to_string(),
                round.supply.to_string(),
                round.sold.to_string(),
                round.reserved.to_string(),
                round.left().to_string(),
            ]);
        }
        table
    })
}

impl Schedule {
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let Self { round, opens, closes } = *self;
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let changed = schedule_round(&mut transaction, round, opens, closes).await.map_err(explain)?;
        let times = json!({ "round": round, "opens_at": opens, "closes_at": closes, "changed": changed });
        if changed {
            audit(&mut transaction, "sales.schedule", &round.to_string(), &times).await?;
        }
        transaction.commit().await?;
        match global.output {
            output::Format::Json => output::json(&times),
            output::Format::Table => output::line(&format!(
                "round {round} sells from {} to {}",
                time(Some(opens)),
                time(Some(closes))
            )),
        }
    }
}

impl Allow {
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let Self { wallet, tier, source } = self;
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let changed = list_wallet(&mut transaction, *wallet, *tier, source).await.map_err(explain)?;
        let details = json!({ "wallet": wallet, "tier": tier, "source": source, "changed": changed });
        if changed {
            audit(&mut transaction, "sales.allow", &wallet.to_string(), &details).await?;
        }
        transaction.commit().await?;
        match global.output {
            output::Format::Json => output::json(&details),
            output::Format::Table => output::line(&format!("{wallet} is on list {tier}")),
        }
    }
}

impl WhoMay {
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let found =
            eligibility(&mut *installation.connection().await?, self.wallet).await.map_err(explain)?;
        if global.output == output::Format::Json {
            return output::json(&found);
        }
        output::line(&format!("{} is {}", found.wallet, found.tier))?;
        let mut table = output::table(&["round", "state", "sells to", "may buy", "reserved", "bought"]);
        for round in &found.rounds {
            table.add_row([
                round.round.to_string(),
                round.state.as_str().to_owned(),
                round.least_tier.to_string(),
                round.may_have.to_string(),
                round.reserved.to_string(),
                round.bought.to_string(),
            ]);
        }
        output::line(&table.to_string())
    }
}

/// A time for people; an empty cell where there is none yet.
pub fn time(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}
