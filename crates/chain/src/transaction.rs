//! Transactions of EIP-1559, the only kind that is sent.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Encodable, Header};

use crate::{ChainError, Key};

/// The type that EIP-1559 gave to its transactions.
const TYPE: u8 = 2;

/// A call of a contract, to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub chain_id: u64,
    pub nonce: u64,
    pub fees: Fees,
    pub gas_limit: u64,
    pub to: Address,
    pub data: Bytes,
}

/// What a transaction pays, in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fees {
    /// The most, base fee and priority fee together.
    pub max_fee: u128,
    /// For whoever mines it.
    pub priority_fee: u128,
}

/// A signed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedTransaction {
    pub hash: B256,
    pub bytes: Vec<u8>,
}

impl Fees {
    /// Fees that a node takes in the place of these: an eighth more of both, and no less than is asked for now.
    pub(crate) fn raised(self, asked: Self) -> Self {
        let more = |fee: u128| fee + fee / 8 + 1;
        let priority_fee = more(self.priority_fee).max(asked.priority_fee);
        Self { priority_fee, max_fee: more(self.max_fee).max(asked.max_fee).max(priority_fee) }
    }
}

impl Transaction {
    pub(crate) fn sign(&self, key: &Key) -> Result<SignedTransaction, ChainError> {
        let signature = key.sign(keccak256(self.encode(&[])))?;
        let bytes = self.encode(&[U256::from(u8::from(signature.is_y_odd)), signature.r, signature.s]);
        Ok(SignedTransaction { hash: keccak256(&bytes), bytes })
    }

    /// The type, then the list of fields and of the parts of the signature.
    fn encode(&self, signature: &[U256]) -> Vec<u8> {
        let mut fields = Vec::with_capacity(self.data.len() + 256);
        self.chain_id.encode(&mut fields);
        self.nonce.encode(&mut fields);
        self.fees.priority_fee.encode(&mut fields);
        self.fees.max_fee.encode(&mut fields);
        self.gas_limit.encode(&mut fields);
        self.to.encode(&mut fields);
        // nothing is paid
        U256::ZERO.encode(&mut fields);
        self.data.encode(&mut fields);
        // and nothing announced of what it will read
        Header { list: true, payload_length: 0 }.encode(&mut fields);
        for part in signature {
            part.encode(&mut fields);
        }
        let mut bytes = Vec::with_capacity(fields.len() + 8);
        bytes.push(TYPE);
        Header { list: true, payload_length: fields.len() }.encode(&mut bytes);
        bytes.extend_from_slice(&fields);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256, hex};

    use super::*;

    /// A transaction of Ethereum's main chain, from the tests of alloy-consensus.
    #[test]
    fn the_bytes_are_those_of_eip_1559() {
        let transaction = Transaction {
            chain_id: 1,
            nonce: 0x42,
            fees: Fees { max_fee: 0x4_a817_c800, priority_fee: 0x3b9a_ca00 },
            gas_limit: 44386,
            to: address!("6069a6c32cf691f5982febae4faf8a6f3ab2f0f6"),
            data: hex!(
                "a22cb4650000000000000000000000005eee75727d804a2b13038928d36f8b188945a57a
                 0000000000000000000000000000000000000000000000000000000000000000"
            )
            .into(),
        };
        let to_sign = keccak256(transaction.encode(&[]));
        assert_eq!(to_sign, b256!("0d5688ac3897124635b6cf1bc0e29d6dfebceebdc10a54d74f2ef8b56535b682"));
        let r = b256!("840cfc572845f5786e702984c2a582528cad4b49b2a10b9db1be7fca90058565");
        let s = b256!("25e7109ceb98168d95b09b18bbf6b685130e0562f233877d492b94eee0c5b6d1");
        let signed = transaction.encode(&[U256::ZERO, r.into(), s.into()]);
        let hash = b256!("0ec0b6a2df4d87424e5f6ad2a654e27aaeb7dac20ae9e8385cc09087ad532ee0");
        assert_eq!(keccak256(signed), hash);
    }

    #[test]
    fn raised_fees_are_an_eighth_more_and_no_less_than_is_asked_for() {
        let fees = Fees { max_fee: 80, priority_fee: 8 };
        assert_eq!(fees.raised(fees), Fees { max_fee: 91, priority_fee: 10 });
        let asked = Fees { max_fee: 500, priority_fee: 9 };
        assert_eq!(fees.raised(asked), Fees { max_fee: 500, priority_fee: 10 });
    }
}
