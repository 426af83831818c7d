use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tale_primitives::{Address, Name};

use crate::{LedgerError, Side};

/// What an account counts: `TALE`, `xTALE`. One letter, then up to fifteen letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asset(String);

impl Asset {
    /// The most characters in the name of an asset.
    pub const LENGTH_MAX: usize = 16;

    /// The asset as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Asset {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphabetic());
        if begins_well
            && text.len() <= Self::LENGTH_MAX
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(LedgerError::NotAnAsset(text.chars().take(100).collect()))
        }
    }
}

/// Whose an account is, and with that which side its balance may not leave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountOwner {
    /// A beneficial owner's claim on us: credit-normal.
    Holder(Address),
    /// Where units of an asset come from: debit-normal, so that its balance is what was issued.
    Issuance(Name),
    /// Units set aside to be distributed: credit-normal, so that no more leaves than was put in.
    Pool(Name),
    /// What an owner was paid too much and repays: debit-normal, so that no more is repaid than was owed.
    Receivable(Address),
    /// The network's own units: credit-normal.
    Treasury(Name),
}

/// The first word of an account's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// See [`AccountOwner::Holder`].
    Holder,
    /// See [`AccountOwner::Issuance`].
    Issuance,
    /// See [`AccountOwner::Pool`].
    Pool,
    /// See [`AccountOwner::Receivable`].
    Receivable,
    /// See [`AccountOwner::Treasury`].
    Treasury,
}

impl AccountKind {
    /// The kind as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holder => "holder",
            Self::Issuance => "issuance",
            Self::Pool => "pool",
            Self::Receivable => "receivable",
            Self::Treasury => "treasury",
        }
    }

    /// The side on which an account of this kind may not fall below zero.
    pub const fn normal_side(self) -> Side {
        match self {
            Self::Issuance | Self::Receivable => Side::Debit,
            Self::Holder | Self::Pool | Self::Treasury => Side::Credit,
        }
    }
}

/// Names one account: `holder:0x1111…:xTALE`, `pool:generator:xTALE`.
///
/// A holder's address is in lower case here, without its checksum, so that one address has one key and keys sort
/// as addresses do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    owner: AccountOwner,
    asset: Asset,
}

impl AccountKey {
    /// The account of this owner in this asset.
    pub const fn new(owner: AccountOwner, asset: Asset) -> Self {
        Self { owner, asset }
    }

    /// The account of the holder with this address.
    pub fn holder(address: Address, asset: &Asset) -> Self {
        Self::new(AccountOwner::Holder(address), asset.clone())
    }

    /// Whose it is.
    pub const fn owner(&self) -> &AccountOwner {
        &self.owner
    }

    /// What it counts.
    pub const fn asset(&self) -> &Asset {
        &self.asset
    }

    /// What it is for.
    pub const fn kind(&self) -> AccountKind {
        match self.owner {
            AccountOwner::Holder(_) => AccountKind::Holder,
            AccountOwner::Issuance(_) => AccountKind::Issuance,
            AccountOwner::Pool(_) => AccountKind::Pool,
            AccountOwner::Receivable(_) => AccountKind::Receivable,
            AccountOwner::Treasury(_) => AccountKind::Treasury,
        }
    }

    /// The middle part of the key: the address in lower case, or the name.
    pub(crate) fn name(&self) -> String {
        match &self.owner {
            AccountOwner::Holder(address) | AccountOwner::Receivable(address) => {
                format!("0x{}", hex::encode(address.as_bytes()))
            }
            AccountOwner::Issuance(name) | AccountOwner::Pool(name) | AccountOwner::Treasury(name) => {
                name.to_string()
            }
        }
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}:{}", self.kind(), self.name(), self.asset))
    }
}

impl FromStr for AccountKey {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let unknown = || LedgerError::NotAnAccount(text.chars().take(200).collect());
        let mut parts = text.split(':');
        let (Some(kind), Some(name), Some(asset), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unknown());
        };
        let named = || name.parse::<Name>().map_err(|_| unknown());
        let owner = match kind {
            "holder" => AccountOwner::Holder(name.parse().map_err(|_| unknown())?),
            "issuance" => AccountOwner::Issuance(named()?),
            "pool" => AccountOwner::Pool(named()?),
            "receivable" => AccountOwner::Receivable(name.parse().map_err(|_| unknown())?),
            "treasury" => AccountOwner::Treasury(named()?),
            _ => return Err(unknown()),
        };
        Ok(Self::new(owner, asset.parse()?))
    }
}

impl Serialize for Asset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Asset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for AccountKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccountKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_text_form_whatever_the_case_of_its_address() {
        let checksummed = "holder:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed:xTALE";
        let account: AccountKey = checksummed.parse().expect("a holder");
        assert_eq!(account.to_string(), checksummed.to_lowercase().replace("xtale", "xTALE"));
        assert_eq!(account.to_string().parse::<AccountKey>().expect("its own text"), account);
    }

    #[test]
    fn what_is_not_an_account_is_refused() {
        for text in ["", "pool", "pool:a", "pool:a:TALE:b", "pool:A:TALE", "bank:a:TALE", "holder:0x12:TALE"]
        {
            assert!(matches!(text.parse::<AccountKey>(), Err(LedgerError::NotAnAccount(_))), "{text:?}");
        }
        for text in ["pool:a:", "pool:a:1TALE", "pool:a:TA LE", "pool:a:AVeryLongAssetName"] {
            assert!(matches!(text.parse::<AccountKey>(), Err(LedgerError::NotAnAsset(_))), "{text:?}");
        }
    }
}
