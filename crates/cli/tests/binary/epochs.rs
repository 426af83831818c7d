//! Settling, looking at, holding and correcting epochs.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tale_database::{DataDirectory, EmbeddedCluster};
use tale_network::{NewGenerator, register_generators};
use tale_primitives::{Address, Digest, GeneratorId};
use tale_treasury::{Class, NewContributions, record_contributions};

use crate::installation::Up;

/// The installation's database.
async fn connect(up: &Up) -> PgConnection {
    let directory = DataDirectory::open(up.place.path().join("data")).unwrap();
    let url = EmbeddedCluster::find_running(&directory).unwrap();
    PgConnection::connect(&url).await.unwrap()
}

fn owner(number: u32) -> Address {
    Address::derive(&format!("owner {number}"))
}

/// Five generators of five owners, who earn in every class.
async fn earn(conn: &mut PgConnection, day: &str) {
    let id = |number: u32| GeneratorId::derive("cli", &number.to_string());
    let generator = |number: u32| NewGenerator {
        id: id(number),
        name: format!("generator-{number}").parse().unwrap(),
        owner: owner(number),
        is_participant: true,
        is_validator: true,
        credibility_ppm: 1_000_000,
    };
    register_generators(conn, &(1..=5).map(generator).collect::<Vec<_>>()).await.unwrap();
    for class in Class::ALL {
        let points = (1..=5).map(|number| (id(number), i64::from(number) * 10)).collect();
        let source = format!("{day}/{class}");
        let batch = NewContributions { source, day: day.parse().unwrap(), class, points };
        record_contributions(conn, &batch).await.unwrap();
    }
}

fn json_of(up: &Up, arguments: &[&str]) -> Value {
    up.tale(&[arguments, &["--output", "json"]].concat()).succeeded().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_settled_by_hand_verified_explained_and_corrected() {
    let up = Up::start();
    let mut conn = connect(&up).await;
    earn(&mut conn, "2026-01-01").await;

    let rehearsed = json_of(&up, &["settle", "2026-01-01", "--dry-run"]);
    assert_eq!((&rehearsed["dry_run"], &rehearsed["changed"]), (&json!(true), &json!(true)));
    assert_eq!(json_of(&up, &["epoch", "list"]), json!([]), "a dry run changes nothing");
    let settled = json_of(&up, &["settle", "2026-01-01"]);
    assert_eq!((&settled["changed"], &settled["epoch"]["state"]), (&json!(true), &json!("published")));
    assert_eq!(settled["result"], rehearsed["result"], "it is what was shown");
    assert_eq!(settled["epoch"]["root"], rehearsed["epoch"]["root"]);
    assert_eq!(json_of(&up, &["settle", "2026-01-01"])["changed"], false);
    up.tale(&["settle", "2026-01-01"]).succeeded().says(&["nothing changed", "validation", "carried over"]);

    let verified = json_of(&up, &["epoch", "verify", "2026-01-01"]);
    let checks = verified["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 9);
    assert!(checks.iter().all(|check| check["outcome"] == "agrees"), "{verified:#}");

    let manifest = up.tale(&["epoch", "show", "2026-01-01", "--manifest"]).succeeded().stdout;
    let digest = Digest::of(manifest.trim_end()).to_string();
    assert_eq!(settled["epoch"]["manifest_digest"], digest.as_str());
    let account = owner(2).to_string();
    let explained = json_of(&up, &["epoch", "explain", &account]);
    assert_eq!(explained["classes"].as_array().unwrap().len(), 3);
    assert_eq!(explained["classes"][0]["lines"][0]["sources"][0]["source"], "2026-01-01/compute");
    assert_eq!(explained["claim"]["cumulative"], explained["net"]);
    assert_eq!(explained["journal"]["amount"], explained["net"]);
    up.tale(&["epoch", "explain", &account]).succeeded().says(&["div", "gross", "proof of"]);

    let reason = ["--reason", "counted twice"];
    let over_paid = explained["net"].as_str().unwrap();
    let correct =
        [&["epoch", "correct", "2026-01-01", "--account", &account, "--key", "audit-1"][..], &reason];
    let correct = [&correct.concat()[..], &["--over-paid", over_paid]].concat();
    for _ in 0..2 {
        let owed = json_of(&up, &correct);
        assert_eq!((owed.as_array().unwrap().len(), &owed[0]["outstanding"]), (1, &explained["net"]));
    }
    let more =
        [&correct[..correct.len() - 4], &["audit-2", "--reason", "again", "--over-paid", "1"]].concat();
    let more: Vec<&str> = more.into_iter().filter(|word| *word != "audit-1").collect();
    up.tale(&more).failed(1, &["is corrected already"]);
    up.tale(&["epoch", "receivables", "--account", &account]).succeeded().says(&["audit-1", "counted twice"]);
    up.tale(&["audit"]).succeeded().says(&["epoch.correct", "audit-1"]);

    earn(&mut conn, "2026-01-02").await;
    let next = json_of(&up, &["settle", "2026-01-02"]);
    assert_eq!(next["result"]["repayments"][0]["correction"], "audit-1");
    assert_eq!(json_of(&up, &["epoch", "explain", &account])["net"], "0");
    up.tale(&["epoch", "show", "2026-01-02"]).succeeded().says(&["audit-1", "repaid"]);
    up.tale(&["ledger", "verify"]).succeeded().says(&["everything agrees"]);

    // somebody who may switch triggers off gives an owner one unit of another's
    let theft = "alter table treasury.reward disable trigger reward_immutable;
        update treasury.reward set amount = amount + 1, training_amount = training_amount + 1
        where day = '2026-01-01' and owner = decode(substr($$OWNER$$, 3), 'hex');
        alter table treasury.reward enable trigger reward_immutable";
    let thief = owner(4);
    let theft = theft.replace("OWNER", &thief.to_string().to_lowercase());
    sqlx::raw_sql(sqlx::AssertSqlSafe(theft)).execute(&mut conn).await.unwrap();
    let found = up.tale(&["epoch", "verify", "2026-01-01"]).failed(1, &["2026-01-01", "result differs"]);
    found.says(&["differs", &thief.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_day_is_neither_published_nor_claimed_against_until_it_is_released() {
    let up = Up::start();
    let mut conn = connect(&up).await;
    earn(&mut conn, "2026-01-01").await;
    earn(&mut conn, "2026-01-02").await;
    json_of(&up, &["settle", "2026-01-01"]);
    up.tale(&["epoch", "hold", "2026-01-02", "--reason", "a dispute"])
        .succeeded()
        .says(&["is held", "2026-01-01"]);
    up.tale(&["settle", "2026-01-02"]).failed(1, &["is held since 2026-01-02: a dispute", "tale show"]);
    assert_eq!(json_of(&up, &["epoch", "show", "2026-01-02"])["epoch"]["state"], "posted");
    up.tale(&["epoch", "release", "2026-01-02", "--reason", "settled"]).succeeded().says(&["is released"]);
    up.tale(&["epoch", "release", "2026-01-02", "--reason", "again"]).failed(1, &["is not held"]);
    assert_eq!(json_of(&up, &["settle", "2026-01-02"])["changed"], true);

    let account = owner(1).to_string();
    let epoch_of_claim = |up: &Up| json_of(up, &["claims", "proof", &account])["epoch"].clone();
    assert_eq!(epoch_of_claim(&up), "2026-01-02");
    up.tale(&["epoch", "hold", "2026-01-02", "--reason", "the root was disabled"]).succeeded();
    assert_eq!(epoch_of_claim(&up), "2026-01-01", "the root before it");
    up.tale(&["epoch", "list"]).succeeded().says(&["published (held)"]);
    up.tale(&["audit"]).succeeded().says(&["epoch.hold", "epoch.release"]);
    up.tale(&["epoch", "verify", "2026-01-03"]).failed(1, &["2026-01-03", "tale settle"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_is_not_posted_by_its_deadline_raises_one_alert_and_ends_all_the_same() {
    let pipeline = include_str!("../../../../pipelines/nightly-settlement.yaml");
    assert!(pipeline.contains(r#"cron: "10 0 * * *", timezone: UTC"#), "ten past midnight in UTC");
    assert!(pipeline.contains("deadline: 50m"), "and posted before one");
    let up = Up::start();
    let mut conn = connect(&up).await;
    let mut transaction = conn.begin().await.unwrap();
    sqlx::raw_sql("lock table treasury.epoch in access exclusive mode")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let late = ["run", "nightly-settlement", "-p", "epoch=2026-01-01", "--deadline", "300ms"];
    let run = json_of(&up, &late)["run"].as_str().unwrap().to_owned();
    let alerts = loop {
        let alerts = json_of(&up, &["alerts"]);
        if alerts.as_array().unwrap().iter().any(|alert| alert["run"] == run.as_str()) {
            break alerts;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts:#}");
    transaction.rollback().await.unwrap();
    let settled = json_of(&up, &["settle", "2026-01-01"]);
    assert_eq!(settled["epoch"]["state"], "published");
}
