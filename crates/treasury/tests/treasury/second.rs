//! The second computation, in SQL.

use rand::{Rng, RngExt, seq::SliceRandom};
use sqlx::PgConnection;
use tale_primitives::Seed;
use tale_testkit::{announce_on_panic, seeds};
use tale_treasury::{
    Class, EpochState, Ruleset, TreasuryError, compute, find_epoch, gather_inputs, post_epoch, publish_epoch,
    record_result, seal_epoch, settle_epoch,
};

use crate::network::{day, earn_in, network};

/// Points of any size: many alike, so that caps and remainders tie.
fn points(rng: &mut impl Rng) -> i64 {
    match rng.random_range(0..6) {
        0 => 1,
        1 => 7,
        2 => rng.random_range(-20..100),
        3 => rng.random_range(1..1 << 40),
        4 => -rng.random_range(1..1 << 30),
        _ => rng.random_range(1..1000),
    }
}

async fn earn_at_random(conn: &mut PgConnection, number: u32, rng: &mut impl Rng) {
    let mut classes = Class::ALL;
    classes.shuffle(rng);
    for class in classes.into_iter().take(rng.random_range(1..=3)) {
        let mut lines: Vec<(u32, i64)> = (0..6).map(|generator| (generator, points(rng))).collect();
        lines.shuffle(rng);
        lines.truncate(rng.random_range(1..=6));
        earn_in(conn, class, &format!("{class}/{number}"), day(number), &lines).await;
    }
}

#[tokio::test]
async fn rust_and_sql_come_to_the_same_bytes_whatever_was_earned() {
    for seed in seeds(4) {
        let _notice = announce_on_panic(seed);
        let mut rng = Seed::new(seed).child("second computation").rng();
        let (_database, mut conn) = network().await;
        for number in 1..=10 {
            earn_at_random(&mut conn, number, &mut rng).await;
            let epoch = settle_epoch(&mut conn, day(number)).await.unwrap().epoch;
            assert_eq!(epoch.checked_digest, epoch.result_digest);
        }
    }
}

#[tokio::test]
async fn a_mismatch_stops_the_epoch_and_names_the_first_owner_that_differs() {
    let (_database, mut conn) = network().await;
    for class in Class::ALL {
        earn_in(&mut conn, class, class.as_str(), day(1), &[(1, 5), (2, 9), (3, 2), (4, 4), (5, 1)]).await;
    }
    let inputs = gather_inputs(&mut conn, day(1), 2).await.unwrap();
    seal_epoch(&mut conn, &inputs).await.unwrap();
    let mut result = compute(&inputs, &Ruleset::load(2).unwrap()).unwrap();
    // One unit moves from one owner to the next: the sums are right, and the digest is that of what is stored.
    let unit = 1u64.into();
    let (one, other) = (1, 2);
    let wrong = &mut result.rewards;
    let add = |place: usize, wrong: &mut Vec<tale_treasury::Reward>| {
        let reward = &mut wrong[place];
        for amount in [&mut reward.shares.training.amount, &mut reward.gross, &mut reward.net] {
            *amount = amount.checked_add(unit).unwrap();
        }
    };
    let take = |place: usize, wrong: &mut Vec<tale_treasury::Reward>| {
        let reward = &mut wrong[place];
        for amount in [&mut reward.shares.training.amount, &mut reward.gross, &mut reward.net] {
            *amount = amount.checked_sub(unit).unwrap();
        }
    };
    add(one, wrong);
    take(other, wrong);
    record_result(&mut conn, &result).await.unwrap();

    let refused = post_epoch(&mut conn, day(1)).await.unwrap_err();
    let TreasuryError::ComputationsDiffer { epoch, owner, stored, derived } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!((*epoch, *owner), (day(1), result.rewards[one].owner));
    assert_eq!(*stored, result.rewards[one].to_string());
    assert_ne!(stored, derived);
    assert!(publish_epoch(&mut conn, day(1), None).await.is_err());
    let epoch = find_epoch(&mut conn, day(1)).await.unwrap().unwrap();
    assert_eq!((epoch.state, epoch.journal_id, epoch.root), (EpochState::Computed, None, None));
}

#[tokio::test]
async fn classes_that_differ_while_every_reward_agrees_stop_the_epoch_too() {
    let (_database, mut conn) = network().await;
    earn_in(&mut conn, Class::Compute, "work", day(1), &[(1, 5)]).await;
    let inputs = gather_inputs(&mut conn, day(1), 2).await.unwrap();
    seal_epoch(&mut conn, &inputs).await.unwrap();
    let mut result = compute(&inputs, &Ruleset::load(2).unwrap()).unwrap();
    result.classes.compute.capped = 0;
    record_result(&mut conn, &result).await.unwrap();
    let refused = post_epoch(&mut conn, day(1)).await;
    assert!(matches!(refused, Err(TreasuryError::DigestsDiffer { .. })), "{refused:?}");
}
