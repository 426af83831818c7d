use serde::Serialize;
use sqlx::PgConnection;

use crate::{Asset, LedgerError};

/// What accounts may count, and in which units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegisteredAsset {
    /// What accounts call it.
    pub asset: Asset,
    /// How many decimal places of one unit a base unit is: 18 for TALE, 2 for USD, which is counted in cents.
    pub decimals: u8,
    /// What it is, for people.
    pub description: String,
}

impl RegisteredAsset {
    /// The most decimal places.
    pub const DECIMALS_MAX: u8 = 36;
}

/// Registers an asset; answers whether that was news. Others than registered cannot be counted, and what is registered
/// never changes: the same asset with other decimals is [`LedgerError::AssetDiffers`].
pub async fn register_asset(conn: &mut PgConnection, asset: &RegisteredAsset) -> Result<bool, LedgerError> {
    let RegisteredAsset { asset: code, decimals, description } = asset;
    if *decimals > RegisteredAsset::DECIMALS_MAX {
        return Err(LedgerError::AssetDecimals { asset: code.clone(), decimals: *decimals });
    }
    let inserted = sqlx::query_file!(
        "../../sql/ledger/insert_asset.sql",
        code.as_str(),
        i16::from(*decimals),
        description
    )
    .execute(&mut *conn)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(true);
    }
    match find_asset(conn, code).await? {
        Some(registered) if registered.decimals == *decimals => Ok(false),
        _ => Err(LedgerError::AssetDiffers { asset: code.clone(), decimals: *decimals }),
    }
}

/// The asset that is registered under this name, if there is one.
pub async fn find_asset(
    conn: &mut PgConnection,
    asset: &Asset,
) -> Result<Option<RegisteredAsset>, LedgerError> {
    sqlx::query_file_as!(AssetRow, "../../sql/ledger/find_asset.sql", asset.as_str())
        .fetch_optional(conn)
        .await?
        .map(RegisteredAsset::try_from)
        .transpose()
}

/// Every registered asset, by name.
pub async fn list_assets(conn: &mut PgConnection) -> Result<Vec<RegisteredAsset>, LedgerError> {
    sqlx::query_file_as!(AssetRow, "../../sql/ledger/list_assets.sql")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(RegisteredAsset::try_from)
        .collect()
}

struct AssetRow {
    code: String,
    decimals: i16,
    description: String,
}

impl TryFrom<AssetRow> for RegisteredAsset {
    type Error = LedgerError;

    fn try_from(row: AssetRow) -> Result<Self, LedgerError> {
        let decimals = u8::try_from(row.decimals)
            .map_err(|_| LedgerError::CorruptRow { table: "asset", row: row.code.clone() })?;
        Ok(Self { asset: row.code.parse()?, decimals, description: row.description })
    }
}
