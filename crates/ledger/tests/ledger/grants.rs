//! What the role of posters may do, and what it may not: whoever connects as it meets grants before any trigger.

use sqlx::{AssertSqlSafe, PgConnection};
use tale_ledger::{HoldEnd, NewHold, balance, end_hold, open_hold, post_journal, verify};
use tale_testkit::TestDatabase;

use crate::{holder, issuance, pool, transfer, units};

/// A connection that is the role, as after its login.
async fn poster(database: &TestDatabase) -> PgConnection {
    let mut conn = database.connection().await;
    sqlx::raw_sql("set session authorization tale_ledger_poster").execute(&mut conn).await.unwrap();
    conn
}

#[tokio::test]
async fn the_role_of_posters_posts_holds_and_reads() {
    let database = TestDatabase::create().await;
    let mut conn = poster(&database).await;
    post_journal(&mut conn, &transfer("fund", issuance(), holder(1), 100)).await.unwrap();
    let hold = NewHold {
        key: "hold".to_owned(),
        description: String::new(),
        debit: holder(1),
        credit: pool(),
        amount: units(30),
        expires_at: None,
    };
    open_hold(&mut conn, &hold).await.unwrap();
    end_hold(&mut conn, &HoldEnd::post_part("post", "hold", units(10))).await.unwrap();
    assert_eq!(balance(&mut conn, &holder(1)).await.unwrap().available(), units(90));
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn the_role_of_posters_can_change_and_remove_nothing() {
    let database = TestDatabase::create().await;
    post_journal(&mut database.connection().await, &transfer("fund", issuance(), pool(), 100)).await.unwrap();
    let mut conn = poster(&database).await;
    for table in ["journal", "entry", "account", "balance", "chain_head", "hold", "account_limit", "asset"] {
        let column = match table {
            "balance" => "credits = credits + 1",
            "chain_head" => "journal_id = 9",
            "asset" => "decimals = 9",
            "account" => "name = 'mine'",
            "account_limit" => "ceiling = 9",
            "hold" => "ended_by = null",
            "entry" => "amount = 9",
            _ => "description = 'mine'",
        };
        for sql in [
            format!("update ledger.{table} set {column}"),
            format!("delete from ledger.{table}"),
            format!("truncate ledger.{table}"),
            format!("drop table ledger.{table}"),
            format!("alter table ledger.{table} disable trigger all"),
        ] {
            assert_eq!(refusal(&mut conn, &sql).await, "42501", "{sql}");
        }
    }
    for sql in [
        "insert into ledger.balance (account_id, normal_side, credits) values (99, 'credit', 9)",
        "insert into ledger.asset (code, decimals, description) values ('GOLD', 1, '')",
        "insert into ledger.account_limit (journal_id, account_id) values (1, 1)",
        "insert into ledger.chain_head (journal_id, chain_digest) values (9, '')",
        "create table ledger.mine ()",
        "select ledger.end_hold(1, 'void', 1)",
        "set session_replication_role = replica",
        "set role pg_write_all_data",
    ] {
        assert_eq!(refusal(&mut conn, sql).await, "42501", "{sql}");
    }
}

/// With which code a statement is refused; 42501 is a missing privilege.
async fn refusal(conn: &mut PgConnection, sql: &str) -> String {
    let refused = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await;
    let code =
        refused.err().and_then(|error| error.as_database_error()?.code().map(|code| code.into_owned()));
    code.unwrap_or_default()
}
