//! Special lists, and what a wallet may buy.

use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::Address;

use super::{RoundState, SaleError, SaleRound, Tier, round::sale_rounds};

/// What a wallet may buy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Eligibility {
    /// The wallet.
    pub wallet: Address,
    /// Its highest tier, which alone counts.
    pub tier: Tier,
    /// Every place that it has on a special list; more of one tier give nothing extra.
    pub listings: Vec<Listing>,
    /// One for each round.
    pub rounds: Vec<RoundEligibility>,
}

/// A place on a special list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The list.
    pub tier: Tier,
    /// How the place was earned.
    pub source: String,
}

/// What a wallet may buy of a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoundEligibility {
    /// The round.
    pub round: u32,
    /// How far it has come.
    pub state: RoundState,
    /// The lowest tier that may buy.
    pub least_tier: Tier,
    /// Whether the wallet's tier is high enough.
    pub is_eligible: bool,
    /// How many licences the wallet has reserved.
    pub reserved: u32,
    /// How many it has bought.
    pub bought: u32,
    /// How many more it may have, as far as the round has any left.
    pub may_have: u32,
}

/// Puts a wallet on a special list; the same place again changes nothing. Tells whether it was new.
pub async fn list_wallet(
    conn: &mut PgConnection,
    wallet: Address,
    tier: Tier,
    source: &str,
) -> Result<bool, SaleError> {
    if tier == Tier::Public {
        return Err(SaleError::NoSpecialList);
    }
    let length = source.chars().count();
    if !(1..=200).contains(&length) {
        return Err(SaleError::TextLength { what: "the source of a place on a list", length });
    }
    let inserted = sqlx::query_file!(
        "../../sql/monetization/insert_special_listing.sql",
        wallet.as_bytes().as_slice(),
        tier.as_str(),
        source
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// What a wallet may buy, of each round.
pub async fn eligibility(conn: &mut PgConnection, wallet: Address) -> Result<Eligibility, SaleError> {
    let listings = listings(conn, wallet).await?;
    let tier = highest(&listings);
    let mut rounds = Vec::new();
    for round in sale_rounds(conn).await? {
        let (reserved, bought) = held(conn, &round, wallet).await?;
        let is_eligible = tier.reaches(round.least_tier);
        let may_have = round.buyer_max.saturating_sub(reserved + bought).min(round.left());
        rounds.push(RoundEligibility {
            round: round.round,
            state: round.state,
            least_tier: round.least_tier,
            is_eligible,
            reserved,
            bought,
            may_have: if is_eligible { may_have } else { 0 },
        });
    }
    Ok(Eligibility { wallet, tier, listings, rounds })
}

/// The wallet's highest tier.
pub(crate) async fn tier_of(conn: &mut PgConnection, wallet: Address) -> Result<Tier, SaleError> {
    Ok(highest(&listings(conn, wallet).await?))
}

/// How many licences a wallet has reserved of a round, and how many bought.
pub(crate) async fn held(
    conn: &mut PgConnection,
    round: &SaleRound,
    wallet: Address,
) -> Result<(u32, u32), SaleError> {
    let row = sqlx::query_file!(
        "../../sql/monetization/find_sale_buyer.sql",
        round.round as i32,
        wallet.as_bytes().as_slice()
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok((0, 0)) };
    let corrupt = |_| SaleError::CorruptRow { table: "sale_buyer", row: wallet.to_string() };
    Ok((row.reserved.try_into().map_err(corrupt)?, row.sold.try_into().map_err(corrupt)?))
}

fn highest(listings: &[Listing]) -> Tier {
    listings.iter().map(|listing| listing.tier).min().unwrap_or(Tier::Public)
}

async fn listings(conn: &mut PgConnection, wallet: Address) -> Result<Vec<Listing>, SaleError> {
    sqlx::query_file!("../../sql/monetization/list_special_listings.sql", wallet.as_bytes().as_slice())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| Ok(Listing { tier: row.tier.parse()?, source: row.source }))
        .collect()
}
