//! Revenue, dividends and the sale of licences.

use std::{path::Path, sync::Arc};

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, TimeDelta, Utc};
use parquet::arrow::ArrowWriter;

use crate::{installation::Up, tale::Place};

const HOLDER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const OTHER: &str = "0x52908400098527886E0F7030069857D2E4169EE7";

/// A sale in cents: id, time, work, amount.
type Sale<'a> = (&'a str, &'a str, &'a str, &'a str);

fn write_log(path: &Path, rows: &[Sale<'_>]) {
    let texts = |of: &dyn Fn(&Sale<'_>) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
    };
    let micros = rows.iter().map(|row| row.1.parse::<DateTime<Utc>>().unwrap().timestamp_micros());
    let at = TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC");
    let batch = RecordBatch::try_from_iter([
        ("event_id", texts(&|row| row.0.to_owned())),
        ("occurred_at", Arc::new(at) as ArrayRef),
        ("kind", texts(&|_| "publishing".to_owned())),
        ("work", texts(&|row| row.2.to_owned())),
        ("amount", texts(&|row| row.3.to_owned())),
        ("asset", texts(&|_| "USD".to_owned())),
        ("payer", texts(&|_| "reader".to_owned())),
    ])
    .unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_log_is_checked_and_each_wrong_row_is_named() {
    let place = Place::new();
    let right = ("a", "2024-03-01T10:00:00Z", "work-1", "100");
    write_log(&place.path().join("right.parquet"), &[right, right]);
    place
        .tale(&["revenue", "check", "right.parquet"])
        .succeeded()
        .says(&["right.parquet: 2 rows, 1 events, 1 repeated: everything is right"]);
    let wrong =
        [right, ("b", "2024-03-01T10:00:00Z", "work 1", "100"), ("c", "2024-03-01T10:00:00Z", "w", "1.5")];
    write_log(&place.path().join("wrong.parquet"), &wrong);
    let ended = place.tale(&["revenue", "check", "wrong.parquet"]);
    assert_eq!(ended.code, Some(1));
    ended.says(&[
        "wrong.parquet, row 1, column work: \"work 1\"",
        "row 2, column amount",
        "2 rows are wrong",
    ]);
    let json = place.tale(&["revenue", "check", "wrong.parquet", "--output", "json"]);
    assert_eq!(json.code, Some(1));
    assert_eq!((&json.json()["rows"], &json.json()["problems"][1]["row"]), (&3.into(), &2.into()));

    place.write("log.csv", "event_id,amount\n");
    place.tale(&["revenue", "check", "log.csv"]).failed(2, &["log.csv", "not a Parquet file", "README.md"]);
    place.tale(&["revenue", "check", "none.parquet"]).failed(2, &["none.parquet"]);
    assert_eq!(place.names("."), ["log.csv", "right.parquet", "wrong.parquet"], "nothing was started");
}

#[test]
fn a_days_revenue_is_divided_by_a_run_and_explained() {
    let up = Up::start();
    let log = up.path().join("data/objects/revenue/1.parquet");
    write_log(
        &log,
        &[("a", "2024-03-01T10:00:00Z", "work-1", "1000"), ("b", "2024-03-01T11:00:00Z", "work-2", "9")],
    );
    let holdings = format!(
        "work,holder,valid_from,units\nwork-1,{HOLDER},2024-02-01T00:00:00Z,2\nwork-1,{OTHER},2024-02-01T00:00:00Z,1\n"
    );
    std::fs::write(up.path().join("holdings.csv"), &holdings).unwrap();
    up.tale(&["dividends", "record", "holdings.csv"])
        .succeeded()
        .says(&["2 changes of holdings, 2 of them new"]);
    up.tale(&["dividends", "record", "holdings.csv"]).succeeded().says(&["0 of them new"]);
    std::fs::write(up.path().join("other.csv"), holdings.replace(",2\n", ",3\n")).unwrap();
    up.tale(&["dividends", "record", "other.csv"]).failed(2, &["work-1", "other units", "later instant"]);
    std::fs::write(up.path().join("other.csv"), holdings.replace(",2\n", ",-2\n")).unwrap();
    up.tale(&["dividends", "record", "other.csv"]).failed(2, &["other.csv, line 2", "units"]);
    up.tale(&["dividends", "holders", "work-1", "--day", "2024-03-01"]).succeeded().says(&[HOLDER, OTHER]);
    up.tale(&["dividends", "show", "2024-03-01"]).failed(1, &["not divided", "nightly-dividends"]);

    let run = ["run", "nightly-dividends", "-p", "epoch=2024-03-01", "--wait", "--output", "json"];
    let first = up.tale(&run).succeeded().json();
    assert_eq!(
        (&first["outputs"]["changed"], &first["outputs"]["events"]),
        (&true.into(), &2.into()),
        "{first:#}"
    );
    let again = up.tale(&run).succeeded().json();
    assert_eq!(again["outputs"]["changed"], false);
    assert_eq!(again["outputs"]["result_digest"], first["outputs"]["result_digest"]);

    up.tale(&["dividends", "list"]).succeeded().says(&["2024-03-01"]);
    let shown = up.tale(&["dividends", "show", "2024-03-01"]).succeeded();
    shown.says(&["revenue/1.parquet", "work-2", "publishing", "5.1", "4.9"]);
    let shown = up.tale(&["dividends", "show", "2024-03-01", "--output", "json"]).succeeded().json();
    assert_eq!(shown["result"]["totals"][0]["carried"], "5", "nobody holds work 2");
    assert_eq!(shown["epoch"]["result_digest"], first["outputs"]["result_digest"]);
    up.tale(&["dividends", "explain", HOLDER]).succeeded().says(&["work-1", "3.27", "USD"]);
    let explained = up.tale(&["dividends", "explain", OTHER, "--output", "json"]).succeeded().json();
    assert_eq!((&explained[0]["amount"], &explained[0]["units_total"]), (&"163".into(), &"3".into()));
    up.tale(&["ledger", "verify"]).succeeded().says(&["1 journals", "everything agrees"]);

    // a day that goes on is not divided, and a bad row stops a run by its place
    let today = Utc::now().format("epoch=%Y-%m-%d").to_string();
    up.tale(&["run", "nightly-dividends", "-p", &today, "--wait"]).failed(1, &["is not over"]);
    write_log(&log.with_file_name("2.parquet"), &[("c", "2024-03-02T10:00:00Z", "work-1", "0")]);
    up.tale(&["run", "nightly-dividends", "-p", "epoch=2024-03-02", "--wait"])
        .failed(1, &["revenue/2.parquet, row 0, column amount"]);
}

#[test]
fn licences_are_reserved_paid_refunded_and_never_sold_twice() {
    let up = Up::start();
    let time = |hours: i64| (Utc::now() + TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let schedule = ["sales", "schedule", "1", "--opens", &time(-1), "--closes", &time(1)];
    up.tale(&schedule).succeeded().says(&["round 1 sells from"]);
    let overlapping = ["sales", "schedule", "2", "--opens", &time(0), "--closes", &time(2)];
    up.tale(&overlapping).failed(1, &["round 2 would overlap round 1"]);
    up.tale(&["sales", "rounds"]).succeeded().says(&["open", "unscheduled", "98", "6500", "sl1"]);

    let reserve = ["sales", "reserve", "1", HOLDER, "2", "--key", "order-1"];
    up.tale(&reserve).failed(1, &["is public", "round 1 sells to sl1", "tale sales eligibility"]);
    up.tale(&["sales", "allow", HOLDER, "sl1", "--source", "snapshot"]).succeeded().says(&["on list sl1"]);
    up.tale(&["sales", "eligibility", HOLDER]).succeeded().says(&["is sl1", "open", "20"]);
    up.tale(&reserve).succeeded().says(&["order-1 is reserved", "196 USD", "to be paid before"]);
    up.tale(&reserve).succeeded().says(&["was already reserved"]);
    let other = ["sales", "reserve", "1", HOLDER, "3", "--key", "order-1"];
    up.tale(&other).failed(1, &["order-1 exists already", "another key"]);
    let more = ["sales", "reserve", "1", HOLDER, "19", "--key", "order-2"];
    up.tale(&more).failed(1, &["may have 18 more licences"]);

    let pay = |cents: &str| up.tale(&["sales", "pay", "order-1", "--payment", "bank-7", "--cents", cents]);
    pay("19599").failed(1, &["costs 19600 cents", "19599 were paid"]);
    pay("19600").succeeded().says(&["order-1 is paid"]);
    pay("19600").succeeded().says(&["was already paid"]);
    let shown = up.tale(&["sales", "show", "order-1", "--output", "json"]).succeeded().json();
    assert_eq!((&shown["state"], shown["licences"].as_array().unwrap().len()), (&"paid".into(), 2));
    up.tale(&["sales", "show", HOLDER]).succeeded().says(&["order-1", "196", "paid"]);
    up.tale(&["sales", "show", "order-9"]).failed(1, &["no purchase order-9"]);

    let cancelled = up.tale(&["sales", "cancel", "order-1", "--output", "json"]).succeeded().json();
    assert_eq!((&cancelled["state"], &cancelled["changed"]), (&"refunded".into(), &true.into()));
    let rounds = up.tale(&["sales", "rounds", "--output", "json"]).succeeded().json();
    assert_eq!((&rounds[0]["sold"], &rounds[0]["reserved"]), (&0.into(), &0.into()));
    up.tale(&["ledger", "verify"]).succeeded().says(&["2 journals", "everything agrees"]);
    up.tale(&["run", "licence-sale", "--wait"]).succeeded();
    up.tale(&["audit"]).succeeded().says(&["sales.pay", "sales.cancel", "sales.allow"]);
}
