//! `tale withdrawals request` and `cancel`.

use clap::Args;
use serde_json::json;
use sqlx::Connection;
use tale_ledger::Asset;
use tale_primitives::{Address, Amount, UtcDay};
use tale_treasury::{
    Country, Destination, NewWithdrawal, WithdrawalId, cancel_withdrawal, request_withdrawal, today,
};

use super::{explain, key};
use crate::{
    amounts::{self, Tokens},
    arguments::Global,
    failure::Failure,
    installation::Installation,
    operator::audit,
    output,
};

/// Requests a withdrawal: the units wait from now on, and are paid in TALE when their time is over.
#[derive(Debug, Args)]
pub struct Request {
    /// How much, in whole tokens.
    #[arg(value_parser = amounts::parse)]
    amount: Amount,
    /// Whose they are.
    #[arg(long, value_name = "ADDRESS")]
    account: Address,
    /// What is withdrawn: xTALE, or TALE of an account, which goes to the chain.
    #[arg(long, value_name = "ASSET", default_value = "xTALE")]
    asset: Asset,
    /// Where TALE go: account, in this ledger; or chain, to be claimed there.
    #[arg(long, value_name = "WHERE", value_parser = destination, default_value = "account")]
    to: Destination,
    /// Over how many days it is redeemed; a short time gives a part up. The whole amount unless given.
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// Where the owner says to be, by the two letters of ISO 3166-1.
    #[arg(long, value_name = "CODE")]
    country: Country,
    /// A name for it: the same key never withdraws twice.
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: String,
    /// The UTC day of the request, YYYY-MM-DD; today unless given.
    #[arg(long, value_name = "DAY")]
    on: Option<UtcDay>,
}

/// Cancels a withdrawal that has not matured; its units go back.
#[derive(Debug, Args)]
pub struct Cancel {
    /// Its number.
    withdrawal: WithdrawalId,
}

fn destination(text: &str) -> Result<Destination, &'static str> {
    Destination::parse(text).ok_or("expected account or chain")
}

impl Request {
    /// Requests, once, and says what will be paid.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let day = match self.on {
            Some(day) => day,
            None => today(&mut transaction).await?,
        };
        let new = NewWithdrawal {
            key: self.key.clone(),
            account: self.account,
            asset: self.asset.clone(),
            gross: self.amount,
            destination: self.to,
            days: self.days,
            country: self.country,
            day,
        };
        let requested = request_withdrawal(&mut transaction, &new).await.map_err(explain)?;
        let withdrawal = &requested.withdrawal;
        if requested.changed {
            let details = json!({ "account": self.account, "amount": self.amount, "asset": self.asset });
            audit(&mut transaction, "withdrawals.request", &withdrawal.id.to_string(), &details).await?;
        }
        transaction.commit().await?;
        if global.output == output::Format::Json {
            return output::json(&json!({ "withdrawal": withdrawal, "changed": requested.changed }));
        }
        let tokens = Tokens::current()?;
        let again = if requested.changed { "" } else { ", as it was before" };
        output::line(&format!(
            "withdrawal {}: {} TALE to the {} from {} on (fee {}, given up {}){again}",
            withdrawal.id,
            tokens.write(withdrawal.net),
            withdrawal.destination,
            withdrawal.matures_day,
            tokens.write(withdrawal.fee),
            tokens.write(withdrawal.haircut)
        ))
    }
}

impl Cancel {
    /// Cancels, once.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let cancelled = cancel_withdrawal(&mut transaction, self.withdrawal).await.map_err(explain)?;
        if cancelled.changed {
            audit(&mut transaction, "withdrawals.cancel", &self.withdrawal.to_string(), &json!({})).await?;
        }
        transaction.commit().await?;
        let withdrawal = &cancelled.withdrawal;
        if global.output == output::Format::Json {
            return output::json(&json!({ "withdrawal": withdrawal, "changed": cancelled.changed }));
        }
        let gross = Tokens::current()?.write(withdrawal.gross);
        let again = if cancelled.changed { "" } else { ", as it was before" };
        output::line(&format!(
            "withdrawal {} is cancelled: {gross} {} went back{again}",
            withdrawal.id, withdrawal.asset
        ))
    }
}
