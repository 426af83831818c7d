use std::{collections::BTreeMap, path::Path};

use rand::{Rng, RngExt, seq::SliceRandom};
use sqlx::{AssertSqlSafe, PgConnection};
use tale_ledger::{AccountKind, BalanceFilter, balance, balances, journal, list_journals, verify};
use tale_monetization::{
    CURRENT_RULESET, DividendPosting, DividendRules, MonetizationError, NewHolding, RevenueEvent, divide,
    explain_dividends, gather_revenue, holders_of, list_dividend_epochs, list_dividend_journals,
    list_revenue_files, load_dividends, load_revenue, post_dividends, record_holdings,
};
use tale_primitives::{Amount, Seed, UtcDay};
use tale_storage::Store;
use tale_testkit::{TestDatabase, announce_on_panic, seeds, tempdir};
use tempfile::TempDir;

use crate::{
    amount, day,
    logs::{Row, sale, write_log},
    wallet,
};

struct Shop {
    _database: TestDatabase,
    conn: PgConnection,
    folder: TempDir,
    store: Store,
}

impl Shop {
    async fn open() -> Self {
        let database = TestDatabase::create().await;
        let conn = database.connection().await;
        let folder = tempdir();
        let store = open(folder.path());
        Self { _database: database, conn, folder, store }
    }

    fn log(&self, name: &str, rows: &[Row]) {
        write_log(&self.folder.path().join(name), rows);
    }

    async fn hold(&mut self, work: u32, holder: u32, from: &str, units: u128) {
        record_holdings(&mut self.conn, &[held(work, holder, from, units)]).await.unwrap();
    }

    async fn divide(&mut self, day: UtcDay) -> Result<DividendPosting, MonetizationError> {
        let rules = DividendRules::load(CURRENT_RULESET)?;
        let gathered = gather_revenue(&mut self.conn, &self.store, day, "revenue/", &rules).await?;
        post_dividends(&mut self.conn, &gathered).await
    }

    async fn balance(&mut self, account: &str) -> Amount {
        balance(&mut self.conn, &account.parse().unwrap()).await.unwrap().amount()
    }
}

fn open(folder: &Path) -> Store {
    Store::open(&format!("file://{}", folder.display())).unwrap()
}

fn held(work: u32, holder: u32, from: &str, units: u128) -> NewHolding {
    NewHolding {
        work: format!("work-{work}").parse().unwrap(),
        holder: wallet(holder),
        valid_from: from.parse().unwrap(),
        units,
    }
}

fn account(holder: u32, asset: &str) -> String {
    format!("holder:{}:{asset}", wallet(holder))
}

#[tokio::test]
async fn a_day_is_divided_from_its_logs_to_the_ledger_and_a_second_run_changes_nothing() {
    let mut shop = Shop::open().await;
    shop.hold(1, 1, "2024-02-01T00:00:00Z", 60).await;
    shop.hold(1, 2, "2024-02-01T00:00:00Z", 40).await;
    let unheld = Row { work: "work-9".to_owned(), ..sale("c", "2024-03-01T10:00:00Z") };
    let token = Row {
        kind: "trading".to_owned(),
        asset: "TALE".to_owned(),
        amount: "1000000000000000001".to_owned(),
        ..sale("d", "2024-03-01T11:00:00Z")
    };
    let tomorrow = sale("e", "2024-03-02T00:00:00Z");
    shop.log("revenue/a.parquet", &[sale("a", "2024-03-01T00:00:00Z"), unheld.clone()]);
    shop.log("revenue/deep/b.parquet", &[sale("b", "2024-03-01T23:59:59.999999Z"), token, tomorrow, unheld]);
    std::fs::write(shop.folder.path().join("revenue/README.txt"), "no log").unwrap();

    let posted = shop.divide(day(1)).await.unwrap();
    assert!(posted.changed);
    assert_eq!(posted.epoch.events, 4);
    // 200 cents of which 98 belong to holders, and 49 of work 9 that nobody holds
    assert_eq!(shop.balance(&account(1, "USD")).await, amount("59"));
    assert_eq!(shop.balance(&account(2, "USD")).await, amount("39"));
    assert_eq!(shop.balance("pool:dividends-carry-over:USD").await, amount("49"));
    assert_eq!(shop.balance("treasury:revenue-share:USD").await, amount("153"));
    assert_eq!(shop.balance("issuance:revenue:USD").await, amount("300"));
    assert_eq!(shop.balance("treasury:fees:TALE").await, amount("25000000000000000"));
    let of_both =
        shop.balance(&account(1, "TALE")).await.checked_add(shop.balance(&account(2, "TALE")).await);
    assert_eq!(of_both, Some(amount("975000000000000001")));

    let files = list_revenue_files(&mut shop.conn, day(1)).await.unwrap();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["revenue/a.parquet", "revenue/deep/b.parquet"]);
    for file in &files {
        let bytes = std::fs::read(shop.folder.path().join(&file.path)).unwrap();
        assert_eq!(shop.store.get(&file.object).await.unwrap(), bytes, "the sealed copy is the file's");
    }
    assert_eq!(load_dividends(&mut shop.conn, day(1)).await.unwrap().unwrap(), posted.result);
    let inputs = load_revenue(&mut shop.conn, day(1)).await.unwrap().unwrap();
    let rules = DividendRules::load(inputs.ruleset()).unwrap();
    assert_eq!(divide(&inputs, &rules).unwrap(), posted.result, "whoever computes it again has the same");

    // what is delivered meanwhile changes nothing of a day that is divided
    shop.log("revenue/late.parquet", &[sale("late", "2024-03-01T12:00:00Z")]);
    let again = shop.divide(day(1)).await.unwrap();
    assert!(!again.changed);
    assert_eq!((again.epoch, again.result), (posted.epoch, posted.result));
    let journals = list_dividend_journals(&mut shop.conn, day(1)).await.unwrap();
    let assets: Vec<&str> = journals.iter().map(|journal| journal.asset.as_str()).collect();
    assert_eq!(assets, ["TALE", "USD"]);
    let journal = journal(&mut shop.conn, journals[1].journal_id).await.unwrap().unwrap();
    assert_eq!(journal.summary.key, "dividends/2024-03-01/0/USD");
    assert_eq!(list_journals(&mut shop.conn).await.unwrap().len(), 2);
    assert!(verify(&mut shop.conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn a_late_event_is_a_correction_of_the_next_day_that_names_its_own() {
    let mut shop = Shop::open().await;
    shop.hold(1, 1, "2024-02-01T00:00:00Z", 10).await;
    shop.log("revenue/1.parquet", &[sale("a", "2024-03-01T10:00:00Z"), sale("b", "2024-03-02T10:00:00Z")]);
    let first = shop.divide(day(1)).await.unwrap();
    // sold the day after: whoever held it on the day on which it earned has the late dividend
    shop.hold(1, 1, "2024-03-02T09:00:00Z", 0).await;
    shop.hold(1, 2, "2024-03-02T09:00:00Z", 10).await;
    shop.log("revenue/2.parquet", &[sale("late", "2024-03-01T23:00:00Z"), sale("a", "2024-03-01T10:00:00Z")]);
    let second = shop.divide(day(2)).await.unwrap();
    let origins: Vec<UtcDay> = second.result.lines.iter().map(|line| line.origin).collect();
    assert_eq!(origins, [day(1), day(2)]);
    assert_eq!(second.epoch.events, 2, "what was counted is not counted again");
    let untouched = load_dividends(&mut shop.conn, day(1)).await.unwrap().unwrap();
    assert_eq!(untouched.digest().unwrap(), first.epoch.result_digest);

    let explained = explain_dividends(&mut shop.conn, wallet(1), None).await.unwrap();
    let told: Vec<_> = explained.iter().map(|one| (one.epoch, one.origin, one.amount.to_string())).collect();
    assert_eq!(told, [(day(1), day(1), "49".to_owned()), (day(2), day(1), "49".to_owned())]);
    assert_eq!((explained[0].units, explained[0].units_total), (10, amount("10")));
    let of_second = explain_dividends(&mut shop.conn, wallet(2), Some(day(2))).await.unwrap();
    assert_eq!((of_second.len(), of_second[0].network), (1, amount("51")));

    // a day without anything new has a result without lines, and no journal
    let idle = shop.divide(day(3)).await.unwrap();
    assert!(idle.changed && idle.result.lines.is_empty());
    assert!(list_dividend_journals(&mut shop.conn, day(3)).await.unwrap().is_empty());
    assert!(!shop.divide(day(3)).await.unwrap().changed);
    assert!(matches!(shop.divide(day(4)).await, Ok(DividendPosting { changed: true, .. })));
    assert_eq!(list_dividend_epochs(&mut shop.conn).await.unwrap().len(), 4);
}

#[tokio::test]
async fn the_record_date_is_the_end_of_the_utc_day_and_not_a_microsecond_later() {
    let mut shop = Shop::open().await;
    shop.hold(1, 1, "2024-03-01T23:59:59.999999Z", 1).await;
    shop.hold(1, 2, "2024-03-02T00:00:00Z", 1).await;
    let work = "work-1".parse().unwrap();
    let holders = holders_of(&mut shop.conn, &work, day(1)).await.unwrap();
    assert_eq!(holders.iter().map(|held| held.holder).collect::<Vec<_>>(), [wallet(1)]);
    assert_eq!(holders_of(&mut shop.conn, &work, day(2)).await.unwrap().len(), 2);

    assert_eq!(record_holdings(&mut shop.conn, &[held(1, 2, "2024-03-02T00:00:00Z", 1)]).await.unwrap(), 0);
    let other = held(1, 2, "2024-03-02T00:00:00Z", 2);
    let batch = [held(1, 3, "2024-03-02T00:00:00Z", 5), other];
    let refused = record_holdings(&mut shop.conn, &batch).await;
    assert!(matches!(refused, Err(MonetizationError::HoldingDiffers { holder, .. }) if holder == wallet(2)));
    assert_eq!(holders_of(&mut shop.conn, &work, day(2)).await.unwrap().len(), 2, "all or none");
}

#[tokio::test]
async fn whatever_contradicts_what_is_known_posts_nothing() {
    let mut shop = Shop::open().await;
    shop.log("revenue/1.parquet", &[sale("a", "2024-03-01T10:00:00Z")]);
    shop.log("revenue/2.parquet", &[Row { amount: "7".to_owned(), ..sale("a", "2024-03-01T10:00:00Z") }]);
    let error = shop.divide(day(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "revenue/2.parquet, row 0, column event_id: event \"a\" stands in revenue/1.parquet, row 0, with other content"
    );
    shop.log("revenue/2.parquet", &[Row { amount: "x".to_owned(), ..sale("b", "2024-03-01T10:00:00Z") }]);
    let error = shop.divide(day(1)).await.unwrap_err();
    assert!(
        matches!(&error, MonetizationError::BadLog { first, count: 1 } if first.column == "amount"),
        "{error}"
    );
    std::fs::remove_file(shop.folder.path().join("revenue/2.parquet")).unwrap();
    shop.divide(day(1)).await.unwrap();

    shop.log("revenue/3.parquet", &[Row { payer: "other".to_owned(), ..sale("a", "2024-03-01T10:00:00Z") }]);
    let error = shop.divide(day(2)).await.unwrap_err();
    assert!(
        matches!(&error, MonetizationError::EventCounted { file, day: counted, .. }
            if file == "revenue/3.parquet" && *counted == day(1)),
        "{error}"
    );
    std::fs::remove_file(shop.folder.path().join("revenue/3.parquet")).unwrap();
    shop.divide(day(3)).await.unwrap();
    assert!(matches!(shop.divide(day(2)).await, Err(MonetizationError::LaterEpochDivided { .. })));
    let today = UtcDay::of(chrono::Utc::now());
    assert!(matches!(shop.divide(today).await, Err(MonetizationError::DayNotOver(_))));
    assert_eq!(list_dividend_epochs(&mut shop.conn).await.unwrap().len(), 2);
}

#[tokio::test]
async fn whoever_changes_what_is_divided_is_refused_or_found() {
    let mut shop = Shop::open().await;
    shop.hold(1, 1, "2024-02-01T00:00:00Z", 10).await;
    shop.log("revenue/1.parquet", &[sale("a", "2024-03-01T10:00:00Z")]);
    shop.divide(day(1)).await.unwrap();
    for table in [
        "holding",
        "dividend_epoch",
        "revenue_file",
        "revenue_event",
        "record_holding",
        "dividend_line",
        "dividend",
        "dividend_journal",
    ] {
        for change in
            [format!("delete from monetization.{table}"), format!("truncate monetization.{table} cascade")]
        {
            let error = sqlx::query(AssertSqlSafe(change)).execute(&mut shop.conn).await.unwrap_err();
            let constraint = error.as_database_error().and_then(|error| error.constraint());
            assert_eq!(constraint, Some("monetization_immutable"), "{table}");
        }
    }
    for (change, what) in [
        ("update monetization.dividend set amount = amount + 1", "result"),
        ("update monetization.revenue_event set payer = 'nobody'", "inputs"),
    ] {
        let table = change.split_whitespace().nth(1).unwrap();
        for statement in [format!("alter table {table} disable trigger all"), change.to_owned()] {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut shop.conn).await.unwrap();
        }
        let found = match what {
            "result" => load_dividends(&mut shop.conn, day(1)).await.err(),
            _ => load_revenue(&mut shop.conn, day(1)).await.err(),
        };
        assert!(
            matches!(&found, Some(MonetizationError::CorruptEpoch { what: it, .. }) if *it == what),
            "{found:?}"
        );
    }
}

/// Events of three days, some of which nobody's work earned.
fn random_events(random: &mut impl Rng, count: u32) -> Vec<RevenueEvent> {
    let kinds = ["publishing", "launchpad", "trading", "placement_ads"];
    (0..count)
        .map(|id| RevenueEvent {
            id: format!("event-{id}"),
            occurred_at: day(random.random_range(1..4)).start()
                + chrono::TimeDelta::microseconds(random.random_range(0..86_400_000_000)),
            kind: kinds[random.random_range(0..kinds.len())].parse().unwrap(),
            work: format!("work-{}", random.random_range(0..5)).parse().unwrap(),
            gross: Amount::from(random.random_range(1..5_000u64)),
            asset: if random.random_bool(0.5) { "TALE" } else { "USD" }.parse().unwrap(),
            payer: format!("payer-{}", random.random_range(0..9)),
        })
        .collect()
}

/// Spreads rows over files in any order, some of them twice.
fn deliver(random: &mut impl Rng, events: &[RevenueEvent], folder: &Path) {
    let mut rows: Vec<Row> = events.iter().map(Row::of).collect();
    rows.extend_from_within(..rows.len() / 5);
    rows.shuffle(random);
    let mut file = 0;
    while !rows.is_empty() {
        let taken = random.random_range(1..=rows.len());
        let left = rows.split_off(taken);
        write_log(&folder.join(format!("revenue/{file}.parquet")), &rows);
        (rows, file) = (left, file + 1);
    }
}

#[tokio::test]
async fn shuffled_files_and_rows_have_one_digest_and_every_unit_is_somewhere() {
    for seed in seeds(4) {
        let _notice = announce_on_panic(seed);
        let mut random = Seed::new(seed).rng();
        let mut shop = Shop::open().await;
        for work in 0..4 {
            for holder in 0..random.random_range(0..4) {
                let from = format!("2024-03-0{}T06:00:00Z", random.random_range(1..4));
                shop.hold(work, holder, &from, random.random_range(0..100)).await;
            }
        }
        let events = random_events(&mut random, 60);
        deliver(&mut random, &events, shop.folder.path());
        let other = tempdir();
        deliver(&mut random, &events, other.path());
        let rules = DividendRules::load(CURRENT_RULESET).unwrap();
        let elsewhere =
            gather_revenue(&mut shop.conn, &open(other.path()), day(3), "revenue/", &rules).await.unwrap();
        let gathered = gather_revenue(&mut shop.conn, &shop.store, day(3), "revenue/", &rules).await.unwrap();
        assert_eq!(gathered.inputs.digest().unwrap(), elsewhere.inputs.digest().unwrap());
        assert_eq!((gathered.inputs.events().len(), gathered.repeated), (60, 12));
        let posted = post_dividends(&mut shop.conn, &gathered).await.unwrap();
        assert!(!post_dividends(&mut shop.conn, &elsewhere).await.unwrap().changed);

        let mut paid: BTreeMap<String, Amount> = BTreeMap::new();
        for event in &events {
            let sum = paid.entry(event.asset.to_string()).or_default();
            *sum = sum.checked_add(event.gross).unwrap();
        }
        for total in &posted.result.totals {
            let asset = Some(total.asset.clone());
            let all = balances(&mut shop.conn, &BalanceFilter { kind: None, asset }).await.unwrap();
            let of = |issued: bool| {
                let of_kind =
                    all.iter().filter(|one| (one.account.kind() == AccountKind::Issuance) == issued);
                Amount::checked_sum(of_kind.map(tale_ledger::Balance::amount)).unwrap()
            };
            assert_eq!((of(true), of(false)), (total.gross, total.gross));
            assert_eq!(paid.remove(total.asset.as_str()), Some(total.gross));
        }
        assert!(paid.is_empty());
        assert!(verify(&mut shop.conn).await.unwrap().is_consistent());
    }
}
