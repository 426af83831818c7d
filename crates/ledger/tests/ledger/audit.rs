//! A superuser can switch the triggers off. The audit then names what was done.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tale_ledger::{
    ChainHead, Discrepancy, HoldEnd, JournalId, NewBatch, NewHold, NewLimit, Operation, VerifyReport,
    chain_head, end_hold, open_hold, post_batch, post_journal, set_limit, verify, verify_against,
};
use tale_primitives::Digest;
use tale_testkit::TestDatabase;

use crate::{holder, issuance, pool, transfer, units};

async fn tampered(sql: &str) -> VerifyReport {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), pool(), 100)).await.unwrap();
    post_journal(&mut conn, &transfer("pay", pool(), holder(1), 10)).await.unwrap();
    post_journal(&mut conn, &transfer("pay again", pool(), holder(1), 20)).await.unwrap();
    assert!(verify(&mut conn).await.unwrap().is_consistent());
    without_triggers(&mut conn, sql).await;
    verify(&mut conn).await.unwrap()
}

async fn without_triggers(conn: &mut PgConnection, sql: &str) {
    // Foreign keys are triggers too, and this role switches all of them off.
    let sql = format!("set session_replication_role = replica; {sql}; set session_replication_role = origin");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.unwrap();
}

fn kinds(report: &VerifyReport) -> Vec<String> {
    let kind = |d: &Discrepancy| format!("{d:?}").split([' ', '{']).next().unwrap_or_default().to_owned();
    report.discrepancies.iter().map(kind).collect()
}

#[tokio::test]
async fn a_changed_balance_is_named_with_what_its_entries_add_up_to() {
    let report = tampered(
        "update ledger.balance set credits = credits + 7
         where account_id = (select id from ledger.account where kind = 'holder')",
    )
    .await;
    let [Discrepancy::AccountBalance { account, credits, derived_credits, .. }] = &report.discrepancies[..]
    else {
        panic!("{report:?}")
    };
    assert_eq!((account.as_str(), credits.as_str()), (holder(1).to_string().as_str(), "37"));
    assert_eq!(derived_credits.to_string(), "30");
}

#[tokio::test]
async fn a_changed_amount_unbalances_its_journal_its_digest_and_its_account() {
    let report =
        tampered("update ledger.entry set amount = 11 where journal_id = 2 and side = 'credit'").await;
    assert_eq!(kinds(&report), ["Unbalanced", "ContentDigest", "AccountBalance"]);
    assert!(report.discrepancies[0].to_string().contains("journal 2 does not balance in xTALE"));
}

#[tokio::test]
async fn a_redirected_payment_that_balances_is_named_by_its_digest() {
    let report = tampered(
        "update ledger.entry set account_id = (select id from ledger.account where kind = 'issuance')
         where journal_id = 3 and side = 'credit';
         update ledger.balance set credits = credits - 20
         where account_id = (select id from ledger.account where kind = 'holder');
         update ledger.balance set credits = credits + 20
         where account_id = (select id from ledger.account where kind = 'issuance')",
    )
    .await;
    assert_eq!(kinds(&report), ["ContentDigest"]);
}

#[tokio::test]
async fn a_rewritten_digest_breaks_the_chain_after_it() {
    let report = tampered(
        "update ledger.journal set description = 'another', content_digest = sha256('x'),
             chain_digest = sha256(previous_chain_digest || sha256('x'))
         where id = 2",
    )
    .await;
    assert_eq!(kinds(&report), ["ContentDigest", "Chain"]);
    assert!(report.discrepancies[1].to_string().starts_with("the chain breaks at journal 3"));
}

#[tokio::test]
async fn a_removed_journal_is_named_in_the_middle_and_at_the_end() {
    let middle =
        tampered("delete from ledger.entry where journal_id = 2; delete from ledger.journal where id = 2")
            .await;
    assert_eq!(kinds(&middle), ["JournalMissing", "Chain", "AccountBalance", "AccountBalance"]);
    let last =
        tampered("delete from ledger.entry where journal_id = 3; delete from ledger.journal where id = 3")
            .await;
    assert_eq!(kinds(&last), ["Head", "AccountBalance", "AccountBalance"]);
}

#[tokio::test]
async fn entries_added_taken_away_and_belonging_to_nothing_are_named() {
    let taken = tampered("delete from ledger.entry where journal_id = 2 and line = 2").await;
    assert_eq!(kinds(&taken), ["EntryCount", "Unbalanced", "ContentDigest", "AccountBalance"]);
    let added = tampered(
        "insert into ledger.entry select journal_id, line + 2, account_id, side, amount
         from ledger.entry where journal_id = 2",
    )
    .await;
    assert_eq!(kinds(&added), ["EntryCount", "ContentDigest", "AccountBalance", "AccountBalance"]);
    let stray = tampered("insert into ledger.entry values (9, 1, 1, 'debit', 5)").await;
    assert_eq!(kinds(&stray), ["EntryUnreadable", "AccountBalance"]);
}

/// Journals 1 to 8: a fund, a limit, two holds of which one is posted, and a batch of two.
async fn post_events(conn: &mut PgConnection) {
    post_journal(conn, &transfer("fund", issuance(), pool(), 100)).await.unwrap();
    let limit = NewLimit {
        key: "limit".to_owned(),
        description: String::new(),
        account: pool(),
        floor: None,
        ceiling: Some(units(500)),
    };
    set_limit(conn, &limit).await.unwrap();
    for (key, amount) in [("posted", 10), ("open", 20)] {
        let hold = NewHold {
            key: key.to_owned(),
            description: String::new(),
            debit: pool(),
            credit: holder(1),
            amount: units(amount),
            expires_at: None,
        };
        open_hold(conn, &hold).await.unwrap();
    }
    end_hold(conn, &HoldEnd::post("post", "posted")).await.unwrap();
    let members = ["a", "b"].map(|key| Operation::Journal(transfer(key, pool(), holder(2), 1)));
    let batch =
        NewBatch { key: "batch".to_owned(), description: String::new(), operations: members.to_vec() };
    post_batch(conn, &batch).await.unwrap();
}

#[tokio::test]
async fn a_changed_hold_limit_or_batch_is_named() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_events(&mut conn).await;
    let report = verify(&mut conn).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.discrepancies);
    for (sql, expected) in [
        (
            "update ledger.hold set amount = 21 where id = 4",
            &["ContentDigest", "AccountPending", "AccountPending"][..],
        ),
        (
            "update ledger.hold set ended_by = null where id = 3",
            &["HoldEnd", "AccountPending", "AccountPending"],
        ),
        (
            "update ledger.hold set ended_by = 7 where id = 4",
            &["HoldEnd", "AccountPending", "AccountPending"],
        ),
        ("update ledger.hold set amount = 9 where id = 3", &["ContentDigest", "HoldContent"]),
        ("delete from ledger.hold where id = 4", &["JournalUnreadable", "AccountPending", "AccountPending"]),
        ("update ledger.balance set ceiling = null", &["AccountLimits"]),
        ("update ledger.account_limit set ceiling = 499", &["ContentDigest", "AccountLimits"]),
        ("update ledger.account_limit set ceiling = 4", &["ContentDigest", "AccountLimits", "AccountBeyond"]),
        ("update ledger.journal set member_count = 1 where event = 'batch'", &["ContentDigest"]),
        ("delete from ledger.asset where code = 'xTALE'", &["AssetUnknown"; 4]),
    ] {
        let mut transaction = conn.begin().await.unwrap();
        without_triggers(&mut transaction, sql).await;
        assert_eq!(kinds(&verify(&mut transaction).await.unwrap()), expected, "{sql}");
        transaction.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn a_head_kept_elsewhere_shows_that_the_whole_chain_was_rewritten() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let genesis = chain_head(&mut conn).await.unwrap();
    post_journal(&mut conn, &transfer("fund", issuance(), pool(), 100)).await.unwrap();
    let kept = chain_head(&mut conn).await.unwrap();
    post_journal(&mut conn, &transfer("pay", pool(), holder(1), 10)).await.unwrap();
    let heads = [genesis, kept, chain_head(&mut conn).await.unwrap()];
    let mut words = 0;
    let report = verify_against(&mut conn, &heads, &mut |_| words += 1).await.unwrap();
    assert!(report.is_consistent() && words > 0, "{:?}", report.discrepancies);

    for wrong in [
        ChainHead { chain_digest: Digest::of("another past"), ..kept },
        ChainHead { journal_id: JournalId::from_raw(9), ..kept },
        ChainHead { chain_digest: Digest::of("another start"), ..genesis },
    ] {
        let report = verify_against(&mut conn, &[kept, wrong], &mut |_| ()).await.unwrap();
        assert_eq!(kinds(&report), ["KeptHead"]);
    }
}
