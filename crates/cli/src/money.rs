//! Amounts in several assets, as people read them: each with the decimals that it is registered with.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use tale_ledger::{Asset, list_assets};
use tale_primitives::Amount;

use crate::{failure::Failure, report::decimal_amount};

/// How the tables write amounts of any registered asset.
pub struct Money {
    decimals: BTreeMap<Asset, u8>,
}

impl Money {
    /// As the assets are registered.
    pub async fn registered(connection: &mut PgConnection) -> Result<Self, Failure> {
        let assets = list_assets(connection).await?;
        Ok(Self { decimals: assets.into_iter().map(|it| (it.asset, it.decimals)).collect() })
    }

    /// The amount in whole units, without the asset.
    pub fn write(&self, amount: Amount, asset: &Asset) -> String {
        decimal_amount(&amount.to_string(), self.decimals.get(asset).copied().unwrap_or_default())
    }
}

/// Cents as dollars.
pub fn dollars(cents: Amount) -> String {
    decimal_amount(&cents.to_string(), 2)
}
