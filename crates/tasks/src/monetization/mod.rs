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
        error if error.is_transient() => TaskError::retry(error),
        error => TaskError::fail(error),
    }
}
