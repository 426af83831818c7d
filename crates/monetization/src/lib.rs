#![doc = include_str!("../README.md")]

mod dividends;
mod error;
mod event;
mod fees;
mod income;
mod revenue;
mod rules;
mod share;

pub use dividends::{AssetTotal, Dividend, DividendLine, DividendResult, divide};
pub use error::MonetizationError;
pub use event::{RevenueEvent, WorkId};
pub use fees::{CURRENT_RULESET, Fee, FeeSchedule};
pub use income::IncomeKind;
pub use revenue::{RecordHolding, SealedRevenue};
pub use rules::DividendRules;
pub use share::{Share, ShareError};
