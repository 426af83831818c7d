#![doc = include_str!("../README.md")]

mod claims;
mod contribution;
mod epoch;
mod error;
mod merkle;
mod publication;
mod ruleset;
mod settlement;
mod staking;
mod token_start;
mod transition;
mod vesting;
mod withdrawal;

pub use claims::{ClaimLeaf, ClaimsError, ClaimsTree, claims_tree, parse_rewards_csv};
pub use contribution::{NewContributions, Recorded, gather_inputs, record_contributions};
pub use epoch::{Epoch, EpochState, find_epoch, list_epochs, load_inputs, load_result};
pub use error::TreasuryError;
pub use merkle::{
    LEAF_FORMAT, Leaf, MerkleError, MerkleHash, MerkleTree, TreeDump, TreeDumpValue, verify_proof,
};
pub use publication::publish_epoch;
pub use ruleset::{GeneratorPool, Ruleset};
pub use settlement::{Contribution, EpochResult, Reward, SealedInputs, compute};
pub use staking::{
    Accrued, EarlyExit, EarlySettlement, FlexibleRate, Leaving, Left, NewStake, Position, PositionFilter,
    PositionId, PositionState, Staked, StakingDay, StakingError, StakingRules, StakingStatus, Term,
    accrue_staking, daily_reward, early_settlement, find_position, fund_staking, list_positions, stake,
    staking_status, unstake, ve_weight,
};
pub use tale_primitives::{Allocation, AllocationOverflow, allocate};
pub use token_start::{TokenStart, set_token_start, today, token_start};
pub use transition::{Transition, post_epoch, record_result, seal_epoch};
pub use vesting::{
    Calendar, MonthlyParts, Part, PoolStatus, PostedRelease, Release, Terms, Vested, VestingError,
    VestingPool, VestingRules, VestingStatus, parts, post_due_releases, vesting_status,
};
pub use withdrawal::{
    Cancelled, Country, Denial, Destination, NewWithdrawal, PayoutRoute, Quote, Redemption, Regime,
    Requested, SettledWithdrawals, Withdrawal, WithdrawalError, WithdrawalFilter, WithdrawalId,
    WithdrawalRules, WithdrawalState, allow_account, cancel_withdrawal, deny_account, find_withdrawal,
    list_denials, list_withdrawals, payable_claims, request_withdrawal, settle_withdrawals, take_route,
};
