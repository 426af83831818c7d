use std::collections::BTreeMap;

use sqlx::PgConnection;
use tale_ledger::{Asset, list_assets};
use tale_primitives::Amount;

use crate::{
    arguments::Global, failure::Failure, installation::Installation, output, report::decimal_amount,
};

/// How the tables write amounts: in whole units of their asset, exactly.
pub struct Units {
    decimals: BTreeMap<Asset, u8>,
}

impl Units {
    /// As the registered assets divide their units.
    pub async fn load(connection: &mut PgConnection) -> Result<Self, Failure> {
        let assets = list_assets(connection).await?;
        Ok(Self { decimals: assets.into_iter().map(|asset| (asset.asset, asset.decimals)).collect() })
    }

    /// The amount in whole units; in base units where the asset is not registered.
    pub fn write(&self, amount: Amount, asset: &Asset) -> String {
        decimal_amount(&amount.to_string(), self.decimals.get(asset).copied().unwrap_or_default())
    }

    /// The amount in whole units, or an empty cell where there is none.
    pub fn write_known(&self, amount: Option<Amount>, asset: &Asset) -> String {
        amount.map(|amount| self.write(amount, asset)).unwrap_or_default()
    }
}

/// Lists the registered assets.
pub async fn list(global: &Global) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale ledger assets").await?;
    let assets = list_assets(&mut *installation.connection().await?).await;
    installation.close().await?;
    output::write(global.output, &assets?, |assets| {
        let mut table = output::table(&["asset", "decimals", "description"]);
        for asset in assets {
            table.add_row([asset.asset.to_string(), asset.decimals.to_string(), asset.description.clone()]);
        }
        table
    })
}
