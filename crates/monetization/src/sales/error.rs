use chrono::{DateTime, Utc};
use tale_ledger::LedgerError;
use tale_primitives::{Address, Amount};

use super::{PurchaseKey, PurchaseState, Tier};

/// Why the sale refused something.
#[derive(Debug, thiserror::Error)]
pub enum SaleError {
    /// A text that names no tier.
    #[error("{0:?} is not a tier: expected sl1, sl2 or public")]
    NotATier(String),
    /// A text that is no purchase's key.
    #[error("{0:?} is not the key of a purchase: expected 1 to 100 letters, digits, '.', '_', ':' and '-'")]
    NotAKey(String),
    /// No file has this version.
    #[error("there are no sale rules with version {0}")]
    UnknownRules(u32),
    /// A file of rules does not parse.
    #[error("the sale rules with version {version} cannot be read")]
    UnreadableRules {
        /// Their version.
        version: u32,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A file of rules says what cannot be.
    #[error("the sale rules with version {0} contradict themselves")]
    ImpossibleRules(u32),
    /// Everybody is public.
    #[error("every wallet is public: a special list is sl1 or sl2")]
    NoSpecialList,
    /// A text that is empty or longer than is kept.
    #[error("{what} has 1 to 200 characters, this one has {length}")]
    TextLength {
        /// What the text is.
        what: &'static str,
        /// How many characters it has.
        length: usize,
    },
    /// No round has this number.
    #[error("the sale has no round {0}")]
    UnknownRound(u32),
    /// A round would end before it begins.
    #[error("round {round} would close at {closes_at}, and not after it opens at {opens_at}")]
    RoundEndsFirst {
        /// The round.
        round: u32,
        /// When it would open.
        opens_at: DateTime<Utc>,
        /// When it would close.
        closes_at: DateTime<Utc>,
    },
    /// A round would overlap the one before or after it.
    #[error("round {round} would overlap round {other}, from {opens_at} to {closes_at}")]
    RoundsOverlap {
        /// The round.
        round: u32,
        /// The other one.
        other: u32,
        /// When the other one opens.
        opens_at: DateTime<Utc>,
        /// When the other one closes.
        closes_at: DateTime<Utc>,
    },
    /// A round that has begun keeps its times.
    #[error("round {round} opened at {opens_at}, and keeps its times")]
    RoundHasBegun {
        /// The round.
        round: u32,
        /// When it opened.
        opens_at: DateTime<Utc>,
    },
    /// The round does not sell now.
    #[error("round {round} does not sell now: {}", when(*opens_at, *closes_at))]
    RoundNotOpen {
        /// The round.
        round: u32,
        /// When it opens, if that is known.
        opens_at: Option<DateTime<Utc>>,
        /// When it closes, if that is known.
        closes_at: Option<DateTime<Utc>>,
    },
    /// The buyer's tier is too low.
    #[error("{buyer} is {tier}, and round {round} sells to {least}")]
    NotEligible {
        /// The buyer.
        buyer: Address,
        /// The buyer's highest tier.
        tier: Tier,
        /// The round.
        round: u32,
        /// The lowest tier that may buy.
        least: Tier,
    },
    /// A purchase of nothing.
    #[error("a purchase is of at least one licence")]
    NoUnits,
    /// There are fewer units left.
    #[error("round {round} has {left} licences left, and {wanted} are wanted")]
    SoldOut {
        /// The round.
        round: u32,
        /// How many are left.
        left: u32,
        /// How many were wanted.
        wanted: u32,
    },
    /// The buyer would have more than one may.
    #[error("{buyer} may have {left} more licences of round {round}, and wants {wanted}")]
    OverLimit {
        /// The buyer.
        buyer: Address,
        /// The round.
        round: u32,
        /// How many more are allowed.
        left: u32,
        /// How many were wanted.
        wanted: u32,
    },
    /// The key belongs to another purchase: a mistake of the caller, never a repetition.
    #[error("purchase {0} exists already with another round, buyer or number of licences")]
    KeyReused(PurchaseKey),
    /// No purchase has this key.
    #[error("there is no purchase {0}")]
    UnknownPurchase(PurchaseKey),
    /// A purchase in this state cannot be paid.
    #[error("purchase {key} is {state}, and cannot be paid")]
    NotPayable {
        /// The purchase.
        key: PurchaseKey,
        /// Its state.
        state: PurchaseState,
    },
    /// The payment came too late.
    #[error("purchase {key} was held until {expires_at}, and is not paid in time")]
    Expired {
        /// The purchase.
        key: PurchaseKey,
        /// Until when it was held.
        expires_at: DateTime<Utc>,
    },
    /// Another amount was paid than is due.
    #[error("purchase {key} costs {due} cents, and {paid} were paid")]
    WrongAmount {
        /// The purchase.
        key: PurchaseKey,
        /// What is due.
        due: Amount,
        /// What was paid.
        paid: Amount,
    },
    /// The purchase was paid by another payment.
    #[error("purchase {key} was paid by {payment} already")]
    PaidOtherwise {
        /// The purchase.
        key: PurchaseKey,
        /// The payment.
        payment: String,
    },
    /// The payment has paid another purchase.
    #[error("payment {payment:?} has paid another purchase")]
    PaymentReused {
        /// The payment.
        payment: String,
    },
    /// A refund comes too late.
    #[error("purchase {key} could be refunded until {until}")]
    RefundOver {
        /// The purchase.
        key: PurchaseKey,
        /// Until when.
        until: DateTime<Utc>,
    },
    /// A stored row that the constraints should have made impossible.
    #[error("a row of monetization.{table} for {row} cannot be read")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// Which row.
        row: String,
    },
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The database failed.
    #[error("the database failed in schema monetization")]
    Database(#[from] sqlx::Error),
}

impl SaleError {
    /// Whether trying again may succeed where nothing else has changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(_) => true,
            Self::Ledger(error) => error.is_transient(),
            _ => false,
        }
    }
}

fn when(opens_at: Option<DateTime<Utc>>, closes_at: Option<DateTime<Utc>>) -> String {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    match (opens_at, closes_at) {
        (Some(opens_at), Some(closes_at)) => {
            format!("it sells from {} to {}", time(opens_at), time(closes_at))
        }
        _ => "it is not scheduled".to_owned(),
    }
}
