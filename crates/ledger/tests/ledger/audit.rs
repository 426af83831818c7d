//! A superuser can switch the triggers off. The audit then names what was done.

use sqlx::{AssertSqlSafe, PgConnection};
use tale_ledger::{Discrepancy, VerifyReport, post_journal, verify};
use tale_testkit::TestDatabase;

use crate::{holder, issuance, pool, transfer};

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
    assert_eq!(kinds(&stray), ["EntryUnreadable"]);
}
