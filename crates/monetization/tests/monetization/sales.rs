use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, PgConnection};
use tale_ledger::{balance, list_journals, verify};
use tale_monetization::{
    CURRENT_RULESET, NewPurchase, Purchase, PurchaseKey, PurchaseState, PurchaseStep, RoundState, SaleError,
    SaleRules, Tier, Unsold, cancel, eligibility, find_purchase, list_purchases, list_wallet, pay,
    reconcile_sales, reserve, sale_rounds, schedule_round,
};
use tale_primitives::{Amount, Digest};
use tale_testkit::TestDatabase;

use crate::{amount, wallet};

pub fn key(text: &str) -> PurchaseKey {
    text.parse().unwrap()
}

pub fn purchase(text: &str, round: u32, buyer: u32, units: u32) -> NewPurchase {
    NewPurchase { key: key(text), round, buyer: wallet(buyer), units }
}

/// Now, as exactly as the database keeps it.
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0)
}

/// Rounds of an hour, one after the other; `open` is open since a minute.
pub async fn schedule(conn: &mut PgConnection, open: u32) {
    for round in 1..=4 {
        let opens_at = now() - TimeDelta::minutes(1) + TimeDelta::hours(i64::from(round) - i64::from(open));
        assert!(schedule_round(conn, round, opens_at, opens_at + TimeDelta::hours(1)).await.unwrap());
    }
}

/// Changes rows as nobody may, without triggers.
pub async fn force(conn: &mut PgConnection, change: &str) {
    for statement in
        ["set session_replication_role = replica", change, "set session_replication_role = origin"]
    {
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut *conn).await.unwrap();
    }
}

/// Lets time pass, by moving everything else into the past.
pub async fn wait(conn: &mut PgConnection, minutes: u32) {
    let columns = [
        ("sale_round", &["opens_at", "closes_at", "closed_at", "settled_at"][..]),
        ("purchase", &["reserved_at", "expires_at", "paid_at", "ended_at"]),
    ];
    for (table, columns) in columns {
        let moved = |column: &&str| format!("{column} = {column} - interval '{minutes} minutes'");
        let moved = columns.iter().map(moved).collect::<Vec<_>>().join(", ");
        force(conn, &format!("update monetization.{table} set {moved}")).await;
    }
}

pub async fn cents(conn: &mut PgConnection, account: &str) -> Amount {
    balance(conn, &format!("{account}:licence-sales:USD").parse().unwrap()).await.unwrap().amount()
}

async fn shop(open: u32) -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    schedule(&mut conn, open).await;
    (database, conn)
}

async fn find(conn: &mut PgConnection, text: &str) -> Purchase {
    find_purchase(conn, &key(text)).await.unwrap().unwrap()
}

#[test]
fn the_rounds_are_the_published_ones_and_their_bytes_are_pinned() {
    let rules = SaleRules::load(CURRENT_RULESET).unwrap();
    let rounds: Vec<_> =
        rules.rounds.iter().map(|round| (round.supply, round.price_cents, round.least_tier)).collect();
    let published = [
        (6500, 9800, Tier::Sl1),
        (7000, 11_800, Tier::Sl2),
        (1750, 13_800, Tier::Public),
        (2000, 15_800, Tier::Public),
    ];
    assert_eq!(rounds, published);
    let total: u64 = published.iter().map(|(supply, cents, _)| u64::from(supply * cents)).sum();
    assert_eq!(total, 202_050_000, "2,020,500 dollars if sold out");
    assert_eq!(rules.unsold, Unsold::NextRound);
    for ours in ["rounds.buyer_max", "reservation_minutes", "refund_hours", "unsold", "asset"] {
        assert!(rules.sources[ours].starts_with("ours: "), "{ours}");
    }
    let digest = Digest::of(include_str!("../../rulesets/2/sales.json")).to_string();
    assert_eq!(digest, "c88e8a971c80c04e7be2e2097f07d1896829a3084260135227b21f46cab3e92d");
    assert!(matches!(SaleRules::load(1), Err(SaleError::UnknownRules(1))));
}

#[tokio::test]
async fn a_reservation_is_paid_once_and_its_licences_are_issued_once() {
    let (_database, mut conn) = shop(3).await;
    let wanted = purchase("p-1", 3, 1, 2);
    let first = reserve(&mut conn, &wanted).await.unwrap();
    assert!(first.changed);
    assert_eq!((first.purchase.state, first.purchase.due()), (PurchaseState::Reserved, amount("27600")));
    let again = reserve(&mut conn, &wanted).await.unwrap();
    assert_eq!((again.changed, &again.purchase), (false, &first.purchase));
    for other in [purchase("p-1", 3, 1, 3), purchase("p-1", 3, 2, 2)] {
        assert!(matches!(reserve(&mut conn, &other).await, Err(SaleError::KeyReused(_))));
    }

    let wrong = pay(&mut conn, &key("p-1"), "bank 1", amount("27599")).await;
    assert!(matches!(wrong, Err(SaleError::WrongAmount { .. })), "{wrong:?}");
    assert!(list_journals(&mut conn).await.unwrap().is_empty());
    let paid = pay(&mut conn, &key("p-1"), "bank 1", amount("27600")).await.unwrap();
    assert!(paid.changed);
    assert_eq!((paid.purchase.state, paid.purchase.licences.len()), (PurchaseState::Paid, 2));
    let repeated = pay(&mut conn, &key("p-1"), "bank 1", amount("27600")).await.unwrap();
    assert_eq!(repeated, PurchaseStep { changed: false, ..paid });
    let other = pay(&mut conn, &key("p-1"), "bank 2", amount("27600")).await;
    assert!(matches!(other, Err(SaleError::PaidOtherwise { payment, .. }) if payment == "bank 1"));
    let other = pay(&mut conn, &key("p-1"), "bank 1", amount("1")).await;
    assert!(matches!(other, Err(SaleError::WrongAmount { .. })));

    reserve(&mut conn, &purchase("p-2", 3, 2, 1)).await.unwrap();
    let stolen = pay(&mut conn, &key("p-2"), "bank 1", amount("13800")).await;
    assert!(matches!(stolen, Err(SaleError::PaymentReused { .. })), "{stolen:?}");
    assert_eq!(find(&mut conn, "p-2").await.state, PurchaseState::Reserved);
    assert_eq!(cents(&mut conn, "pool").await, amount("27600"));
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), 1);
    assert!(matches!(
        pay(&mut conn, &key("p-3"), "bank 3", amount("1")).await,
        Err(SaleError::UnknownPurchase(_))
    ));
    assert_eq!(list_purchases(&mut conn, wallet(1)).await.unwrap().len(), 1);
    let round = &sale_rounds(&mut conn).await.unwrap()[2];
    assert_eq!((round.sold, round.reserved, round.left()), (2, 1, 1747));
}

#[tokio::test]
async fn the_highest_tier_alone_decides_who_may_buy() {
    let (_database, mut conn) = shop(1).await;
    for (buyer, tier, source) in
        [(1, Tier::Sl2, "egg"), (1, Tier::Sl1, "claim"), (1, Tier::Sl1, "event"), (2, Tier::Sl2, "egg")]
    {
        assert!(list_wallet(&mut conn, wallet(buyer), tier, source).await.unwrap());
        assert!(!list_wallet(&mut conn, wallet(buyer), tier, source).await.unwrap());
    }
    assert!(matches!(
        list_wallet(&mut conn, wallet(1), Tier::Public, "x").await,
        Err(SaleError::NoSpecialList)
    ));
    let may = |eligibility: &tale_monetization::Eligibility| -> Vec<(bool, u32)> {
        eligibility.rounds.iter().map(|round| (round.is_eligible, round.may_have)).collect()
    };
    let first = eligibility(&mut conn, wallet(1)).await.unwrap();
    assert_eq!((first.tier, first.listings.len()), (Tier::Sl1, 3));
    assert_eq!(may(&first), [(true, 20); 4], "several of a tier give nothing extra");
    let second = eligibility(&mut conn, wallet(2)).await.unwrap();
    assert_eq!(may(&second), [(false, 0), (true, 20), (true, 20), (true, 20)]);
    let anybody = eligibility(&mut conn, wallet(3)).await.unwrap();
    assert_eq!((anybody.tier, may(&anybody)[1]), (Tier::Public, (false, 0)));

    reserve(&mut conn, &purchase("a", 1, 1, 20)).await.unwrap();
    let more = reserve(&mut conn, &purchase("b", 1, 1, 1)).await;
    assert!(matches!(more, Err(SaleError::OverLimit { left: 0, wanted: 1, .. })), "{more:?}");
    for buyer in [2, 3] {
        let refused = reserve(&mut conn, &purchase("c", 1, buyer, 1)).await;
        assert!(matches!(refused, Err(SaleError::NotEligible { .. })), "{refused:?}");
    }
    assert!(matches!(reserve(&mut conn, &purchase("c", 1, 1, 0)).await, Err(SaleError::NoUnits)));
}

#[tokio::test]
async fn a_round_sells_between_its_times_and_never_beside_another() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let refused = reserve(&mut conn, &purchase("a", 3, 1, 1)).await.unwrap_err();
    assert_eq!(refused.to_string(), "round 3 does not sell now: it is not scheduled");
    assert!(matches!(reserve(&mut conn, &purchase("a", 5, 1, 1)).await, Err(SaleError::UnknownRound(5))));
    let (opens_at, hour) = (now() + TimeDelta::hours(1), TimeDelta::hours(1));
    assert!(schedule_round(&mut conn, 3, opens_at, opens_at + hour).await.unwrap());
    assert!(!schedule_round(&mut conn, 3, opens_at, opens_at + hour).await.unwrap());
    let overlapping = schedule_round(&mut conn, 4, opens_at + hour / 2, opens_at + hour * 2).await;
    assert!(matches!(overlapping, Err(SaleError::RoundsOverlap { other: 3, .. })), "{overlapping:?}");
    let before = schedule_round(&mut conn, 2, opens_at + hour, opens_at + hour * 2).await;
    assert!(matches!(before, Err(SaleError::RoundsOverlap { other: 3, .. })), "rounds keep their order");
    let backwards = schedule_round(&mut conn, 2, opens_at, opens_at).await;
    assert!(matches!(backwards, Err(SaleError::RoundEndsFirst { .. })));
    assert!(matches!(
        reserve(&mut conn, &purchase("a", 3, 1, 1)).await,
        Err(SaleError::RoundNotOpen { opens_at: Some(_), .. })
    ));
    assert!(
        schedule_round(&mut conn, 3, opens_at - hour * 2, opens_at).await.unwrap(),
        "moved before it began"
    );
    assert!(matches!(
        schedule_round(&mut conn, 3, opens_at, opens_at + hour).await,
        Err(SaleError::RoundHasBegun { .. })
    ));
    reserve(&mut conn, &purchase("a", 3, 1, 1)).await.unwrap();
    wait(&mut conn, 60).await;
    assert!(matches!(reserve(&mut conn, &purchase("b", 3, 1, 1)).await, Err(SaleError::RoundNotOpen { .. })));
}

#[tokio::test]
async fn what_is_not_paid_in_time_is_sold_to_others() {
    let (_database, mut conn) = shop(3).await;
    force(&mut conn, "update monetization.sale_round set supply = 3 where round = 3").await;
    reserve(&mut conn, &purchase("slow", 3, 1, 3)).await.unwrap();
    let refused = reserve(&mut conn, &purchase("next", 3, 2, 1)).await;
    assert!(matches!(refused, Err(SaleError::SoldOut { left: 0, wanted: 1, .. })), "{refused:?}");
    wait(&mut conn, 15).await;
    let late = pay(&mut conn, &key("slow"), "bank 1", amount("41400")).await;
    assert!(matches!(late, Err(SaleError::Expired { .. })), "{late:?}");
    reserve(&mut conn, &purchase("next", 3, 2, 1)).await.unwrap();
    assert_eq!(find(&mut conn, "slow").await.state, PurchaseState::Expired);
    let late = pay(&mut conn, &key("slow"), "bank 1", amount("41400")).await;
    assert!(matches!(late, Err(SaleError::NotPayable { state: PurchaseState::Expired, .. })));
    assert!(!cancel(&mut conn, &key("slow")).await.unwrap().changed);
    assert!(list_journals(&mut conn).await.unwrap().is_empty());

    // nobody is held back beyond the end of the round
    wait(&mut conn, 40).await;
    let held = reserve(&mut conn, &purchase("last", 3, 3, 1)).await.unwrap().purchase;
    let round = &sale_rounds(&mut conn).await.unwrap()[2];
    assert_eq!(Some(held.expires_at), round.closes_at);
    wait(&mut conn, 5).await;
    let done = reconcile_sales(&mut conn).await.unwrap();
    assert_eq!((done.expired, done.closed), (1, vec![1, 2, 3]));
}

#[tokio::test]
async fn a_refund_returns_every_cent_and_takes_the_licences_back() {
    let (_database, mut conn) = shop(3).await;
    for (text, buyer) in [("a", 1), ("b", 2), ("c", 3)] {
        reserve(&mut conn, &purchase(text, 3, buyer, 2)).await.unwrap();
    }
    assert_eq!(cancel(&mut conn, &key("c")).await.unwrap().purchase.state, PurchaseState::Cancelled);
    for text in ["a", "b"] {
        pay(&mut conn, &key(text), text, amount("27600")).await.unwrap();
    }
    let refunded = cancel(&mut conn, &key("a")).await.unwrap();
    assert!(refunded.changed && refunded.purchase.licences.is_empty());
    assert_eq!(refunded.purchase.state, PurchaseState::Refunded);
    assert!(!cancel(&mut conn, &key("a")).await.unwrap().changed);
    assert_eq!(cents(&mut conn, "pool").await, amount("27600"));
    assert_eq!(cents(&mut conn, "issuance").await, amount("27600"));
    let round = &sale_rounds(&mut conn).await.unwrap()[2];
    assert_eq!((round.sold, round.reserved), (2, 0));
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), 3);

    wait(&mut conn, 24 * 60).await;
    let late = cancel(&mut conn, &key("b")).await;
    assert!(matches!(late, Err(SaleError::RefundOver { .. })), "{late:?}");
    assert!(matches!(cancel(&mut conn, &key("z")).await, Err(SaleError::UnknownPurchase(_))));
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn what_a_round_has_left_goes_to_the_next_and_what_it_earned_becomes_income() {
    let (_database, mut conn) = shop(3).await;
    reserve(&mut conn, &purchase("a", 3, 1, 5)).await.unwrap();
    pay(&mut conn, &key("a"), "bank", amount("69000")).await.unwrap();
    wait(&mut conn, 60).await;
    let states = |rounds: &[tale_monetization::SaleRound]| -> Vec<RoundState> {
        rounds.iter().map(|round| round.state).collect()
    };
    let ended = sale_rounds(&mut conn).await.unwrap();
    assert_eq!(states(&ended), [RoundState::Ended, RoundState::Ended, RoundState::Ended, RoundState::Open]);
    let done = reconcile_sales(&mut conn).await.unwrap();
    assert_eq!((done.closed, done.settled), (vec![1, 2, 3], vec![]));
    assert_eq!(reconcile_sales(&mut conn).await.unwrap(), tale_monetization::Reconciled::default());
    let rounds = sale_rounds(&mut conn).await.unwrap();
    let last = &rounds[3];
    assert_eq!((last.rolled_in, last.supply, last.left()), (15_245, 17_245, 17_245));
    assert_eq!((rounds[2].rolled_in, rounds[2].rolled_out, rounds[2].left()), (13_500, 15_245, 0));

    wait(&mut conn, 26 * 60).await;
    let done = reconcile_sales(&mut conn).await.unwrap();
    assert_eq!((done.closed, done.settled), (vec![4], vec![1, 2, 3, 4]));
    assert_eq!(sale_rounds(&mut conn).await.unwrap()[3].rolled_out, 0, "after the last they are not sold");
    assert_eq!(cents(&mut conn, "treasury").await, amount("69000"));
    assert_eq!(cents(&mut conn, "pool").await, Amount::ZERO);
    assert_eq!(reconcile_sales(&mut conn).await.unwrap(), tale_monetization::Reconciled::default());
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_database_refuses_what_a_wrong_program_would_do() {
    let (_database, mut conn) = shop(3).await;
    reserve(&mut conn, &purchase("a", 3, 1, 20)).await.unwrap();
    let insert = |buyer: &str, units: u32, state: &str| {
        format!(
            "insert into monetization.purchase (key, round, buyer, units, price_cents, state, reserved_at, expires_at)
             select 'b', 3, {buyer}, {units}, 1, '{state}', now(), now() + interval '1 hour'
             from monetization.purchase where key = 'a'"
        )
    };
    for (change, constraint) in [
        (insert("buyer", 1, "reserved"), "sale_buyer_within_limit"),
        (insert("buyer", 1, "paid"), "purchase_paid_columns"),
        (insert("buyer", 1, "expired"), "purchase_ended_columns"),
        (insert("decode(repeat('ab', 20), 'hex')", 1731, "reserved"), "sale_round_not_oversold"),
        ("update monetization.sale_round set sold = 1 where round = 3".to_owned(), "sale_round_is_kept"),
        ("update monetization.sale_round set supply = 9999 where round = 3".to_owned(), "sale_round_is_kept"),
        ("update monetization.sale_buyer set reserved = 0".to_owned(), "monetization_immutable"),
        ("update monetization.purchase set units = 1".to_owned(), "purchase_moves_forward"),
        (
            "update monetization.purchase set state = 'refunded', payment = 'x', paid_at = now(), payment_journal = 1,
             ended_at = now(), refund_journal = 1"
                .to_owned(),
            "purchase_moves_forward",
        ),
        ("delete from monetization.purchase".to_owned(), "monetization_immutable"),
        ("delete from monetization.licence".to_owned(), "monetization_immutable"),
    ] {
        let error = sqlx::query(AssertSqlSafe(change.clone())).execute(&mut conn).await.unwrap_err();
        let found = error.as_database_error().and_then(|error| error.constraint());
        assert_eq!(found, Some(constraint), "{change}: {error}");
    }
}
