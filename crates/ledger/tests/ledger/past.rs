use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use tale_ledger::{
    At, HoldEnd, JournalId, LedgerError, NewHold, NewJournal, balance, balance_at, end_hold, list_journals,
    open_hold, post_journal,
};
use tale_primitives::{Amount, UtcDay};
use tale_testkit::TestDatabase;

use crate::{holder, issuance, pool, transfer, units};

#[tokio::test]
async fn a_balance_is_known_as_of_every_journal_epoch_and_time() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let day = |text: &str| -> UtcDay { text.parse().unwrap() };
    let of = |epoch: &str, journal: NewJournal| NewJournal { epoch: Some(day(epoch)), ..journal };
    let hold = NewHold {
        key: "hold".to_owned(),
        description: String::new(),
        debit: holder(1),
        credit: holder(2),
        amount: units(4),
        expires_at: None,
    };
    post_journal(&mut conn, &transfer("1", issuance(), pool(), 100)).await.unwrap();
    post_journal(&mut conn, &of("2026-01-02", transfer("2", pool(), holder(1), 10))).await.unwrap();
    open_hold(&mut conn, &hold).await.unwrap();
    post_journal(&mut conn, &of("2026-01-05", transfer("4", pool(), holder(1), 1))).await.unwrap();
    end_hold(&mut conn, &HoldEnd::post("5", "hold")).await.unwrap();

    // After each journal: what the holder had, and what of it was available.
    let mut seen = Vec::new();
    for id in 0..=5 {
        let past = balance_at(&mut conn, &holder(1), At::Journal(JournalId::from_raw(id))).await.unwrap();
        assert_eq!(past.journal_id.raw(), id);
        seen.push((past.balance.amount(), past.balance.available()));
    }
    let expected = [(0, 0), (0, 0), (10, 10), (10, 6), (11, 7), (7, 7)];
    assert_eq!(seen, expected.map(|(amount, available)| (units(amount), units(available))));
    let now = balance(&mut conn, &holder(1)).await.unwrap();
    let last = balance_at(&mut conn, &holder(1), At::Time(Utc::now())).await.unwrap();
    assert_eq!((last.journal_id.raw(), last.balance), (5, now));

    let mut at_epoch = async |text: &str| {
        balance_at(&mut conn, &holder(1), At::Epoch(day(text))).await.unwrap().journal_id.raw()
    };
    let found = [at_epoch("2026-01-01").await, at_epoch("2026-01-02").await, at_epoch("2026-01-04").await];
    assert_eq!(found, [0, 2, 2], "a day that nothing settled is as the last settled day before it");
    assert_eq!(at_epoch("2027-01-01").await, 4);

    for journal in list_journals(&mut conn).await.unwrap() {
        let past = balance_at(&mut conn, &pool(), At::Time(journal.posted_at)).await.unwrap();
        assert_eq!(past.journal_id, journal.id, "times rise with places");
    }
    let before: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().unwrap();
    let nothing = balance_at(&mut conn, &pool(), At::Time(before)).await.unwrap();
    assert_eq!(nothing.balance.amount(), Amount::ZERO);
    let beyond = balance_at(&mut conn, &pool(), At::Journal(JournalId::from_raw(6))).await;
    assert!(matches!(beyond, Err(LedgerError::NoJournal { .. })), "{beyond:?}");
}

#[tokio::test]
async fn a_past_balance_reads_the_accounts_own_entries_by_index() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), pool(), 1_000)).await.unwrap();
    let query = include_str!("../../../../sql/ledger/find_past_balance.sql")
        .replace("$1", &format!("'{}'", holder(1)))
        .replace("$2", "7::bigint");
    // Without the scans that a planner prefers while tables are small.
    sqlx::raw_sql("set enable_seqscan = off; set enable_bitmapscan = off").execute(&mut conn).await.unwrap();
    let plan: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(format!("explain {query}"))).fetch_all(&mut conn).await.unwrap();
    let plan = plan.join("\n");
    for index in ["entry_by_account", "hold_by_debit_account", "hold_by_credit_account", "account_key_unique"]
    {
        assert!(plan.contains(index), "{index}:\n{plan}");
    }
    assert!(!plan.contains("Seq Scan"), "{plan}");
}
