//! The databases that tests get.

use tale_testkit::TestDatabase;

#[tokio::test]
async fn each_test_has_a_migrated_database_of_its_own() {
    let (left, right) = tokio::join!(TestDatabase::create(), TestDatabase::create());
    assert_ne!(left.url(), right.url());
    sqlx::query("create table only_here (id int)").execute(left.pool()).await.unwrap();
    let elsewhere: Option<String> = sqlx::query_scalar("select to_regclass('only_here')::text")
        .fetch_one(&mut right.connection().await)
        .await
        .unwrap();
    assert_eq!(elsewhere, None);
    let migrations: i64 =
        sqlx::query_scalar("select count(*) from _sqlx_migrations").fetch_one(right.pool()).await.unwrap();
    assert!(migrations > 0);
}

#[tokio::test]
async fn a_database_goes_with_its_test_even_while_connections_are_open() {
    let kept = TestDatabase::create().await;
    let gone = TestDatabase::create().await;
    let name = gone.url().split_once(":///").unwrap().1.split('?').next().unwrap().to_owned();
    let _open = gone.connection().await;
    drop(gone);
    let found: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(kept.pool())
        .await
        .unwrap();
    assert!(!found);
}
