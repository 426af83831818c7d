use serde_json::{Value, json};

use crate::installation::Up;

const OWNER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn json_of(up: &Up, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
    up.tale(&arguments).succeeded().json()
}

#[test]
fn a_network_without_stakes_says_so_and_refuses_what_nobody_holds() {
    let up = Up::start();
    up.tale(&["staking", "status"]).succeeded().says(&["total locked", "flexible rate", "8 %"]);
    assert_eq!(json_of(&up, &["staking", "list"]), json!([]));
    let stake = |more: &[&str]| {
        let arguments = [&["staking", "stake", "100", "--owner", OWNER, "--key", "first"][..], more].concat();
        up.tale(&arguments)
    };
    stake(&[]).failed(1, &["would overdraw holder:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed:TALE"]);
    stake(&["--lock", "90"]).failed(2, &["no lock of 90 days", "60, 120 and 360"]);
    stake(&["--on", "2126-01-01"]).failed(1, &["has not come"]);
    up.tale(&["staking", "stake", "0.5", "--owner", OWNER, "--key", "small"]).failed(2, &["at least"]);
    up.tale(&["staking", "unstake", "7"]).failed(2, &["no position 7", "tale staking list"]);
    up.tale(&["ledger", "verify"]).succeeded().says(&["0 journals"]);
}

#[test]
fn a_budget_is_filled_from_the_community_fund_once_and_a_night_accrues() {
    let up = Up::start();
    let fund = ["staking", "fund", "1000000", "--key", "2026"];
    up.tale(&fund).failed(1, &["would overdraw pool:community-growth:TALE"]);
    up.tale(&["vesting", "start", "2026-01-01"]).succeeded();
    up.tale(&["run", "nightly-vesting", "-p", "day=2026-01-01", "--wait"]).succeeded();
    up.tale(&fund).succeeded().says(&["1,000,000 TALE moved"]);
    assert_eq!(json_of(&up, &fund)["changed"], false);
    up.tale(&["audit"]).succeeded().says(&["staking.fund", "2026"]);

    // the whole supply that circulates, a part of it in the budget
    let status = json_of(&up, &["staking", "status"]);
    assert_eq!(status["circulating"], "51200000000000000000000000");
    assert_eq!(status["budget"], "1000000000000000000000000");
    let nothing = json!({
        "days": 0, "rewards": "0", "locks_ended": 0, "withdrawals_paid": 0, "withdrawn": "0"
    });
    let night = ["run", "nightly-tokens", "-p", "day=2026-01-05", "--wait"];
    assert_eq!(json_of(&up, &night)["outputs"], nothing);
    up.tale(&["run", "nightly-tokens", "-p", "day=2126-01-05", "--wait"]).failed(1, &["is not over"]);
}
