//! `tale ledger` against an installation with one settled day.

use serde_json::json;

use crate::{installation::Up, tale::Place};

const POOL: &str = "pool:generator:xTALE";

#[test]
fn the_ledger_of_a_settled_day_is_read_limited_exported_and_audited() {
    let up = Up::start();
    up.tale(&["run", "nightly-settlement", "-p", "epoch=2026-01-01", "--wait"]).succeeded();

    // balances, now and then
    let total =
        up.tale(&["ledger", "balance", POOL, "--at-journal", "1", "--output", "json"]).succeeded().json();
    assert_eq!((&total["journal"], &total["debits"]), (&json!(1), &json!("0")));
    let after =
        up.tale(&["ledger", "balance", POOL, "--epoch", "2026-01-01", "--output", "json"]).succeeded().json();
    assert_ne!(after["debits"], "0");
    let now = up.tale(&["ledger", "balance", POOL, "--output", "json"]).succeeded().json();
    assert_eq!(now["balance"], after["balance"]);
    let before = ["ledger", "balance", POOL, "--at", "2020-01-01T00:00:00Z"];
    up.tale(&before).succeeded().says(&["as of journal", "balance"]);
    up.tale(&["ledger", "balance", POOL, "--at-journal", "999"]).failed(1, &["no journal 999"]);
    up.tale(&["ledger", "balance", "pool"]).failed(2, &["pool", "kind:name:asset"]);

    // limits and holds
    let limit = ["ledger", "limit", POOL, "--floor", "7", "--key", "a floor", "--output", "json"];
    assert_eq!(up.tale(&limit).succeeded().json()["changed"], true);
    assert_eq!(up.tale(&limit).succeeded().json()["changed"], false);
    let limits = up.tale(&["ledger", "limits", "--output", "json"]).succeeded().json();
    assert_eq!(limits, json!([{ "account": POOL, "floor": "7", "ceiling": null }]));
    let too_low = ["ledger", "limit", POOL, "--ceiling", "1", "--key", "a ceiling"];
    up.tale(&too_low).failed(1, &["above its ceiling", POOL]);
    assert_eq!(up.tale(&["ledger", "holds", "--output", "json"]).succeeded().json(), json!([]));
    assert_eq!(
        up.tale(&["ledger", "expire", "--output", "json"]).succeeded().json(),
        json!({ "expired": 0 })
    );
    up.tale(&["ledger", "assets"]).succeeded().says(&["xTALE", "18", "USD", "cents"]);

    // the export is the same every time, and its digest that of the file
    let export = ["ledger", "export", "--to", "2", "--output", "json", "--out"];
    let written = ["a.csv", "b.csv", "c.parquet"].map(|file| {
        let arguments: Vec<&str> = export.iter().copied().chain([file]).collect();
        up.tale(&arguments).succeeded().json()
    });
    assert_eq!(written[0]["digest"], written[1]["digest"]);
    assert_eq!(written[0]["entries"], written[2]["entries"]);
    let text = up.place.read("a.csv");
    assert_eq!(written[0]["size_bytes"], text.len());
    assert!(text.starts_with("journal,key,event,epoch,posted_at,line,account,side,amount\r\n1,"), "{text}");
    assert_eq!(text.lines().count() as u64, written[0]["entries"].as_u64().unwrap() + 1);
    up.tale(&["ledger", "export", "--out", "a.csv"]).failed(2, &["a.csv is there already"]);
    up.tale(&["ledger", "export", "--out", "entries"]).failed(2, &["--format"]);

    // heads that were kept
    let head = written[0]["head"].as_str().unwrap();
    up.tale(&["ledger", "verify", "--head", head]).succeeded().says(&["everything agrees", "0 holds"]);
    let another = format!("1:{}", "ab".repeat(32));
    up.tale(&["ledger", "verify", "--head", &another])
        .code(1)
        .says(&["no link of this chain", "1 discrepancy"]);
    up.tale(&["ledger", "verify", "--head", "1"]).failed(2, &["journal:digest"]);
}

#[test]
fn a_night_is_measured_over_the_products_own_path() {
    let place = Place::new();
    let bench = ["bench", "settlement", "--data-dir", "data", "--output", "json", "--accounts"];
    let of = |accounts| bench.iter().copied().chain([accounts]).collect::<Vec<_>>();
    let measured = place.tale(&of("40")).succeeded().json();
    assert_eq!(measured["accounts"], 40);
    for what in ["allocate", "tree", "post", "reconcile", "close", "rerun"] {
        assert!(measured[format!("{what}_seconds")].is_f64(), "{measured}");
    }
    place.tale(&of("0")).failed(2, &["--accounts"]);
}
