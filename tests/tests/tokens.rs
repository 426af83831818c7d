//! What is earned leaves as tokens, is staked, and comes back: through the binary, from the first reward on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;
use tale_tests::Home;

const TOKEN: u128 = 1_000_000_000_000_000_000;

/// The base units of an amount in JSON.
fn units(amount: &Value) -> u128 {
    amount.as_str().unwrap().parse().unwrap()
}

fn balance_of(home: &Home, account: &str) -> u128 {
    let accounts = home.json(&["ledger", "balances"]);
    let found = accounts.as_array().unwrap().iter().find(|row| row["account"] == account);
    found.map_or(0, |row| units(&row["balance"]))
}

/// Runs a pipeline about one day, and gives its outputs.
fn night(home: &Home, pipeline: &str, day: &str) -> Value {
    home.json(&["run", pipeline, "-p", &format!("day={day}"), "--wait"])["outputs"].clone()
}

#[test]
fn a_reward_is_withdrawn_staked_and_left_early_and_the_books_agree_throughout() {
    let home = Home::new();
    home.json(&["demo", "--rounds", "1", "--seed", "3"]);
    let up = home.start(&["up", "--slots", "2", "--no-schedules"], "taleworks is up");
    let accounts = home.json(&["ledger", "balances", "--kind", "holder", "--asset", "xTALE"]);
    let richest = accounts.as_array().unwrap().iter().max_by_key(|row| units(&row["balance"])).unwrap();
    let (account, earned) = (richest["account"].as_str().unwrap(), units(&richest["balance"]));
    let owner = account.split(':').nth(1).unwrap();
    assert!(earned > 2_000 * TOKEN, "{earned}");

    // the token's first days: its pools are unlocked, and a part becomes the budget of stakes
    home.json(&["vesting", "start", "2026-01-01"]);
    assert_eq!(night(&home, "nightly-vesting", "2026-01-05")["posted"], 6);
    home.json(&["staking", "fund", "100000", "--key", "first"]);

    let request = |key: &str, to: &str| {
        let arguments = [
            "withdrawals",
            "request",
            "1000",
            "--account",
            owner,
            "--country",
            "CH",
            "--key",
            key,
            "--to",
            to,
            "--on",
            "2026-01-05",
        ];
        home.json(&arguments)
    };
    assert_eq!(units(&request("here", "account")["withdrawal"]["net"]), 980 * TOKEN);
    assert_eq!(request("here", "account")["changed"], false);
    request("away", "chain");
    assert_eq!(balance_of(&home, account), earned - 2_000 * TOKEN);
    let paid = night(&home, "nightly-tokens", "2026-01-12");
    assert_eq!((paid["withdrawals_paid"].as_u64(), units(&paid["withdrawn"])), (Some(2), 1_960 * TOKEN));
    assert_eq!(night(&home, "nightly-tokens", "2026-01-12")["withdrawals_paid"], 0);
    let tokens = account.replace("xTALE", "TALE");
    assert_eq!(balance_of(&home, &tokens), 980 * TOKEN);
    assert_eq!(balance_of(&home, "pool:claimable:TALE"), 980 * TOKEN);

    let stake =
        ["staking", "stake", "500", "--owner", owner, "--lock", "60", "--key", "first", "--on", "2026-01-13"];
    let position = home.json(&stake)["position"]["id"].to_string();
    assert_eq!(night(&home, "nightly-tokens", "2026-01-20")["days"], 7);
    let accrued = home.json(&["staking", "list", "--owner", owner])[0]["accrued"].clone();
    // 500 TALE at 6 % for seven days
    assert_eq!(units(&accrued), 7 * (500 * TOKEN * 60_000 / 365_000_000));
    let refused = home.run(&["staking", "unstake", &position, "--on", "2026-01-25"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    let left = home.json(&["staking", "unstake", &position, "--on", "2026-01-25", "--early"]);
    assert_eq!(units(&left["position"]["returned"]), 490 * TOKEN);
    assert_eq!(balance_of(&home, &tokens), 970 * TOKEN);
    assert_eq!(balance_of(&home, "pool:staking-rewards:TALE"), 100_000 * TOKEN);

    assert_eq!(home.json(&["ledger", "verify"])["discrepancies"], serde_json::json!([]));
    assert_eq!(up.interrupt(), Some(0));
}
