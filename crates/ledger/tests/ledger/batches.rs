use tale_ledger::{
    Event, HoldEnd, LedgerError, NewBatch, NewHold, NewLimit, Operation, balance, chain_head, list_journals,
    post_batch, post_journal, verify,
};
use tale_testkit::TestDatabase;

use crate::{holder, issuance, pool, transfer, units};

fn batch(key: &str, operations: Vec<Operation>) -> NewBatch {
    NewBatch { key: key.to_owned(), description: "a test".to_owned(), operations }
}

/// A purchase: money is set aside, a fee is paid, the rest is posted.
fn purchase(key: &str, fee: u64) -> NewBatch {
    let hold = NewHold {
        key: format!("{key}/hold"),
        description: String::new(),
        debit: holder(1),
        credit: holder(2),
        amount: units(40),
        expires_at: None,
    };
    batch(
        key,
        vec![
            Operation::Hold(hold),
            Operation::Journal(transfer(&format!("{key}/fee"), holder(1), pool(), fee)),
            Operation::HoldEnd(HoldEnd::post(format!("{key}/post"), format!("{key}/hold"))),
            Operation::Limit(NewLimit {
                key: format!("{key}/limit"),
                description: String::new(),
                account: holder(2),
                floor: None,
                ceiling: Some(units(100)),
            }),
        ],
    )
}

#[tokio::test]
async fn a_batch_happens_as_a_whole_and_once() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), holder(1), 100)).await.unwrap();
    let posted = post_batch(&mut conn, &purchase("buy", 10)).await.unwrap();
    assert_eq!([posted.first, posted.last, posted.sealed_by].map(|id| id.raw()), [2, 5, 6]);
    assert_eq!(balance(&mut conn, &holder(1)).await.unwrap().available(), units(50));

    let again = post_batch(&mut conn, &purchase("buy", 10)).await.unwrap();
    assert!(again.already_posted);
    assert_eq!((again.first, again.sealed_by), (posted.first, posted.sealed_by));
    let other = post_batch(&mut conn, &purchase("buy", 11)).await;
    assert!(matches!(other, Err(LedgerError::KeyReused { .. })), "{other:?}");

    let report = verify(&mut conn).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.discrepancies);
    let events: Vec<Event> = list_journals(&mut conn).await.unwrap().iter().map(|j| j.event).collect();
    assert_eq!(events[1..], [Event::Hold, Event::Journal, Event::Post, Event::Limit, Event::Batch]);
}

#[tokio::test]
async fn where_one_operation_fails_nothing_of_the_batch_happens_and_it_is_named() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), holder(1), 100)).await.unwrap();
    let before = chain_head(&mut conn).await.unwrap();
    let refused = post_batch(&mut conn, &purchase("buy", 61)).await.unwrap_err();
    let LedgerError::BatchRefused { place: 2, key, source, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(key, "buy/fee");
    assert!(matches!(*source, LedgerError::Overdrawn { .. }), "{source:?}");
    assert_eq!(chain_head(&mut conn).await.unwrap(), before);
    assert_eq!(balance(&mut conn, &holder(1)).await.unwrap().available(), units(100));

    // A member that somebody posted on its own would not be the batch's.
    post_journal(&mut conn, &transfer("buy/fee", holder(1), pool(), 10)).await.unwrap();
    let refused = post_batch(&mut conn, &purchase("buy", 10)).await.unwrap_err();
    let LedgerError::BatchRefused { place: 2, source, .. } = refused else { panic!("{refused:?}") };
    assert!(matches!(*source, LedgerError::MemberPosted { .. }), "{source:?}");
    for operations in [vec![], vec![Operation::Journal(transfer("a", holder(1), pool(), 1)); 10_001]] {
        let refused = post_batch(&mut conn, &batch("size", operations)).await;
        assert!(matches!(refused, Err(LedgerError::BatchSize { .. })), "{refused:?}");
    }
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn two_posts_of_one_batch_at_once_make_one() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), holder(1), 100)).await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let connections = database.pool().clone();
        tasks.push(tokio::spawn(async move {
            let mut conn = connections.acquire().await.unwrap();
            post_batch(&mut conn, &purchase("buy", 10)).await.unwrap()
        }));
    }
    let mut new = 0;
    for task in tasks {
        let posted = task.await.unwrap();
        assert_eq!(posted.sealed_by.raw(), 6);
        new += u32::from(!posted.already_posted);
    }
    assert_eq!(new, 1);
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}
