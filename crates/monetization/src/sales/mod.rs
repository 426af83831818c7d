//! The sale of licences, in rounds.

mod buying;
mod eligibility;
mod error;
mod money;
mod purchase;
mod reconciliation;
mod round;
mod rules;

pub use buying::{NewPurchase, cancel, pay, reserve};
pub use eligibility::{Eligibility, Listing, RoundEligibility, eligibility, list_wallet};
pub use error::SaleError;
pub use purchase::{Purchase, PurchaseKey, PurchaseState, PurchaseStep, find_purchase, list_purchases};
pub use reconciliation::{Reconciled, reconcile_sales};
pub use round::{RoundState, SaleRound, sale_rounds, schedule_round};
pub use rules::{RoundRules, SaleRules, Tier, Unsold};
