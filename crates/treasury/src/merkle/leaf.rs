use tale_primitives::{Address, Amount};

/// The values of one leaf and how Solidity's `abi.encode` writes them.
///
/// Only static types of one word: `address` and `uint256`.
pub trait Leaf: Sized + Sync {
    /// The Solidity types of the values, as a dump states them.
    const ENCODING: &'static [&'static str];

    /// Appends `abi.encode(values)`: 32 bytes for each value.
    fn abi_encode(&self, words: &mut Vec<u8>);

    /// The values as a dump writes them: addresses with their checksum, integers in decimal.
    fn to_values(&self) -> Vec<String>;

    /// The leaf of a dump's values, or nothing where they do not fit [`Leaf::ENCODING`].
    fn from_values(values: &[String]) -> Option<Self>;
}

/// Appends an address as a left-padded word.
pub(crate) fn encode_address(address: &Address, words: &mut Vec<u8>) {
    words.extend_from_slice(&[0; 12]);
    words.extend_from_slice(address.as_bytes());
}

/// Appends an amount as a big-endian word.
pub(crate) fn encode_amount(amount: Amount, words: &mut Vec<u8>) {
    words.extend_from_slice(&amount.to_be_bytes());
}

impl Leaf for (Address, Amount) {
    const ENCODING: &'static [&'static str] = &["address", "uint256"];

    fn abi_encode(&self, words: &mut Vec<u8>) {
        encode_address(&self.0, words);
        encode_amount(self.1, words);
    }

    fn to_values(&self) -> Vec<String> {
        vec![self.0.to_string(), self.1.to_string()]
    }

    fn from_values(values: &[String]) -> Option<Self> {
        let [account, amount] = values else { return None };
        Some((account.parse().ok()?, amount.parse().ok()?))
    }
}
