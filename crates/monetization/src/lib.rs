#![doc = include_str!("../README.md")]

mod dividends;
mod error;
mod event;
mod event_log;
mod fees;
mod gathering;
mod holding;
mod income;
mod posting;
mod reading;
mod revenue;
mod rows;
mod rules;
mod sales;
mod share;

pub use dividends::{AssetTotal, Dividend, DividendLine, DividendResult, divide};
pub use error::MonetizationError;
pub use event::{RevenueEvent, WorkId};
pub use event_log::{EVENTS_MAX, EventLog, EventProblem, LogProblem, REVENUE_COLUMNS, read_event_log};
pub use fees::{CURRENT_RULESET, Fee, FeeSchedule};
pub use gathering::{GatheredRevenue, RevenueFile, gather_revenue};
pub use holding::{NewHolding, holders_of, record_holdings};
pub use income::IncomeKind;
pub use posting::{DividendPosting, post_dividends};
pub use reading::{
    DividendEpoch, DividendJournal, ExplainedDividend, explain_dividends, find_dividend_epoch,
    list_dividend_epochs, list_dividend_journals, list_revenue_files, load_dividends, load_revenue,
};
pub use revenue::{RecordHolding, SealedRevenue};
pub use rules::DividendRules;
pub use sales::{
    Eligibility, Listing, NewPurchase, Purchase, PurchaseKey, PurchaseState, PurchaseStep, Reconciled,
    RoundEligibility, RoundRules, RoundState, SaleError, SaleRound, SaleRules, Tier, Unsold, cancel,
    eligibility, find_purchase, list_purchases, list_wallet, pay, reconcile_sales, reserve, sale_rounds,
    schedule_round,
};
pub use share::{Share, ShareError};
