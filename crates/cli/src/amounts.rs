//! Money as people read and write it: whole tokens, exactly. JSON has base units.

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

/// The base units of a text in whole tokens, such as `12.5`; for the command line.
pub fn parse(text: &str) -> Result<Amount, String> {
    let decimals = Ruleset::load(Ruleset::CURRENT_VERSION).map_err(|error| error.to_string())?.decimals;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || text.ends_with('.') {
        return Err(format!("expected whole tokens with up to {decimals} decimals, such as 12.5"));
    }
    if fraction.len() > usize::from(decimals) {
        return Err(format!("a token has {decimals} decimals, this amount has {}", fraction.len()));
    }
    let digits = format!("{whole}{fraction:0<width$}", width = usize::from(decimals));
    digits.parse().map_err(|_| "the amount does not fit in 256 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_tokens_become_base_units_and_nothing_else_does() {
        for (text, units) in [
            ("1", "1000000000000000000"),
            ("12.5", "12500000000000000000"),
            ("0.000000000000000001", "1"),
            ("007", "7000000000000000000"),
            ("0", "0"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), units, "{text}");
        }
        for text in ["", ".5", "1.", "1,5", "-1", "1e3", " 1", "1.0000000000000000001", &"9".repeat(70)] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
