use std::{collections::BTreeMap, fmt, str::FromStr};

use ruint::aliases::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tale_ledger::{AccountKey, AccountOwner, Asset};
use tale_primitives::{Address, Amount, Name, UtcDay};

use super::{Destination, PayoutRoute, WithdrawalError};
use crate::TreasuryError;

/// The withdrawal rules of a ruleset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalRules {
    /// The ruleset's version; the file is `rulesets/<version>/withdrawals.json`.
    pub version: u32,
    /// What rewards are credited in.
    pub reward_asset: Asset,
    /// The rewards' address in the claims tree, at which there is no contract.
    pub reward_token: Address,
    /// What they become, one for one.
    pub asset: Asset,
    /// Its address in the payable claims.
    pub token: Address,
    /// How many decimal places both have.
    pub decimals: u8,
    /// For how many days from the token's start the first rules hold.
    pub first_days: u32,
    /// The rules of these days.
    pub first: Regime,
    /// The rules of the days after.
    pub after: Regime,
    /// The treasury's account for fees.
    pub fee_account: Name,
    /// The pool for what early redemptions give up.
    pub haircut_account: Name,
    /// From where nothing is withdrawn, and why.
    pub restricted_countries: BTreeMap<Country, String>,
    /// Where each value comes from, and which are ours.
    pub sources: BTreeMap<String, String>,
}

/// The rules of a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regime {
    /// The least that may be withdrawn, in base units.
    pub minimum: Amount,
    /// The fee on what a haircut leaves, in millionths, rounded up.
    pub fee_ppm: u32,
    /// The redemptions that are offered, the one without a haircut first.
    pub redemptions: Vec<Redemption>,
}

/// How long a redemption takes, and what it gives up for being short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// From the request to the day on which it matures.
    pub days: u32,
    /// The part that is given up, in millionths, rounded up.
    pub haircut_ppm: u32,
}

/// What becomes of an amount: `gross = net + fee + haircut`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// What is taken from the account.
    pub gross: Amount,
    /// What is paid.
    pub net: Amount,
    /// What the treasury keeps.
    pub fee: Amount,
    /// What an early redemption gives up.
    pub haircut: Amount,
    /// How many days it takes.
    pub days: u32,
}

/// A country by its two letters in ISO 3166-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// The accounts between which withdrawals move.
pub(super) struct Accounts<'a> {
    rules: &'a WithdrawalRules,
}

const MILLION: u32 = 1_000_000;

impl WithdrawalRules {
    /// The version by which new withdrawals are requested.
    pub const CURRENT_VERSION: u32 = 2;

    /// The withdrawal rules of the ruleset with this version.
    pub fn load(version: u32) -> Result<Self, TreasuryError> {
        let text = match version {
            2 => include_str!("../../rulesets/2/withdrawals.json"),
            _ => return Err(TreasuryError::UnknownRuleset(version)),
        };
        let rules: Self = serde_json::from_str(text)
            .map_err(|source| TreasuryError::UnreadableRuleset { version, source })?;
        if let Some(reason) = rules.contradiction(version) {
            return Err(WithdrawalError::ImpossibleRules { version, reason }.into());
        }
        Ok(rules)
    }

    /// The rules that hold on `day` where the token started on `start`.
    pub fn regime(&self, start: UtcDay, day: UtcDay) -> Result<&Regime, WithdrawalError> {
        match (day.date() - start.date()).num_days() {
            ..0 => Err(WithdrawalError::BeforeStart { day, start }),
            days if days < i64::from(self.first_days) => Ok(&self.first),
            _ => Ok(&self.after),
        }
    }

    /// What becomes of `gross` of an asset, redeemed over so many days; without a number, over the offered time that
    /// gives up nothing. TALE of an account is not redeemed: it takes no time and gives up nothing but the fee.
    pub fn quote(
        &self,
        regime: &Regime,
        asset: &Asset,
        gross: Amount,
        days: Option<u32>,
        day: UtcDay,
    ) -> Result<Quote, WithdrawalError> {
        if gross < regime.minimum {
            return Err(WithdrawalError::BelowMinimum { minimum: regime.minimum, given: gross });
        }
        let none = Redemption { days: 0, haircut_ppm: 0 };
        let offered = match asset {
            asset if *asset == self.reward_asset => regime.redemptions.as_slice(),
            asset if *asset == self.asset => std::slice::from_ref(&none),
            other => return Err(WithdrawalError::UnknownAsset(other.clone())),
        };
        let wanted = |redemption: &&Redemption| days.is_none_or(|days| days == redemption.days);
        let Some(redemption) = offered.iter().find(wanted) else {
            let given = days.unwrap_or_default();
            let offered: Vec<String> = offered.iter().map(ToString::to_string).collect();
            return Err(WithdrawalError::UnknownRedemption { given, day, offered: offered.join(", ") });
        };
        let haircut = rounded_up(gross, redemption.haircut_ppm)?;
        let rest = gross.checked_sub(haircut).ok_or(WithdrawalError::Overflow)?;
        let fee = rounded_up(rest, regime.fee_ppm)?;
        let net = rest.checked_sub(fee).ok_or(WithdrawalError::Overflow)?;
        Ok(Quote { gross, net, fee, haircut, days: redemption.days })
    }

    /// Whether these rules were written for rewards in this token. Somebody may be paying another one on a chain, such as
    /// that of a deployed contract, and then nothing more is requested here.
    pub fn admit_rewards(&self, token: Address) -> Result<(), WithdrawalError> {
        let (taken, given) = (PayoutRoute::Distributor, PayoutRoute::Withdrawals);
        if token == self.reward_token {
            Ok(())
        } else {
            Err(WithdrawalError::TwoRoutes { token, taken, given })
        }
    }

    /// Whether withdrawals may go there.
    pub fn admit(&self, country: Country) -> Result<(), WithdrawalError> {
        match self.restricted_countries.get(&country) {
            None => Ok(()),
            Some(reason) => Err(WithdrawalError::RestrictedCountry { country, reason: reason.clone() }),
        }
    }

    pub(super) fn accounts(&self) -> Accounts<'_> {
        Accounts { rules: self }
    }

    fn contradiction(&self, version: u32) -> Option<&'static str> {
        let regimes = [&self.first, &self.after];
        let begins_whole =
            |regime: &&Regime| regime.redemptions.first().is_some_and(|first| first.haircut_ppm == 0);
        // Then something is left of whatever reaches the minimum.
        let leaves_something = |regime: &&Regime| {
            let leaves = |redemption: &Redemption| redemption.haircut_ppm < MILLION;
            let minimum = Amount::from(u64::from(MILLION) * u64::from(MILLION));
            regime.fee_ppm < MILLION && regime.minimum >= minimum && regime.redemptions.iter().all(leaves)
        };
        if self.version != version {
            Some("its version is another")
        } else if self.reward_asset == self.asset || self.reward_token == self.token {
            Some("rewards are what they become")
        } else if !regimes.iter().all(begins_whole) {
            Some("the first redemption gives something up")
        } else if !regimes.iter().all(leaves_something) {
            Some("fee and haircut may leave nothing")
        } else {
            None
        }
    }
}

fn rounded_up(amount: Amount, ppm: u32) -> Result<Amount, WithdrawalError> {
    let product = amount.to_u256().checked_mul(U256::from(ppm)).ok_or(WithdrawalError::Overflow)?;
    Ok(Amount::from_u256(product.div_ceil(U256::from(MILLION))))
}

impl Accounts<'_> {
    /// Where the units of open withdrawals wait.
    pub fn waiting(&self, asset: &Asset) -> Result<AccountKey, TreasuryError> {
        Ok(AccountKey::new(AccountOwner::Pool(name("withdrawals")?), asset.clone()))
    }

    pub fn fees(&self, asset: &Asset) -> AccountKey {
        AccountKey::new(AccountOwner::Treasury(self.rules.fee_account.clone()), asset.clone())
    }

    pub fn haircuts(&self, asset: &Asset) -> AccountKey {
        AccountKey::new(AccountOwner::Pool(self.rules.haircut_account.clone()), asset.clone())
    }

    /// Where the emission's xTALE came from: crediting it retires them.
    pub fn rewards_issuance(&self) -> Result<AccountKey, TreasuryError> {
        let issuance = AccountOwner::Issuance(name("generator-pool")?);
        Ok(AccountKey::new(issuance, self.rules.reward_asset.clone()))
    }

    /// Where the Generator pool's TALE come from.
    pub fn issuance(&self) -> Result<AccountKey, TreasuryError> {
        Ok(AccountKey::new(AccountOwner::Issuance(name("generator")?), self.rules.asset.clone()))
    }

    /// What a distributor on the chain owes.
    pub fn claimable(&self) -> Result<AccountKey, TreasuryError> {
        Ok(AccountKey::new(AccountOwner::Pool(name("claimable")?), self.rules.asset.clone()))
    }

    /// Where the TALE of a paid withdrawal go.
    pub fn paid_to(&self, account: Address, to: Destination) -> Result<AccountKey, TreasuryError> {
        match to {
            Destination::Account => Ok(AccountKey::holder(account, &self.rules.asset)),
            Destination::Chain => self.claimable(),
        }
    }
}

fn name(text: &str) -> Result<Name, TreasuryError> {
    text.parse().map_err(|_| TreasuryError::CorruptRow { table: "withdrawal", row: text.to_owned() })
}

impl fmt::Display for Redemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.haircut_ppm {
            0 => write!(f, "{} days", self.days),
            ppm => write!(f, "{} days less {} %", self.days, ppm / 10_000),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl FromStr for Country {
    type Err = WithdrawalError;

    fn from_str(text: &str) -> Result<Self, WithdrawalError> {
        match text.as_bytes() {
            [first, second] if first.is_ascii_uppercase() && second.is_ascii_uppercase() => {
                Ok(Self([*first, *second]))
            }
            _ => Err(WithdrawalError::NotACountry(text.chars().take(100).collect())),
        }
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
