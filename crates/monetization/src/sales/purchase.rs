//! Purchases of licences, as they are stored.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use sqlx::PgConnection;
use tale_ledger::JournalId;
use tale_primitives::{Address, Amount};

use super::SaleError;

/// Names a purchase: 1 to 100 letters, digits, `.`, `_`, `:` and `-`, chosen by the buyer's side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PurchaseKey(String);

impl PurchaseKey {
    /// The most characters in a key.
    pub const LENGTH_MAX: usize = 100;

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PurchaseKey {
    type Err = SaleError;

    fn from_str(text: &str) -> Result<Self, SaleError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        if (1..=Self::LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SaleError::NotAKey(text.chars().take(100).collect()))
        }
    }
}

impl fmt::Display for PurchaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for PurchaseKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// How far a purchase has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PurchaseState {
    /// Its units are held for the buyer.
    Reserved,
    /// It is paid, and its licences are issued.
    Paid,
    /// The buyer gave it up before paying.
    Cancelled,
    /// It was not paid in time.
    Expired,
    /// The buyer took the money back, and its licences are revoked.
    Refunded,
}

impl PurchaseState {
    const ALL: [Self; 5] = [Self::Reserved, Self::Paid, Self::Cancelled, Self::Expired, Self::Refunded];

    /// The state as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
        }
    }
}

impl fmt::Display for PurchaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Purchase {
    /// Its key.
    pub key: PurchaseKey,
    /// The round.
    pub round: u32,
    /// The wallet.
    pub buyer: Address,
    /// How many licences.
    pub units: u32,
    /// What one costs, in cents.
    pub price_cents: u64,
    /// How far it has come.
    pub state: PurchaseState,
    /// When it was reserved.
    pub reserved_at: DateTime<Utc>,
    /// Until when it may be paid.
    pub expires_at: DateTime<Utc>,
    /// What the payment is called outside.
    pub payment: Option<String>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// The ledger's journal of the payment.
    pub payment_journal: Option<JournalId>,
    /// When it was cancelled, refunded or found expired.
    pub ended_at: Option<DateTime<Utc>>,
    /// The ledger's journal of the refund.
    pub refund_journal: Option<JournalId>,
    /// The numbers of its licences, while they are good.
    pub licences: Vec<i64>,
}

impl Purchase {
    /// What it costs, in cents.
    pub fn due(&self) -> Amount {
        // Two numbers of 32 and 64 bits fit in 256.
        Amount::from(self.price_cents).checked_mul(u64::from(self.units)).unwrap_or(Amount::MAX)
    }
}

/// The answer to a step of a purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PurchaseStep {
    /// The purchase after the step.
    #[serde(flatten)]
    pub purchase: Purchase,
    /// Whether this call took the step; false where an earlier one had.
    pub changed: bool,
}

/// The purchase with this key, if there is one.
pub async fn find_purchase(
    conn: &mut PgConnection,
    key: &PurchaseKey,
) -> Result<Option<Purchase>, SaleError> {
    sqlx::query_file_as!(PurchaseRow, "../../sql/monetization/find_purchase.sql", key.as_str())
        .fetch_optional(conn)
        .await?
        .map(Purchase::try_from)
        .transpose()
}

/// Every purchase of a wallet, the oldest first.
pub async fn list_purchases(conn: &mut PgConnection, buyer: Address) -> Result<Vec<Purchase>, SaleError> {
    let buyer = buyer.as_bytes().as_slice();
    sqlx::query_file_as!(PurchaseRow, "../../sql/monetization/list_purchases.sql", buyer)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Purchase::try_from)
        .collect()
}

/// A purchase that a step has just moved.
pub(crate) async fn moved(conn: &mut PgConnection, key: &PurchaseKey) -> Result<PurchaseStep, SaleError> {
    let purchase = find_purchase(conn, key).await?;
    let purchase = purchase.ok_or_else(|| SaleError::UnknownPurchase(key.clone()))?;
    Ok(PurchaseStep { purchase, changed: true })
}

struct PurchaseRow {
    key: String,
    round: i32,
    buyer: Vec<u8>,
    units: i32,
    price_cents: i64,
    state: String,
    reserved_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    payment: Option<String>,
    paid_at: Option<DateTime<Utc>>,
    payment_journal: Option<i64>,
    ended_at: Option<DateTime<Utc>>,
    refund_journal: Option<i64>,
    licences: Vec<i64>,
}

impl TryFrom<PurchaseRow> for Purchase {
    type Error = SaleError;

    fn try_from(row: PurchaseRow) -> Result<Self, SaleError> {
        let corrupt = || SaleError::CorruptRow { table: "purchase", row: row.key.clone() };
        let state = PurchaseState::ALL.into_iter().find(|state| state.as_str() == row.state);
        Ok(Self {
            round: row.round.try_into().map_err(|_| corrupt())?,
            buyer: row.buyer.as_slice().try_into().map(Address::from_bytes).map_err(|_| corrupt())?,
            units: row.units.try_into().map_err(|_| corrupt())?,
            price_cents: row.price_cents.try_into().map_err(|_| corrupt())?,
            state: state.ok_or_else(corrupt)?,
            key: row.key.parse()?,
            reserved_at: row.reserved_at,
            expires_at: row.expires_at,
            payment: row.payment,
            paid_at: row.paid_at,
            payment_journal: row.payment_journal.map(JournalId::from_raw),
            ended_at: row.ended_at,
            refund_journal: row.refund_journal.map(JournalId::from_raw),
            licences: row.licences,
        })
    }
}
