//! Withdrawals: rewards in xTALE become TALE, in an account here or on the chain.

mod denial;
mod payable;
mod request;
mod route;
mod rules;
mod settling;
mod stored;

pub use denial::{Denial, allow_account, deny_account, list_denials};
pub use payable::payable_claims;
pub use request::{Cancelled, NewWithdrawal, Requested, cancel_withdrawal, request_withdrawal};
pub use route::{PayoutRoute, take_route};
pub use rules::{Country, Quote, Redemption, Regime, WithdrawalRules};
pub use settling::{SettledWithdrawals, settle_withdrawals};
pub use stored::{
    Destination, Withdrawal, WithdrawalFilter, WithdrawalId, WithdrawalState, find_withdrawal,
    list_withdrawals,
};

use tale_ledger::Asset;
use tale_primitives::{Address, Amount, UtcDay};

/// Why a withdrawal was refused.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawalError {
    /// The rules contradict themselves.
    #[error("the withdrawal rules of ruleset {version} are impossible: {reason}")]
    ImpossibleRules {
        /// The ruleset's version.
        version: u32,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// Rewards that a contract pays cannot be withdrawn here too.
    #[error("{token} is paid out by {taken}, and not by {given} too")]
    TwoRoutes {
        /// The token's address in the claims tree.
        token: Address,
        /// The route that it has.
        taken: PayoutRoute,
        /// The route that was to be taken.
        given: PayoutRoute,
    },
    /// A key that is empty or longer than is kept.
    #[error("the key of a withdrawal has 1 to 100 characters, this one has {0}")]
    KeyLength(usize),
    /// The key belongs to another withdrawal: a mistake of the caller, never a repetition.
    #[error("withdrawal {withdrawal} has the key {key} with another content")]
    KeyReused {
        /// The key.
        key: String,
        /// The withdrawal that has it.
        withdrawal: WithdrawalId,
    },
    /// The rules count from the day of the token's generation.
    #[error("nothing can be withdrawn before the token's start is set")]
    NotStarted,
    /// A day before the token's.
    #[error("nothing can be withdrawn on {day}, before the token's start on {start}")]
    BeforeStart {
        /// The day of the request.
        day: UtcDay,
        /// The token's first day.
        start: UtcDay,
    },
    /// Less than the least.
    #[error("a withdrawal is at least {minimum} base units, this one has {given}")]
    BelowMinimum {
        /// The least, in base units.
        minimum: Amount,
        /// What was given.
        given: Amount,
    },
    /// An asset that cannot be withdrawn.
    #[error("{0} cannot be withdrawn")]
    UnknownAsset(Asset),
    /// A redemption that the rules do not offer on that day.
    #[error("there is no redemption over {given} days; on {day} there is {offered}")]
    UnknownRedemption {
        /// What was given.
        given: u32,
        /// The day of the request.
        day: UtcDay,
        /// What there is, in words.
        offered: String,
    },
    /// TALE in an account here is where it would go.
    #[error("{0} of an account can only be withdrawn to the chain")]
    AlreadyInAccount(Asset),
    /// A text that is no country.
    #[error("{0:?} is not a country: expected two capital letters of ISO 3166-1, such as CH")]
    NotACountry(String),
    /// A country that the rules exclude.
    #[error("withdrawals from {country} are restricted: {reason}")]
    RestrictedCountry {
        /// The country.
        country: Country,
        /// Why.
        reason: String,
    },
    /// An account that an operator excludes.
    #[error("withdrawals of {account} are denied: {reason}")]
    Denied {
        /// The account.
        account: Address,
        /// Why.
        reason: String,
    },
    /// A reason that is empty or longer than is kept.
    #[error("a reason has 1 to 500 characters, this one has {0}")]
    ReasonLength(usize),
    /// No withdrawal has this id.
    #[error("there is no withdrawal {0}")]
    UnknownWithdrawal(WithdrawalId),
    /// What has matured is paid, and what was paid stays so.
    #[error("withdrawal {withdrawal} is {state}, and cannot be cancelled any more")]
    TooLate {
        /// The withdrawal.
        withdrawal: WithdrawalId,
        /// Its state.
        state: WithdrawalState,
    },
    /// A day that is not over can still gain payments.
    #[error("{day} is not over: today is {today}")]
    DayNotOver {
        /// The day.
        day: UtcDay,
        /// The database's day.
        today: UtcDay,
    },
    /// The leaves would promise something else than the ledger owes.
    #[error("the payable claims add up to {claims}, the ledger has set {owed} aside")]
    PayableDiffers {
        /// The sum of the leaves.
        claims: Amount,
        /// What the ledger has set aside.
        owed: Amount,
    },
    /// A product or sum beyond 256 bits.
    #[error("withdrawing takes numbers beyond 256 bits")]
    Overflow,
}
