//! `tale sales reserve`, `pay`, `cancel` and `show`: purchases.

use clap::Args;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tale_monetization::{
    NewPurchase, Purchase, PurchaseKey, PurchaseState, PurchaseStep, SaleError, cancel, find_purchase,
    list_purchases, pay, reserve,
};
use tale_primitives::{Address, Amount};

use super::{explain, rounds::time};
use crate::{
    arguments::Global, failure::Failure, installation::Installation, money::dollars, operator::audit, output,
};

#[derive(Debug, Args)]
pub struct Reserve {
    /// The round's number.
    round: u32,
    /// The buyer's address.
    buyer: Address,
    /// How many licences.
    units: u32,
    /// A name for the purchase: the same key never buys twice.
    #[arg(long)]
    key: PurchaseKey,
}

#[derive(Debug, Args)]
pub struct Pay {
    /// The purchase's key.
    key: PurchaseKey,
    /// What the payment is called outside: it pays one purchase.
    #[arg(long, value_name = "NAME")]
    payment: String,
    /// How much was paid, in cents.
    #[arg(long, value_name = "CENTS")]
    cents: Amount,
}

#[derive(Debug, Args)]
pub struct Cancel {
    /// The purchase's key.
    key: PurchaseKey,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The purchase's key, or a wallet's address.
    which: String,
}

impl Reserve {
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let wanted =
            NewPurchase { key: self.key.clone(), round: self.round, buyer: self.buyer, units: self.units };
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let step = reserve(&mut transaction, &wanted).await.map_err(explain)?;
        record(&mut transaction, "sales.reserve", &step).await?;
        transaction.commit().await?;
        tell(global, &step)
    }
}

impl Pay {
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let step = pay(&mut transaction, &self.key, &self.payment, self.cents).await.map_err(explain)?;
        record(&mut transaction, "sales.pay", &step).await?;
        transaction.commit().await?;
        tell(global, &step)
    }
}

impl Cancel {
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let step = cancel(&mut transaction, &self.key).await.map_err(explain)?;
        record(&mut transaction, "sales.cancel", &step).await?;
        transaction.commit().await?;
        tell(global, &step)
    }
}

impl Show {
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        if let Ok(wallet) = self.which.parse::<Address>() {
            let purchases = list_purchases(&mut connection, wallet).await.map_err(explain)?;
            return output::write(global.output, &purchases, |purchases| table(purchases));
        }
        let key: PurchaseKey = self.which.parse().map_err(explain)?;
        let found = find_purchase(&mut connection, &key).await.map_err(explain)?;
        let purchase = found.ok_or_else(|| explain(SaleError::UnknownPurchase(key)))?;
        output::write(global.output, &purchase, |purchase| table(std::slice::from_ref(purchase)))
    }
}

/// Writes a step to the audit log, in the transaction that took it.
async fn record(connection: &mut PgConnection, action: &str, step: &PurchaseStep) -> Result<(), Failure> {
    if !step.changed {
        return Ok(());
    }
    let Purchase { key, round, buyer, units, state, payment, .. } = &step.purchase;
    let details =
        json!({ "round": round, "buyer": buyer, "units": units, "state": state, "payment": payment });
    audit(connection, action, key.as_str(), &details).await
}

fn tell(global: &Global, step: &PurchaseStep) -> Result<(), Failure> {
    if global.output == output::Format::Json {
        return output::json(step);
    }
    let purchase = &step.purchase;
    let (key, units, round, state) = (&purchase.key, purchase.units, purchase.round, purchase.state);
    let due = dollars(purchase.due());
    let how = if step.changed { "is" } else { "was already" };
    let until = match state {
        PurchaseState::Reserved => format!(", to be paid before {}", time(Some(purchase.expires_at))),
        _ => String::new(),
    };
    output::line(&format!(
        "purchase {key} {how} {state}: {units} licences of round {round} for {due} USD{until}"
    ))
}

fn table(purchases: &[Purchase]) -> comfy_table::Table {
    let mut table = output::table(&[
        "purchase",
        "round",
        "buyer",
        "units",
        "USD",
        "state",
        "to be paid before",
        "licences",
    ]);
    for purchase in purchases {
        let licences: Vec<String> = purchase.licences.iter().map(i64::to_string).collect();
        table.add_row([
            purchase.key.to_string(),
            purchase.round.to_string(),
            purchase.buyer.to_string(),
            purchase.units.to_string(),
            dollars(purchase.due()),
            purchase.state.to_string(),
            time(Some(purchase.expires_at)),
            licences.join(", "),
        ]);
    }
    table
}
