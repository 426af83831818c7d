//! Money as people read it: whole tokens, exactly. JSON has base units.

use tale_primitives::Amount;
use tale_treasury::Ruleset;

use crate::{failure::Failure, report::decimal_amount};

/// How the tables write amounts.
pub struct Tokens {
    decimals: u8,
}

impl Tokens {
    /// As the current rules divide a token.
    pub fn current() -> Result<Self, Failure> {
        Ok(Self { decimals: Ruleset::load(Ruleset::CURRENT_VERSION)?.decimals })
    }

    /// The amount in whole tokens.
    pub fn write(&self, amount: Amount) -> String {
        decimal_amount(&amount.to_string(), self.decimals)
    }

    /// The amount in whole tokens, or an empty cell where there is none yet.
    pub fn write_known(&self, amount: Option<Amount>) -> String {
        amount.map(|amount| self.write(amount)).unwrap_or_default()
    }
}
