use serde_json::json;

use crate::installation::Up;

const ACCOUNT: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

#[test]
fn a_withdrawal_that_may_not_be_is_refused_with_its_reason_and_the_remedy() {
    let up = Up::start();
    let request = |more: &[&str]| {
        let first = ["withdrawals", "request", "500", "--account", ACCOUNT, "--key", "first"];
        up.tale(&[&first[..], more].concat())
    };
    request(&["--country", "CH"]).failed(2, &["before the token's start", "tale vesting start DAY"]);
    up.tale(&["vesting", "start", "2026-01-01"]).succeeded();
    request(&["--country", "ch"]).failed(2, &["two capital letters"]);
    request(&["--country", "KP"]).failed(2, &["from KP are restricted"]);
    request(&["--country", "CH", "--to", "moon"]).failed(2, &["account or chain"]);
    request(&["--country", "CH", "--asset", "TALE"])
        .failed(2, &["only be withdrawn to the chain", "--to chain"]);
    let late = ["--country", "CH", "--days", "8", "--on", "2026-06-01"];
    request(&late).failed(2, &["90 days, 30 days less 25 %", "--days"]);
    request(&["--country", "CH"]).failed(1, &["would overdraw holder:", ":xTALE"]);
    let small = ["withdrawals", "request", "1", "--account", ACCOUNT, "--key", "k", "--country", "CH"];
    up.tale(&small).failed(2, &["at least"]);
    up.tale(&["withdrawals", "cancel", "7"]).failed(2, &["no withdrawal 7", "tale withdrawals list"]);
    up.tale(&["withdrawals", "show", "7"]).failed(2, &["no withdrawal 7"]);

    let deny = ["withdrawals", "deny", ACCOUNT, "--reason", "a court's order"];
    up.tale(&deny).succeeded().says(&["denied"]);
    up.tale(&deny).succeeded().says(&["denied already"]);
    request(&["--country", "CH"]).failed(2, &["a court's order", "tale withdrawals allow"]);
    up.tale(&["withdrawals", "denials"]).succeeded().says(&[ACCOUNT, "a court's order"]);
    up.tale(&["withdrawals", "allow", ACCOUNT]).succeeded().says(&["allowed again"]);
    up.tale(&["audit"]).succeeded().says(&["withdrawals.deny", "withdrawals.allow"]);

    let none = up.tale(&["withdrawals", "list", "--output", "json"]).succeeded().json();
    assert_eq!(none, json!([]));
    let payable = up.tale(&["withdrawals", "payable"]).succeeded();
    assert_eq!(payable.stdout, "account,token,cumulative\n");
    up.tale(&["withdrawals", "payable", "--at", "2126-01-01"]).failed(2, &["is not over", "--at"]);
    up.tale(&["ledger", "verify"]).succeeded().says(&["0 journals"]);
}
