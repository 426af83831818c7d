//! Buyers who come at once, over connections of their own.

use futures::future::join_all;
use tale_ledger::{list_journals, verify};
use tale_monetization::{
    NewPurchase, PurchaseState, SaleError, cancel, pay, reconcile_sales, reserve, sale_rounds,
};
use tale_testkit::TestDatabase;

use crate::{
    amount,
    sales::{cents, force, key, purchase, schedule},
    wallet,
};

const CONNECTIONS: u32 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_buyers_who_race_for_the_last_licences_just_as_many_get_one() {
    const LEFT: usize = 7;
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    schedule(&mut conn, 3).await;
    // the rounds before pass on what they have left; then there is this much
    reconcile_sales(&mut conn).await.unwrap();
    let few = format!("update monetization.sale_round set supply = {LEFT}, rolled_in = 0 where round = 3");
    force(&mut conn, &few).await;
    let buyers = (0..CONNECTIONS).map(|connection| {
        let database = &database;
        async move {
            let mut conn = database.connection().await;
            let mut bought = 0;
            for place in 0..5 {
                let buyer = connection * 100 + place;
                let wanted = purchase(&format!("p-{buyer}"), 3, buyer, 1);
                match reserve(&mut conn, &wanted).await {
                    Ok(step) => {
                        let name = format!("bank {buyer}");
                        pay(&mut conn, &step.purchase.key, &name, amount("13800")).await.unwrap();
                        bought += 1;
                    }
                    Err(SaleError::SoldOut { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                reconcile_sales(&mut conn).await.unwrap();
            }
            bought
        }
    });
    let bought: usize = join_all(buyers).await.into_iter().sum();
    assert_eq!(bought, LEFT);
    let round = &sale_rounds(&mut conn).await.unwrap()[2];
    assert_eq!((round.sold as usize, round.reserved, round.left()), (LEFT, 0, 0));
    assert_eq!(cents(&mut conn, "pool").await, amount(&(LEFT * 13_800).to_string()));
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_buyer_on_many_connections_has_no_more_than_the_limit() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    schedule(&mut conn, 3).await;
    let attempts = (0..CONNECTIONS).map(|connection| {
        let database = &database;
        async move {
            let mut conn = database.connection().await;
            let mut held = 0;
            for place in 0..4 {
                let wanted = purchase(&format!("p-{connection}-{place}"), 3, 1, 3);
                match reserve(&mut conn, &wanted).await {
                    Ok(step) => held += step.purchase.units,
                    Err(SaleError::OverLimit { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            held
        }
    });
    let held: u32 = join_all(attempts).await.into_iter().sum();
    assert_eq!(held, 18, "twenty at most, in threes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_on_many_connections_is_one_purchase_one_payment_and_one_refund() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    schedule(&mut conn, 3).await;
    let wanted = NewPurchase { key: key("once"), round: 3, buyer: wallet(1), units: 2 };
    let rush = (0..CONNECTIONS).map(|_| {
        let (database, wanted) = (&database, &wanted);
        async move {
            let mut conn = database.connection().await;
            let reserved = reserve(&mut conn, wanted).await.unwrap().changed;
            let paid = pay(&mut conn, &wanted.key, "bank", amount("27600")).await.unwrap().changed;
            (u32::from(reserved), u32::from(paid))
        }
    });
    let steps = join_all(rush).await.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!(steps, (1, 1));
    let rush = (0..CONNECTIONS).map(|_| {
        let (database, wanted) = (&database, &wanted);
        async move {
            let mut conn = database.connection().await;
            let step = cancel(&mut conn, &wanted.key).await.unwrap();
            assert_eq!(step.purchase.state, PurchaseState::Refunded);
            u32::from(step.changed)
        }
    });
    assert_eq!(join_all(rush).await.into_iter().sum::<u32>(), 1);
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), 2);
}
