//! The interfaces of the contracts, as `contracts/*.sol` declare them; a test holds them against the compiler's.

#![allow(missing_docs)]

use alloy_sol_types::sol;

sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct Distribution {
        bytes32 root;
        uint64 endTime;
        uint64 activatesAt;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Total {
        address token;
        uint256 cumulative;
    }

    #[derive(Debug, PartialEq, Eq)]
    interface Distributor {
        enum Role { Proposer, Confirmer, Guardian }

        constructor(address owner, address proposer, address confirmer, address guardian, uint64 delay);

        function propose(bytes32 root, uint64 endTime, Total[] calldata totals) external;
        function confirm(bytes32 root, uint64 endTime, Total[] calldata totals) external;
        function disable(bytes32 root) external;
        function claim(bytes32 root, address token, uint256 cumulative, bytes32[] calldata proof) external
            returns (uint256 amount);
        function claimFor(
            address account, bytes32 root, address token, uint256 cumulative, bytes32[] calldata proof
        ) external returns (uint256 amount);
        function activate() external;
        function pause() external;
        function unpause() external;
        function nominate(Role role, address nominee) external;
        function accept(Role role) external;
        function transferOwnership(address newOwner) external;
        function acceptOwnership() external;
        function renounceOwnership() external;

        function owner() external view returns (address);
        function paused() external view returns (bool);
        function activationDelay() external view returns (uint64);
        function holderOf(Role role) external view returns (address);
        function nomineeOf(Role role) external view returns (address);
        function committed(address token) external view returns (uint256);
        function paid(address token) external view returns (uint256);
        function tokenCount() external view returns (uint256);
        function claimed(address account, address token) external view returns (uint256);
        function wasConfirmed(bytes32 root) external view returns (bool);
        function proposal() external view returns (bytes32);
        function currentDistribution() external view returns (Distribution memory);
        function previousDistribution() external view returns (Distribution memory);
        function pendingDistribution() external view returns (Distribution memory);

        event Proposed(bytes32 indexed root, uint64 indexed endTime, bytes32 proposal);
        event Confirmed(bytes32 indexed root, uint64 indexed endTime, uint64 activatesAt);
        event Activated(bytes32 indexed root, uint64 indexed endTime);
        event Disabled(bytes32 indexed root, uint64 indexed endTime);
        event Claimed(address indexed account, address indexed token, uint256 amount, uint256 cumulative);
        event Nominated(Role indexed role, address indexed holder, address indexed nominee);
        event Rotated(Role indexed role, address indexed previousHolder, address indexed holder);

        error DelayOutOfRange(uint64 delay);
        error OwnerNeeded();
        error NotInRole(address caller, Role role);
        error NotNominated(address caller, Role role);
        error NotGuardianOrOwner(address caller);
        error HolderOfAnotherRole(address holder, Role role);
        error NoKey(Role role);
        error NoRoot();
        error RepeatedRoot(bytes32 root);
        error EndTimeNotLater(uint64 endTime, uint64 last);
        error EndTimeInFuture(uint64 endTime);
        error RootPending(bytes32 root, uint64 activatesAt);
        error NotProposed(bytes32 proposal);
        error TokenCount(uint256 count);
        error TokensNotAscending(address token);
        error TokensMissing(uint256 given, uint256 committed);
        error NothingPromised(address token);
        error TotalFalls(address token, uint256 committed, uint256 given);
        error Insolvent(address token, uint256 outstanding, uint256 balance);
        error NotPending(bytes32 root);
        error RootNotClaimable(bytes32 root);
        error InvalidProof();
        error NothingToClaim(uint256 claimed, uint256 cumulative);
        error BeyondCommitment(address token, uint256 paid, uint256 committed);
        error EnforcedPause();
        error ExpectedPause();
        error OwnableUnauthorizedAccount(address account);
        error OwnableInvalidOwner(address owner);
        error ReentrancyGuardReentrantCall();
        error SafeERC20FailedOperation(address token);
    }

    interface TestToken {
        constructor(uint256 supply);
        function balanceOf(address account) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
    }
}
