use std::time::Duration;

use alloy_primitives::Bytes;
use alloy_sol_types::SolConstructor;
use tale_primitives::Address;

use crate::{ChainError, abi::Distributor::constructorCall, compiled_contract, words::chain_address};

/// The longest time for which a contract lets a confirmed root wait.
pub const ACTIVATION_DELAY_MAX: Duration = Duration::from_secs(30 * 86_400);

/// A distributor that is to be: who holds its keys, and how long its roots wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    /// Names the holders of the other keys; best a multi-signature wallet.
    pub owner: Address,
    /// Proposes roots.
    pub proposer: Address,
    /// Confirms them.
    pub confirmer: Address,
    /// Disables them before they are active, and pauses.
    pub guardian: Address,
    /// How long a confirmed root waits, in whole seconds.
    pub activation_delay: Duration,
}

impl Deployment {
    /// The data of the transaction that deploys it: the contract's code and the constructor's arguments.
    ///
    /// Whoever sends it has no say in the contract. What its constructor would refuse is refused here.
    pub fn creation_data(&self) -> Result<Bytes, ChainError> {
        let holders =
            [("proposer", self.proposer), ("confirmer", self.confirmer), ("guardian", self.guardian)];
        for (role, holder) in [("owner", self.owner)].iter().chain(&holders) {
            if *holder == Address::from_bytes([0; 20]) {
                return Err(ChainError::NobodysKey { role });
            }
        }
        for (place, (other, holder)) in holders.iter().enumerate() {
            if let Some((role, _)) = holders[..place].iter().find(|(_, before)| before == holder) {
                return Err(ChainError::TwoRoles { holder: *holder, role, other });
            }
        }
        let delay = self.activation_delay.as_secs();
        if delay == 0 || self.activation_delay > ACTIVATION_DELAY_MAX {
            return Err(ChainError::ActivationDelay { seconds: delay });
        }
        let code = &compiled_contract("Distributor").ok_or(ChainError::NoArtefact)?.bytecode;
        let arguments = constructorCall {
            owner: chain_address(self.owner),
            proposer: chain_address(self.proposer),
            confirmer: chain_address(self.confirmer),
            guardian: chain_address(self.guardian),
            delay,
        };
        Ok([code, &arguments.abi_encode()[..]].concat().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(number: u8) -> Address {
        Address::from_bytes([number; 20])
    }

    fn deployment() -> Deployment {
        Deployment {
            owner: person(1),
            proposer: person(2),
            confirmer: person(3),
            guardian: person(4),
            activation_delay: Duration::from_secs(43_200),
        }
    }

    #[test]
    fn the_data_are_the_code_and_five_words() {
        let data = deployment().creation_data().unwrap();
        let code = &compiled_contract("Distributor").unwrap().bytecode;
        let arguments = data.strip_prefix(&code[..]).expect("the code comes first");
        assert_eq!(arguments.len(), 5 * 32);
        assert_eq!(arguments[12..32], [1; 20]);
        assert_eq!(arguments[4 * 32 + 24..], 43_200_u64.to_be_bytes());
    }

    #[test]
    fn what_the_constructor_would_refuse_is_refused_before() {
        let error = |deployment: Deployment| deployment.creation_data().unwrap_err().to_string();
        let delayed = |seconds| Deployment { activation_delay: Duration::from_secs(seconds), ..deployment() };
        assert_eq!(
            error(Deployment { guardian: person(0), ..deployment() }),
            "the guardian is nobody: the zero address"
        );
        assert_eq!(
            error(Deployment { owner: person(0), ..deployment() }),
            "the owner is nobody: the zero address"
        );
        let both = error(Deployment { guardian: person(2), ..deployment() });
        assert!(both.ends_with("is to be proposer and guardian: no key holds two roles"), "{both}");
        assert_eq!(error(delayed(0)), "a root cannot wait 0 s: from 1 s to 30 days");
        assert!(error(delayed(30 * 86_400 + 1)).contains("2592001 s"));
        assert!(delayed(30 * 86_400).creation_data().is_ok());
    }
}
