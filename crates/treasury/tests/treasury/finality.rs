//! Holds, and the end of an epoch.

use sqlx::PgConnection;
use tale_treasury::{
    Class, EpochState, TreasuryError, claimable_epoch, finalise_epochs, find_epoch, hold_epoch, list_brakes,
    release_epoch, settle_epoch,
};

use crate::network::{day, earn_in, network};

/// Lets a day pass for what is published.
pub async fn let_a_day_pass(conn: &mut PgConnection) {
    let later = "alter table treasury.epoch disable trigger epoch_step;
        update treasury.epoch set published_at = published_at - interval '25 hours' where state = 'published';
        alter table treasury.epoch enable trigger epoch_step";
    sqlx::raw_sql(later).execute(conn).await.unwrap();
}

async fn settle(conn: &mut PgConnection, number: u32) {
    earn_in(conn, Class::Training, &number.to_string(), day(number), &[(1, 1), (2, 2)]).await;
    settle_epoch(conn, day(number)).await.unwrap();
}

async fn state(conn: &mut PgConnection, number: u32) -> EpochState {
    find_epoch(conn, day(number)).await.unwrap().unwrap().state
}

#[tokio::test]
async fn an_epoch_is_final_when_its_time_for_disputes_has_passed_and_never_before() {
    let (_database, mut conn) = network().await;
    settle(&mut conn, 1).await;
    assert!(finalise_epochs(&mut conn).await.unwrap().is_empty(), "a day has not passed");
    let_a_day_pass(&mut conn).await;
    settle(&mut conn, 2).await;
    assert_eq!(finalise_epochs(&mut conn).await.unwrap(), [day(1)]);
    assert!(finalise_epochs(&mut conn).await.unwrap().is_empty(), "once");
    assert_eq!(
        (state(&mut conn, 1).await, state(&mut conn, 2).await),
        (EpochState::Final, EpochState::Published)
    );
    assert!(find_epoch(&mut conn, day(1)).await.unwrap().unwrap().finalised_at.is_some());
    assert!(!settle_epoch(&mut conn, day(1)).await.unwrap().changed, "a final epoch stays as it is");
}

#[tokio::test]
async fn a_hold_keeps_its_day_and_those_after_it_from_publication_and_from_being_final() {
    let (_database, mut conn) = network().await;
    settle(&mut conn, 1).await;
    assert!(hold_epoch(&mut conn, day(2), "a validator disputes it", "ann").await.unwrap());
    assert!(!hold_epoch(&mut conn, day(2), "again", "bob").await.unwrap(), "it is held already");
    for number in [2, 3] {
        earn_in(&mut conn, Class::Training, &number.to_string(), day(number), &[(1, 1)]).await;
        let refused = settle_epoch(&mut conn, day(number)).await;
        assert!(matches!(&refused, Err(TreasuryError::Held { held, .. }) if *held == day(2)), "{refused:?}");
        assert_eq!(state(&mut conn, number).await, EpochState::Posted);
    }
    let_a_day_pass(&mut conn).await;
    assert_eq!(finalise_epochs(&mut conn).await.unwrap(), [day(1)], "the day before it goes on");
    assert_eq!(list_brakes(&mut conn).await.unwrap().len(), 1);

    release_epoch(&mut conn, day(2), "the dispute was void", "ann").await.unwrap();
    let refused = release_epoch(&mut conn, day(2), "again", "ann").await;
    assert!(matches!(refused, Err(TreasuryError::NotHeld(_))), "{refused:?}");
    for number in [2, 3] {
        assert!(settle_epoch(&mut conn, day(number)).await.unwrap().changed, "it goes on");
    }
    let final_already = hold_epoch(&mut conn, day(1), "too late", "ann").await;
    assert!(matches!(final_already, Err(TreasuryError::IsFinal(_))), "{final_already:?}");
}

#[tokio::test]
async fn while_a_published_root_is_held_claims_fall_back_to_the_one_before_it() {
    let (_database, mut conn) = network().await;
    assert_eq!(claimable_epoch(&mut conn).await.unwrap(), None);
    for number in 1..=3 {
        settle(&mut conn, number).await;
    }
    assert_eq!(claimable_epoch(&mut conn).await.unwrap(), Some(day(3)));
    hold_epoch(&mut conn, day(2), "the root was disabled on the chain", "ann").await.unwrap();
    assert_eq!(
        claimable_epoch(&mut conn).await.unwrap(),
        Some(day(1)),
        "the third root has the second's leaves"
    );
    let_a_day_pass(&mut conn).await;
    assert_eq!(finalise_epochs(&mut conn).await.unwrap(), [day(1)]);
    release_epoch(&mut conn, day(2), "it is right", "ann").await.unwrap();
    assert_eq!(claimable_epoch(&mut conn).await.unwrap(), Some(day(3)));
    assert_eq!(finalise_epochs(&mut conn).await.unwrap(), [day(2), day(3)]);
}

#[tokio::test]
async fn the_database_itself_publishes_nothing_that_is_held() {
    let (_database, mut conn) = network().await;
    settle(&mut conn, 1).await;
    hold_epoch(&mut conn, day(1), "a reason", "ann").await.unwrap();
    let forced = "update treasury.epoch set state = 'final', finalised_at = now()";
    let refused = sqlx::raw_sql(forced).execute(&mut conn).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("epoch_not_held"));
    let changed = "update treasury.brake set reason = 'another'; update treasury.brake set actor = 'another'";
    let refused = sqlx::raw_sql(changed).execute(&mut conn).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("brake_is_released_once"));
    for reason in ["", "  ", &"x".repeat(501)] {
        let refused = hold_epoch(&mut conn, day(2), reason, "ann").await;
        assert!(matches!(refused, Err(TreasuryError::UnusableText { .. })), "{refused:?}");
    }
}
