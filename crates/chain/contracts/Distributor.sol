// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

/// @title Pays what a cumulative Merkle tree promises, and never more than it holds.
/// @notice Each settled day has one root over leaves (account, token, cumulative) in OpenZeppelin's `standard-v1`. A
/// claim pays the difference between a leaf's cumulative amount and what its account was paid before, so that whoever
/// skips thirty nights needs one proof, and no proof pays twice.
///
/// @dev A root becomes claimable in three steps: the proposer's key proposes it, the confirmer's key confirms it, and
/// the activation delay passes, in which anyone may derive the root again and the guardian may disable it. Nothing
/// leaves but by claims: no key withdraws. Tokens that take fees on transfers or change balances by themselves are not
/// supported.
contract Distributor is Ownable2Step, Pausable, ReentrancyGuard {
    using SafeERC20 for IERC20;

    /// @notice Keys of daily work. The owner, who names them, does none of it and should be a multi-signature wallet.
    enum Role {
        /// Proposes roots.
        Proposer,
        /// Confirms what was proposed, from its own derivation.
        Confirmer,
        /// Pauses, and disables roots before they are active.
        Guardian
    }

    /// @notice A root and the end of the time that it counts.
    struct Distribution {
        /// The root of the claims tree.
        bytes32 root;
        /// The end of the settled day, in Unix seconds.
        uint64 endTime;
        /// From when on it can be claimed against, in Unix seconds.
        uint64 activatesAt;
    }

    /// @notice The sum of a tree's leaves in one token.
    struct Total {
        /// The token.
        address token;
        /// The sum of the cumulative amounts of all accounts.
        uint256 cumulative;
    }

    /// @notice The most tokens in one tree.
    uint256 public constant TOKENS_MAX = 16;

    /// @notice The longest activation delay.
    uint64 public constant DELAY_MAX = 30 days;

    /// @notice How long a confirmed root waits before anyone can claim against it, in seconds.
    uint64 public immutable activationDelay;

    /// @notice Who holds each role.
    mapping(Role role => address) public holderOf;
    /// @notice Who was named to take a role over and has not accepted it yet.
    mapping(Role role => address) public nomineeOf;

    /// @notice What the active root promises in each token over all accounts and times.
    mapping(address token => uint256) public committed;
    /// @notice What was paid in each token over all accounts and times.
    mapping(address token => uint256) public paid;
    /// @notice What each account was paid in each token: the cumulative amount of its last claim.
    mapping(address account => mapping(address token => uint256)) public claimed;
    /// @notice In how many tokens the active root promises something.
    uint256 public tokenCount;
    /// @notice Whether a root was ever confirmed: each is, once.
    mapping(bytes32 root => bool) public wasConfirmed;

    /// @notice What the proposer proposed last and nobody confirmed: Keccak-256 of its encoding, or zero.
    bytes32 public proposal;

    Distribution private _previous;
    Distribution private _current;
    Distribution private _pending;
    Total[] private _pendingTotals;

    event Proposed(bytes32 indexed root, uint64 indexed endTime, bytes32 proposal);
    event Confirmed(bytes32 indexed root, uint64 indexed endTime, uint64 activatesAt);
    event Activated(bytes32 indexed root, uint64 indexed endTime);
    event Disabled(bytes32 indexed root, uint64 indexed endTime);
    /// @param cumulative everything that the account was paid in this token up to here
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

    modifier only(Role role) {
        if (holderOf[role] != msg.sender) revert NotInRole(msg.sender, role);
        _;
    }

    /// @param owner who rotates keys and ends pauses
    /// @param proposer the first holder of `Role.Proposer`
    /// @param confirmer the first holder of `Role.Confirmer`
    /// @param guardian the first holder of `Role.Guardian`
    /// @param delay how long a confirmed root waits, in seconds
    constructor(address owner, address proposer, address confirmer, address guardian, uint64 delay) Ownable(owner) {
        if (delay == 0 || delay > DELAY_MAX) revert DelayOutOfRange(delay);
        activationDelay = delay;
        _hold(Role.Proposer, proposer);
        _hold(Role.Confirmer, confirmer);
        _hold(Role.Guardian, guardian);
    }

    // --- Publishing: two keys, then a delay ----------------------------------------------------------

    /// @notice Proposes the root of a settled day; proposing another one replaces it.
    /// @param root the root of the claims tree
    /// @param endTime the end of the day, in Unix seconds; later than that of every root before it
    /// @param totals the sum of the leaves in each token, in ascending order of tokens
    function propose(bytes32 root, uint64 endTime, Total[] calldata totals)
        external
        whenNotPaused
        only(Role.Proposer)
    {
        _activate();
        _check(root, endTime, totals);
        proposal = keccak256(abi.encode(root, endTime, totals));
        emit Proposed(root, endTime, proposal);
    }

    /// @notice Confirms what was proposed. The confirmer states it in full, from a derivation of its own.
    function confirm(bytes32 root, uint64 endTime, Total[] calldata totals)
        external
        whenNotPaused
        only(Role.Confirmer)
    {
        bytes32 stated = keccak256(abi.encode(root, endTime, totals));
        if (stated != proposal) revert NotProposed(stated);
        _activate();
        // once more: what was true when it was proposed need not be any longer
        _check(root, endTime, totals);
        delete proposal;
        wasConfirmed[root] = true;
        _pending = Distribution(root, endTime, uint64(block.timestamp) + activationDelay);
        for (uint256 i = 0; i < totals.length; i++) _pendingTotals.push(totals[i]);
        emit Confirmed(root, endTime, _pending.activatesAt);
    }

    /// @notice Takes back a confirmed root before it is active; the root before it stays. It can never come back.
    function disable(bytes32 root) external only(Role.Guardian) {
        if (root == bytes32(0) || root != _pending.root || _isDue()) revert NotPending(root);
        emit Disabled(root, _pending.endTime);
        delete _pending;
        delete _pendingTotals;
    }

    // --- Claiming ------------------------------------------------------------------------------------

    /// @notice Pays the caller what its leaf promises beyond what it was paid before.
    /// @param root the root that the proof leads to: the active one or the one before it, so that a claim that was
    /// signed just before another root became active still pays
    /// @return amount what was paid
    function claim(bytes32 root, address token, uint256 cumulative, bytes32[] calldata proof)
        external
        returns (uint256 amount)
    {
        return claimFor(msg.sender, root, token, cumulative, proof);
    }

    /// @notice Pays an account what its leaf promises; whoever calls, the account alone is paid.
    function claimFor(address account, bytes32 root, address token, uint256 cumulative, bytes32[] calldata proof)
        public
        whenNotPaused
        nonReentrant
        returns (uint256 amount)
    {
        _activate();
        if (root == bytes32(0) || (root != _current.root && root != _previous.root)) revert RootNotClaimable(root);
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(account, token, cumulative))));
        if (!MerkleProof.verifyCalldata(proof, root, leaf)) revert InvalidProof();

        uint256 before = claimed[account][token];
        if (cumulative <= before) revert NothingToClaim(before, cumulative);
        amount = cumulative - before;
        uint256 paidNow = paid[token] + amount;
        // a root whose leaves exceed its totals takes nothing from what others were promised
        if (paidNow > committed[token]) revert BeyondCommitment(token, paidNow, committed[token]);
        claimed[account][token] = cumulative;
        paid[token] = paidNow;
        IERC20(token).safeTransfer(account, amount);
        emit Claimed(account, token, amount, cumulative);
    }

    /// @notice Makes the confirmed root the active one when its delay has passed. Claims do so by themselves.
    function activate() external {
        _activate();
    }

    // --- The brake -----------------------------------------------------------------------------------

    /// @notice Stops proposals, confirmations, activations and claims: a root that is pending when a pause begins is
    /// not active before it ends, and can be disabled as long as it lasts.
    function pause() external {
        if (msg.sender != holderOf[Role.Guardian] && msg.sender != owner()) revert NotGuardianOrOwner(msg.sender);
        _activate();
        _pause();
    }

    /// @notice Ends a pause: the owner's alone, so that a stolen guardian's key can stop and not start.
    function unpause() external onlyOwner {
        _unpause();
    }

    // --- Keys ----------------------------------------------------------------------------------------

    /// @notice Names who is to take a role over; the holder stays until the nominee accepts. Zero takes the naming back.
    function nominate(Role role, address nominee) external onlyOwner {
        nomineeOf[role] = nominee;
        emit Nominated(role, holderOf[role], nominee);
    }

    /// @notice Takes over a role that one was named for. The key before it is refused from here on, and what it
    /// proposed, or what was proposed for it to confirm, has to be proposed again.
    function accept(Role role) external {
        if (nomineeOf[role] != msg.sender) revert NotNominated(msg.sender, role);
        delete nomineeOf[role];
        if (role != Role.Guardian) delete proposal;
        address previousHolder = holderOf[role];
        _hold(role, msg.sender);
        emit Rotated(role, previousHolder, msg.sender);
    }

    /// @notice Refused: without an owner no lost key could be replaced and no pause ended.
    function renounceOwnership() public view override onlyOwner {
        revert OwnerNeeded();
    }

    // --- Reading -------------------------------------------------------------------------------------

    /// @notice The root that claims are paid from now, whether or not anyone has activated it yet.
    function currentDistribution() external view returns (Distribution memory) {
        return _isDue() ? _pending : _current;
    }

    /// @notice The root before it, which can still be claimed against.
    function previousDistribution() external view returns (Distribution memory) {
        return _isDue() ? _current : _previous;
    }

    /// @notice The confirmed root whose delay has not passed, or zeros.
    function pendingDistribution() external view returns (Distribution memory none) {
        return _isDue() ? none : _pending;
    }

    // --- Inner workings ------------------------------------------------------------------------------

    function _isDue() private view returns (bool) {
        return _pending.root != bytes32(0) && block.timestamp >= _pending.activatesAt && !paused();
    }

    function _activate() private {
        if (!_isDue()) return;
        _previous = _current;
        _current = _pending;
        for (uint256 i = 0; i < _pendingTotals.length; i++) {
            Total storage total = _pendingTotals[i];
            if (committed[total.token] == 0) tokenCount++;
            committed[total.token] = total.cumulative;
        }
        delete _pending;
        delete _pendingTotals;
        emit Activated(_current.root, _current.endTime);
    }

    /// @dev A root is new, its day is later and over, and everything that it promises is here.
    function _check(bytes32 root, uint64 endTime, Total[] calldata totals) private view {
        if (root == bytes32(0)) revert NoRoot();
        if (wasConfirmed[root]) revert RepeatedRoot(root);
        if (_pending.root != bytes32(0)) revert RootPending(_pending.root, _pending.activatesAt);
        if (endTime <= _current.endTime) revert EndTimeNotLater(endTime, _current.endTime);
        if (endTime > block.timestamp) revert EndTimeInFuture(endTime);
        if (totals.length == 0 || totals.length > TOKENS_MAX) revert TokenCount(totals.length);
        uint256 known = 0;
        for (uint256 i = 0; i < totals.length; i++) {
            (address token, uint256 cumulative) = (totals[i].token, totals[i].cumulative);
            if (i > 0 && token <= totals[i - 1].token) revert TokensNotAscending(token);
            if (cumulative == 0) revert NothingPromised(token);
            if (committed[token] > 0) known++;
            if (cumulative < committed[token]) revert TotalFalls(token, committed[token], cumulative);
            uint256 outstanding = cumulative - paid[token];
            uint256 balance = IERC20(token).balanceOf(address(this));
            if (outstanding > balance) revert Insolvent(token, outstanding, balance);
        }
        // a tree without a token that was promised before would strand its claimants
        if (known != tokenCount) revert TokensMissing(known, tokenCount);
    }

    /// @dev No key holds two roles, so that one signer publishes nothing.
    function _hold(Role role, address holder) private {
        if (holder == address(0)) revert NoKey(role);
        for (uint8 i = 0; i <= uint8(type(Role).max); i++) {
            if (holderOf[Role(i)] == holder) revert HolderOfAnotherRole(holder, Role(i));
        }
        holderOf[role] = holder;
    }
}
