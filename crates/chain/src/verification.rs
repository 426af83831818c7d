use serde::Serialize;
use tale_primitives::{Address, Amount};
use tale_treasury::{ClaimsTree, MerkleHash};

use crate::{
    ChainError, DistributorContract,
    abi::Distributor,
    words::{amount, chain_address, chain_hash},
};

/// How far a root has come on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RootState {
    /// Nobody ever confirmed it.
    Unknown,
    /// It is confirmed, and can still be disabled.
    Pending,
    /// Claims are paid from it.
    Current,
    /// Claims are paid from it, and from the one after it.
    Previous,
    /// It was confirmed and is over: disabled, or two roots old.
    Past,
}

/// What the chain says of a tree that was derived here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainVerdict {
    /// How far the tree's root has come.
    pub state: RootState,
    /// From when on it is active, in Unix seconds, where the chain knows.
    pub activates_at: Option<u64>,
    /// The root that claims are paid from, if there is one.
    pub current_root: Option<MerkleHash>,
    /// The block after which the chain was asked.
    pub block: u64,
    /// What the distributor holds, by token.
    pub balances: Vec<(Address, Amount)>,
    /// Accounts that were paid more than the tree promises them, with what they were paid; none where all is well.
    pub overpaid: Vec<(Address, Amount)>,
}

/// Holds a tree, which whoever asks has derived from the epoch's inputs, against the chain: before a root is active
/// this is what tells an honest one from another.
///
/// With `accounts`, what each leaf's account was paid is compared too: a call for each.
pub async fn verify_on_chain(
    contract: &DistributorContract,
    tree: &ClaimsTree,
    accounts: bool,
) -> Result<ChainVerdict, ChainError> {
    let block = contract.head().await?;
    let root = chain_hash(tree.root());
    let [current, previous, pending] = contract.distributions(block).await?;
    let (state, activates_at) = if current.root == root {
        (RootState::Current, Some(current.activatesAt))
    } else if pending.root == root {
        (RootState::Pending, Some(pending.activatesAt))
    } else if previous.root == root {
        (RootState::Previous, Some(previous.activatesAt))
    } else if contract.read(&Distributor::wasConfirmedCall { root }, block).await? {
        (RootState::Past, None)
    } else {
        (RootState::Unknown, None)
    };
    let mut tokens: Vec<Address> = tree.leaves().iter().map(|leaf| leaf.token).collect();
    tokens.sort_unstable();
    tokens.dedup();
    let mut balances = Vec::new();
    for token in tokens {
        balances.push((token, contract.funds(token, block).await?.1));
    }
    let mut overpaid = Vec::new();
    if accounts {
        for leaf in tree.leaves() {
            let (account, token) = (chain_address(leaf.account), chain_address(leaf.token));
            let claimed = amount(contract.read(&Distributor::claimedCall { account, token }, block).await?);
            if claimed > leaf.cumulative {
                overpaid.push((leaf.account, claimed));
            }
        }
    }
    let current_root = (!current.root.is_zero()).then(|| crate::words::own_hash(current.root));
    Ok(ChainVerdict { state, activates_at, current_root, block, balances, overpaid })
}
