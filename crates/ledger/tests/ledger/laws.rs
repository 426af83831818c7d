//! Everything here goes around the crate, with SQL that a wrong or hostile program might send.

use sqlx::{AssertSqlSafe, PgConnection};
use tale_ledger::{balance, post_journal, verify};
use tale_testkit::TestDatabase;

use crate::{holder, issuance, pool, transfer, units};

/// The constraint that refused a statement.
async fn refused_by(conn: &mut PgConnection, sql: &str) -> String {
    match sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error
            .as_database_error()
            .and_then(|e| e.constraint())
            .map_or_else(|| panic!("refused without a constraint: {error}"), str::to_owned),
    }
}

async fn funded() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), pool(), 100)).await.unwrap();
    post_journal(&mut conn, &transfer("pay", pool(), holder(1), 10)).await.unwrap();
    (database, conn)
}

/// One statement with a journal and entries `(line, account, side, amount)`.
fn raw_journal(key: &str, entry_count: usize, entries: &str) -> String {
    format!(
        "with journal as (
             insert into ledger.journal (key, description, content_digest, entry_count)
             values ('{key}', '', sha256('x'), {entry_count}) returning id
         )
         insert into ledger.entry (journal_id, line, account_id, side, amount)
         select journal.id, line, account.id, side, amount
         from journal, (values {entries}) as given (line, key, side, amount)
         join ledger.account using (key)"
    )
}

#[tokio::test]
async fn an_unbalanced_journal_is_refused_whatever_inserts_it() {
    let (_database, mut conn) = funded().await;
    let (pool, issuance) = (pool(), issuance());
    let unbalanced = format!("(1, '{issuance}', 'debit', 5), (2, '{pool}', 'credit', 4)");
    assert_eq!(refused_by(&mut conn, &raw_journal("raw", 2, &unbalanced)).await, "journal_balanced");
    let one_sided = format!("(1, '{issuance}', 'debit', 5), (2, '{pool}', 'debit', 5)");
    assert_eq!(refused_by(&mut conn, &raw_journal("raw", 2, &one_sided)).await, "journal_balanced");
    let balanced = format!("(1, '{issuance}', 'debit', 5), (2, '{pool}', 'credit', 5)");
    assert_eq!(refused_by(&mut conn, &raw_journal("raw", 2, &balanced)).await, "nothing");
    // Even so its balances moved, and its content is not what its digest says.
    assert_eq!(balance(&mut conn, &pool).await.unwrap().amount(), units(95));
    assert_eq!(verify(&mut conn).await.unwrap().discrepancies.len(), 1);
}

#[tokio::test]
async fn a_journal_that_balances_only_across_assets_is_refused() {
    let (_database, mut conn) = funded().await;
    let other = "insert into ledger.account (kind, name, asset) values ('pool', 'generator', 'TALE')";
    assert_eq!(refused_by(&mut conn, other).await, "nothing");
    let mixed = format!("(1, '{}', 'debit', 5), (2, 'pool:generator:TALE', 'credit', 5)", issuance());
    assert_eq!(refused_by(&mut conn, &raw_journal("raw", 2, &mixed)).await, "journal_balanced");
}

#[tokio::test]
async fn a_journal_is_whole_when_it_is_inserted_and_sealed_from_then_on() {
    let (_database, mut conn) = funded().await;
    let pair = format!("(1, '{}', 'debit', 5), (2, '{}', 'credit', 5)", issuance(), pool());
    assert_eq!(refused_by(&mut conn, &raw_journal("raw", 3, &pair)).await, "journal_sealed");
    assert_eq!(refused_by(&mut conn, &raw_journal("raw", 1, &pair)).await, "journal_has_two_entries");
    let bare = "insert into ledger.journal (key, description, content_digest, entry_count)
                values ('raw', '', sha256('x'), 2)";
    assert_eq!(refused_by(&mut conn, bare).await, "journal_complete");

    // A second balanced pair for a journal that is there: with new lines, and with the same ones.
    for (lines, law) in [((3, 4), "journal_sealed"), ((1, 2), "entry_pkey")] {
        let reopened = format!(
            "insert into ledger.entry (journal_id, line, account_id, side, amount)
             select 1, {}, id, 'debit', 5 from ledger.account where kind = 'issuance'
             union all
             select 1, {}, id, 'credit', 5 from ledger.account where kind = 'pool'",
            lines.0, lines.1
        );
        assert_eq!(refused_by(&mut conn, &reopened).await, law);
    }
    let of_nothing = "insert into ledger.entry (journal_id, line, account_id, side, amount)
                      values (9, 1, 1, 'debit', 5), (9, 2, 2, 'credit', 5)";
    assert_eq!(refused_by(&mut conn, of_nothing).await, "journal_sealed");
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn nothing_posted_can_be_changed_or_removed() {
    let (_database, mut conn) = funded().await;
    for sql in [
        "update ledger.entry set amount = amount + 1",
        "update ledger.entry set amount = 1 where false",
        "delete from ledger.entry",
        "truncate ledger.entry",
        "update ledger.journal set description = 'another'",
        "delete from ledger.journal",
        "truncate ledger.journal cascade",
        "update ledger.balance set credits = credits + 1",
        "update ledger.account set name = 'mine' where kind = 'pool'",
        "delete from ledger.account",
        "delete from ledger.balance",
        "truncate ledger.account cascade",
        "update ledger.chain_head set journal_id = 7",
        "delete from ledger.chain_head",
    ] {
        assert_eq!(refused_by(&mut conn, sql).await, "ledger_immutable", "{sql}");
    }
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn a_balance_below_zero_on_its_normal_side_is_refused() {
    let (_database, mut conn) = funded().await;
    let (holder, pool, issuance) = (holder(1), pool(), issuance());
    for (debited, credited, amount) in [(&holder, &pool, 11), (&pool, &holder, 91), (&pool, &issuance, 101)] {
        let pair = format!("(1, '{debited}', 'debit', {amount}), (2, '{credited}', 'credit', {amount})");
        assert_eq!(refused_by(&mut conn, &raw_journal("raw", 2, &pair)).await, "balance_not_overdrawn");
    }
    let rich = "insert into ledger.balance (account_id, normal_side, credits) values (99, 'credit', 9)";
    assert_eq!(refused_by(&mut conn, rich).await, "ledger_immutable");
}

#[tokio::test]
async fn accounts_and_amounts_have_one_form() {
    let (_database, mut conn) = funded().await;
    let checksummed = "insert into ledger.account (kind, name, asset)
                       values ('holder', '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', 'xTALE')";
    assert_eq!(refused_by(&mut conn, checksummed).await, "account_name_form");
    let twice = "insert into ledger.account (kind, name, asset) values ('pool', 'generator', 'xTALE')";
    assert_eq!(refused_by(&mut conn, twice).await, "account_key_unique");
    for amount in ["0", "-5"] {
        let pair = format!("(1, '{}', 'debit', {amount}), (2, '{}', 'credit', {amount})", issuance(), pool());
        assert_eq!(refused_by(&mut conn, &raw_journal("raw", 2, &pair)).await, "entry_amount_positive");
    }
}

#[tokio::test]
async fn a_place_in_the_chain_cannot_be_taken_and_left_empty() {
    let (_database, mut conn) = funded().await;
    let skipped = "insert into ledger.journal (key, description, content_digest, entry_count)
                   values ('pay', '', sha256('x'), 2) on conflict do nothing";
    assert_eq!(refused_by(&mut conn, skipped).await, "journal_chain_gapless");
    let chosen = format!(
        "with journal as (
             insert into ledger.journal (id, key, description, content_digest, entry_count, chain_digest)
             values (99, 'raw', '', sha256('x'), 2, sha256('mine')) returning id
         )
         insert into ledger.entry (journal_id, line, account_id, side, amount)
         select journal.id, line, account.id, side, 1
         from journal, (values (1, '{}', 'debit'), (2, '{}', 'credit')) as given (line, key, side)
         join ledger.account using (key)",
        issuance(),
        pool()
    );
    assert_eq!(refused_by(&mut conn, &chosen).await, "nothing");
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from ledger.journal order by id").fetch_all(&mut conn).await.unwrap();
    assert_eq!(ids, [1, 2, 3], "the trigger gives the place, whatever the statement asks for");
}
