//! Kinds that divide revenue and look after sales.

mod dividends;
mod sales;

pub use dividends::Dividends;
pub use sales::Sales;

use tale_monetization::MonetizationError;
use tale_worker::TaskError;

use crate::refusal;

fn refuse(error: MonetizationError) -> TaskError {
    match error {
        MonetizationError::Storage(error) => refusal::storage(error),
        // Another attempt gathers what the other epoch has left.
        MonetizationError::Database(_) | MonetizationError::EventsMoved { .. } => TaskError::retry(error),
        _ => TaskError::fail(error),
    }
}
