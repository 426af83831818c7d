use serde_json::json;

use crate::{installation::Up, tale::Place};

#[test]
fn the_vesting_table_is_computed_without_an_installation() {
    let place = Place::new();
    let schedule = ["vesting", "schedule", "--start", "2026-01-01"];
    place.tale(&schedule).succeeded().says(&["investor-amplification", "2026-06-30", "5,890,000", "reserve"]);

    let json_of = |more: &[&str]| {
        let arguments: Vec<&str> = schedule.iter().chain(more).copied().chain(["--output", "json"]).collect();
        place.tale(&arguments).succeeded().json()
    };
    let liquidity = json_of(&["--pool", "liquidity"]);
    let whole = "20000000000000000000000000";
    let expected = json!([{
        "pool": "liquidity", "number": 0, "day": "2026-01-01", "amount": whole, "cumulative": whole
    }]);
    assert_eq!(liquidity, expected);
    let reached = json_of(&["--pool", "advisor", "--at", "2027-01-25"]);
    assert_eq!(reached[0]["released"], "0");
    assert_eq!(reached[0]["next_day"], "2027-01-26");
    // 1 + 10, 1 + 7, 1 + 60, 1 + 60, 1 + 24, 1, 48, 36 and 24 parts
    assert_eq!(json_of(&[]).as_array().unwrap().len(), 275);

    let arguments = [&schedule[..], &["--pool", "marketing", "--csv"]].concat();
    let csv = place.tale(&arguments).succeeded().stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 26);
    assert_eq!(lines[0], "pool,number,day,amount,cumulative");
    assert_eq!(lines[1], "marketing,0,2026-01-01,3000000000000000000000000,3000000000000000000000000");
    let arguments = [&schedule[..], &["--at", "2026-01-01", "--csv"]].concat();
    let csv = place.tale(&arguments).succeeded().stdout;
    assert!(csv.starts_with("pool,day,allocation,released,left,next_day,next_amount\ninvestor,"), "{csv}");

    let arguments = [&schedule[..], &["--pool", "founder"]].concat();
    place.tale(&arguments).failed(2, &["no vesting pool founder", "investor, investor-amplification"]);
    place.tale(&["vesting", "schedule"]).failed(2, &["no installation"]);
    assert!(place.names(".").is_empty());
}

#[test]
fn a_night_posts_the_due_releases_once_and_status_tells_what_waits() {
    let up = Up::start();
    up.tale(&["vesting", "schedule"]).failed(2, &["not set", "tale vesting start DAY"]);
    up.tale(&["vesting", "status"]).failed(2, &["not set"]);
    // before the start is set, a night posts nothing
    let night = ["run", "nightly-vesting", "-p", "day=2026-03-15", "--wait", "--output", "json"];
    let outputs = |ended: crate::tale::Ended| ended.succeeded().json()["outputs"].clone();
    assert_eq!(outputs(up.tale(&night)), json!({ "start": null, "posted": 0, "amount": "0" }));

    up.tale(&["vesting", "start", "2026-01-01"]).succeeded().says(&["starts on 2026-01-01"]);
    up.tale(&["vesting", "start", "2026-01-01"]).succeeded().says(&["as was set before"]);
    up.tale(&["vesting", "start", "2026-01-02"]).failed(2, &["2026-01-01, not on 2026-01-02", "set once"]);
    up.tale(&["vesting", "status", "--at", "2026-03-15"]).failed(1, &[]);

    let posted = outputs(up.tale(&night));
    assert_eq!((posted["start"].as_str(), posted["posted"].as_u64()), (Some("2026-01-01"), Some(10)));
    assert_eq!(outputs(up.tale(&night))["posted"], 0);
    up.tale(&["vesting", "status", "--at", "2026-03-15"])
        .succeeded()
        .says(&["settlement, daily", "every due release is in the ledger"]);
    let status = up.tale(&["vesting", "status", "--at", "2026-03-15", "--output", "json"]).succeeded().json();
    let generator = &status["pools"][3];
    assert_eq!(generator["pool"], "generator");
    assert_eq!(
        (generator["waiting"].as_u64(), generator["posted"].as_str()),
        (Some(0), Some("8200000000000000000000000"))
    );
    up.tale(&["ledger", "verify"]).succeeded().says(&["10 journals", "everything agrees"]);
    up.tale(&["audit"]).succeeded().says(&["vesting.start", "2026-01-01"]);
    up.tale(&["run", "nightly-vesting", "-p", "day=2126-01-01", "--wait"]).failed(1, &["has not come"]);
}
