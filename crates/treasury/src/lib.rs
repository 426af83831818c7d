#![doc = include_str!("../README.md")]

mod canonical;
mod capping;
mod check;
mod claims;
mod class;
mod contribution;
mod correction;
mod epoch;
mod error;
mod explanation;
mod finality;
mod inputs;
mod manifest;
mod merkle;
mod posting;
mod publication;
mod result;
mod ruleset;
mod sealing;
mod settlement;
mod settling;
mod staking;
mod stored;
mod token_start;
mod transition;
mod verification;
mod vesting;
mod withdrawal;

pub use capping::{CappedAllocation, allocate_capped};
pub use check::check_epoch;
pub use claims::{ClaimLeaf, ClaimsError, ClaimsTree, claims_tree, parse_rewards_csv, read_claims_file};
pub use class::{Class, PerClass};
pub use contribution::{NewContributions, Recorded, record_contributions};
pub use correction::{NewCorrection, Receivable, list_receivables, record_correction};
pub use epoch::{Epoch, EpochState, find_epoch, list_epochs};
pub use error::TreasuryError;
pub use explanation::{
    ClassExplanation, ExplainedClaim, ExplainedLine, ExplainedSource, Explanation, JournalLine, Quota,
    explain_reward,
};
pub use finality::{Brake, claimable_epoch, finalise_epochs, hold_epoch, list_brakes, release_epoch};
pub use inputs::{Contribution, OpenReceivable, SealedInputs};
pub use manifest::{CorrectedPayment, Distributor, LateLines, Manifest, load_manifest};
pub use merkle::{
    LEAF_FORMAT, Leaf, MerkleError, MerkleHash, MerkleTree, TreeDump, TreeDumpValue, verify_proof,
};
pub use posting::post_epoch;
pub use publication::publish_epoch;
pub use result::{ClassPool, EpochResult, Repayment, Reward, Share};
pub use ruleset::{ClassRules, GeneratorPool, Ruleset};
pub use sealing::{gather_inputs, seal_epoch};
pub use settlement::compute;
pub use settling::{Settled, settle_epoch};
pub use staking::{
    Accrued, EarlyExit, EarlySettlement, FlexibleRate, Leaving, Left, NewStake, Position, PositionFilter,
    PositionId, PositionState, Staked, StakingDay, StakingError, StakingRules, StakingStatus, Term,
    accrue_staking, daily_reward, early_settlement, find_position, fund_staking, list_positions, stake,
    staking_status, unstake, ve_weight,
};
pub use stored::{load_inputs, load_result};
pub use tale_primitives::{Allocation, AllocationOverflow, allocate};
pub use token_start::{TokenStart, set_token_start, today, token_start};
pub use transition::{Transition, record_result};
pub use verification::{Check, Outcome, Verification, verify_epoch};
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
