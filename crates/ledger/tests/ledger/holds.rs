use chrono::{DateTime, Duration, Utc};
use sqlx::PgConnection;
use tale_ledger::{
    Event, Hold, HoldEnd, HoldFilter, HoldState, LedgerError, NewHold, balance, end_hold, expire_holds,
    find_hold, list_holds, list_journals, open_hold, post_journal, verify,
};
use tale_primitives::Amount;
use tale_testkit::TestDatabase;

use crate::{account, holder, issuance, pool, transfer, units};

/// Reserves what the first holder would pay the second.
fn pledge(key: &str, amount: u64) -> NewHold {
    NewHold {
        key: key.to_owned(),
        description: "a pledge".to_owned(),
        debit: holder(1),
        credit: holder(2),
        amount: units(amount),
        expires_at: None,
    }
}

fn expiring(key: &str, amount: u64, expires_at: DateTime<Utc>) -> NewHold {
    NewHold { expires_at: Some(expires_at), ..pledge(key, amount) }
}

/// A holder with a hundred units.
async fn funded() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), holder(1), 100)).await.unwrap();
    (database, conn)
}

async fn hold(conn: &mut PgConnection, key: &str) -> Hold {
    find_hold(conn, key).await.unwrap().expect("the hold")
}

/// What the first holder has, has available, and what the second has.
async fn amounts(conn: &mut PgConnection) -> [Amount; 3] {
    let first = balance(conn, &holder(1)).await.unwrap();
    [first.amount(), first.available(), balance(conn, &holder(2)).await.unwrap().amount()]
}

#[tokio::test]
async fn a_hold_reserves_what_it_later_posts_and_frees_the_rest() {
    let (_database, mut conn) = funded().await;
    open_hold(&mut conn, &pledge("pledge", 70)).await.unwrap();
    assert_eq!(amounts(&mut conn).await, [units(100), units(30), units(0)]);
    assert_eq!(balance(&mut conn, &holder(2)).await.unwrap().pending_credits, units(70));

    // Neither a journal nor another hold may take what is reserved.
    let spent = post_journal(&mut conn, &transfer("spend", holder(1), pool(), 31)).await;
    assert!(
        matches!(&spent, Err(LedgerError::Overdrawn { account, .. }) if *account == holder(1).to_string())
    );
    let again = open_hold(&mut conn, &pledge("too much", 31)).await;
    assert!(matches!(again, Err(LedgerError::Overdrawn { .. })), "{again:?}");
    post_journal(&mut conn, &transfer("spend", holder(1), pool(), 30)).await.unwrap();

    let posted = end_hold(&mut conn, &HoldEnd::post_part("settle", "pledge", units(50))).await.unwrap();
    assert_eq!(amounts(&mut conn).await, [units(20), units(20), units(50)]);
    let state = hold(&mut conn, "pledge").await.state;
    assert_eq!(state, HoldState::Posted { amount: units(50), by: posted.journal_id });
    let report = verify(&mut conn).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.discrepancies);
    assert_eq!((report.holds, report.open_holds), (1, 0));
    let events: Vec<Event> = list_journals(&mut conn).await.unwrap().iter().map(|j| j.event).collect();
    assert_eq!(
        events,
        [Event::Journal, Event::Hold, Event::Journal, Event::Post],
        "all of it is in the chain"
    );
}

#[tokio::test]
async fn a_hold_ends_once_and_each_step_is_idempotent_by_its_key() {
    let (_database, mut conn) = funded().await;
    let opened = open_hold(&mut conn, &pledge("pledge", 70)).await.unwrap();
    let again = open_hold(&mut conn, &pledge("pledge", 70)).await.unwrap();
    assert_eq!((again.journal_id, again.already_posted), (opened.journal_id, true));
    let other = open_hold(&mut conn, &pledge("pledge", 71)).await;
    assert!(matches!(other, Err(LedgerError::KeyReused { .. })), "{other:?}");

    let voided = end_hold(&mut conn, &HoldEnd::void("give up", "pledge")).await.unwrap();
    let again = end_hold(&mut conn, &HoldEnd::void("give up", "pledge")).await.unwrap();
    assert_eq!((again.journal_id, again.already_posted), (voided.journal_id, true));
    let other = end_hold(&mut conn, &HoldEnd::post("give up", "pledge")).await;
    assert!(matches!(other, Err(LedgerError::KeyReused { .. })), "{other:?}");
    for end in [HoldEnd::post("late", "pledge"), HoldEnd::void("late", "pledge")] {
        let late = end_hold(&mut conn, &end).await;
        assert!(matches!(late, Err(LedgerError::HoldEnded { how: Event::Void, .. })), "{late:?}");
    }
    assert_eq!(amounts(&mut conn).await, [units(100), units(100), units(0)]);
    // What opened it is still the first answer.
    assert!(open_hold(&mut conn, &pledge("pledge", 70)).await.unwrap().already_posted);
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn of_many_who_post_void_and_expire_one_hold_at_once_one_succeeds() {
    let (database, mut conn) = funded().await;
    for round in 0..6 {
        let key = format!("pledge/{round}");
        open_hold(&mut conn, &pledge(&key, 10)).await.unwrap();
        let mut tasks = Vec::new();
        for number in 0..6 {
            let (connections, key) = (database.pool().clone(), key.clone());
            tasks.push(tokio::spawn(async move {
                let mut conn = connections.acquire().await.unwrap();
                let own = format!("{key}/{number}");
                let end = match number % 3 {
                    0 => HoldEnd::post(own, key),
                    1 => HoldEnd::post_part(own, key, units(3)),
                    _ => HoldEnd::void(own, key),
                };
                end_hold(&mut conn, &end).await
            }));
        }
        let mut ended = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => ended += 1,
                Err(error) => assert!(matches!(error, LedgerError::HoldEnded { .. }), "{error:?}"),
            }
        }
        assert_eq!(ended, 1);
    }
    let report = verify(&mut conn).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.discrepancies);
    assert_eq!((report.holds, report.open_holds), (6, 0));
}

#[tokio::test]
async fn an_overdue_hold_cannot_be_posted_and_is_freed_by_whoever_looks() {
    let (database, mut conn) = funded().await;
    let soon = Utc::now() + Duration::milliseconds(400);
    open_hold(&mut conn, &expiring("short", 30, soon)).await.unwrap();
    open_hold(&mut conn, &expiring("long", 20, soon + Duration::hours(1))).await.unwrap();
    open_hold(&mut conn, &pledge("endless", 10)).await.unwrap();
    let early = open_hold(&mut conn, &expiring("early", 1, soon - Duration::hours(1))).await;
    assert!(matches!(early, Err(LedgerError::HoldExpiresEarly { .. })), "{early:?}");
    assert_eq!(expire_holds(&mut conn, 100).await.unwrap(), 0, "nothing is overdue yet");

    while hold(&mut conn, "short").await.state != HoldState::Overdue {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let late = end_hold(&mut conn, &HoldEnd::post("late", "short")).await;
    assert!(matches!(&late, Err(LedgerError::HoldExpired { hold, .. }) if hold == "short"), "{late:?}");
    assert_eq!(
        amounts(&mut conn).await,
        [units(100), units(40), units(0)],
        "it is reserved until it is freed"
    );

    let mut tasks = Vec::new();
    for _ in 0..4 {
        let connections = database.pool().clone();
        tasks.push(tokio::spawn(async move {
            let mut conn = connections.acquire().await.unwrap();
            expire_holds(&mut conn, 100).await.unwrap()
        }));
    }
    let mut ended = 0;
    for task in tasks {
        ended += task.await.unwrap();
    }
    assert_eq!(ended, 1);
    assert_eq!(amounts(&mut conn).await, [units(100), units(70), units(0)]);
    let late = end_hold(&mut conn, &HoldEnd::void("late", "short")).await;
    assert!(matches!(late, Err(LedgerError::HoldEnded { how: Event::Expire, .. })), "{late:?}");
    let open = HoldFilter { with_ended: false, account: Some(holder(1)), limit: 10 };
    let keys: Vec<String> =
        list_holds(&mut conn, &open).await.unwrap().into_iter().map(|hold| hold.key).collect();
    assert_eq!(keys, ["long", "endless"]);
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn what_is_no_hold_is_refused() {
    let (_database, mut conn) = funded().await;
    let elsewhere = NewHold { credit: account("pool:generator:TALE"), ..pledge("a", 1) };
    let within = NewHold { credit: holder(1), ..pledge("a", 1) };
    for hold in [elsewhere, within] {
        let refused = open_hold(&mut conn, &hold).await;
        assert!(matches!(refused, Err(LedgerError::HoldAccounts { .. })), "{refused:?}");
    }
    assert!(matches!(open_hold(&mut conn, &pledge("a", 0)).await, Err(LedgerError::ZeroAmount { .. })));
    assert!(matches!(open_hold(&mut conn, &pledge("", 1)).await, Err(LedgerError::KeyLength(0))));
    let nothing = end_hold(&mut conn, &HoldEnd::post("b", "a")).await;
    assert!(matches!(nothing, Err(LedgerError::NoHold { .. })), "{nothing:?}");
    open_hold(&mut conn, &pledge("a", 10)).await.unwrap();
    for amount in [0, 11] {
        let wrong = end_hold(&mut conn, &HoldEnd::post_part("b", "a", units(amount))).await;
        assert!(matches!(wrong, Err(LedgerError::HoldAmount { .. })), "{wrong:?}");
    }
}
