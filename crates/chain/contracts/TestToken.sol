// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token for tests: whoever deploys it owns the whole supply.
contract TestToken is ERC20 {
    constructor(uint256 supply) ERC20("Test TALE", "tTALE") {
        _mint(msg.sender, supply);
    }
}
