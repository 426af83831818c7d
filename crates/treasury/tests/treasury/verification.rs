//! Epochs derived again, and rewards explained.

use sqlx::{AssertSqlSafe, PgConnection};
use tale_primitives::Amount;
use tale_treasury::{
    Class, NewCorrection, Outcome, Quota, explain_reward, load_result, record_correction, settle_epoch,
    verify_epoch,
};

use crate::{
    network::{day, earn_in, network},
    owner,
};

/// Two days of every class, with a late line and an over-payment.
async fn settle_two_days(conn: &mut PgConnection) {
    for class in Class::ALL {
        let points = [(0, 3), (1, 4), (2, 90), (3, 20), (4, 11), (5, -2)];
        earn_in(conn, class, class.as_str(), day(1), &points).await;
    }
    settle_epoch(conn, day(1)).await.unwrap();
    earn_in(conn, Class::Training, "late", day(1), &[(3, 7)]).await;
    earn_in(conn, Class::Training, "of the day", day(2), &[(1, 5), (2, 6), (3, 8), (4, 1)]).await;
    let correction = NewCorrection {
        correction: "audit-1".to_owned(),
        origin: day(1),
        owner: owner(3),
        over_paid: Amount::from(1000u64),
        reason: "a test".to_owned(),
        actor: "a test".to_owned(),
    };
    record_correction(conn, &correction).await.unwrap();
    settle_epoch(conn, day(2)).await.unwrap();
}

#[tokio::test]
async fn a_settled_epoch_agrees_with_everything_that_it_follows_from() {
    let (_database, mut conn) = network().await;
    settle_two_days(&mut conn).await;
    for number in [1, 2] {
        let verification = verify_epoch(&mut conn, day(number)).await.unwrap();
        assert_eq!(verification.checks.len(), 9);
        let agrees = |outcome: &Outcome| matches!(outcome, Outcome::Agrees(_));
        assert!(verification.checks.iter().all(|check| agrees(&check.outcome)), "{verification:?}");
    }
}

#[tokio::test]
async fn the_first_discrepancy_of_a_changed_epoch_is_named() {
    for (table, change, what, words) in [
        (
            "contribution",
            "points = points + 1 where source = 'late'",
            "contributions",
            "7 points of training",
        ),
        (
            "sealed_input",
            "owner = decode(repeat('ab', 20), 'hex') where day = '2026-03-02'",
            "inputs",
            "recorded is",
        ),
        (
            "reward",
            "amount = amount + 1, training_amount = training_amount + 1 where day = '2026-03-02' and amount > 1",
            "result",
            "stored is 0x",
        ),
        ("epoch_class", "capped = capped + 1 where day = '2026-03-02'", "result", "the stored result"),
        ("epoch", "chain_head = sha256('x') where day = '2026-03-02'", "ledger chain", "recorded is"),
        ("epoch", "root = sha256('x') where day = '2026-03-02'", "root", "leaves give"),
        (
            "epoch",
            "manifest = replace(manifest, '\"lines\":1', '\"lines\":2'), manifest_digest = sha256(convert_to(
                replace(manifest, '\"lines\":1', '\"lines\":2'), 'UTF8')) where day = '2026-03-02'",
            "manifest",
            "does not say",
        ),
    ] {
        let (_database, mut conn) = network().await;
        settle_two_days(&mut conn).await;
        let tamper = format!(
            "alter table treasury.{table} disable trigger user; update treasury.{table} set {change};
            alter table treasury.{table} enable trigger user"
        );
        sqlx::raw_sql(AssertSqlSafe(tamper)).execute(&mut conn).await.unwrap();
        let verification = verify_epoch(&mut conn, day(2)).await.unwrap();
        let found = verification.discrepancy().unwrap_or_else(|| panic!("{change} was not found"));
        assert_eq!(found.what, what, "{change}: {found:?}");
        let Outcome::Differs(detail) = &found.outcome else { panic!("{found:?}") };
        assert!(detail.contains(words), "{detail}");
        assert_eq!(verification.checks.last(), Some(found), "it stops there");
    }
}

#[tokio::test]
async fn an_explanation_adds_up_to_the_reward_from_sources_to_the_claim() {
    let (_database, mut conn) = network().await;
    settle_two_days(&mut conn).await;
    for number in [1, 2] {
        let result = load_result(&mut conn, day(number)).await.unwrap().unwrap();
        for reward in &result.rewards {
            let explained = explain_reward(&mut conn, day(number), reward.owner).await.unwrap();
            assert_eq!((explained.gross, explained.net), (reward.gross, reward.net));
            for class in &explained.classes {
                assert_eq!(class.share, reward.shares[class.class]);
                let amount = match class.quota {
                    Quota::NoWeight => Amount::ZERO,
                    Quota::Capped => class.pool.cap,
                    Quota::Divided { base, odd_unit, .. } => {
                        base.checked_add(u64::from(odd_unit).into()).unwrap()
                    }
                };
                assert_eq!(class.share.amount, amount, "{class:?}");
                let points: i64 = class.lines.iter().map(|line| line.points).sum();
                assert_eq!(points, class.share.points);
                for line in &class.lines {
                    assert_eq!(line.sources.iter().map(|source| source.points).sum::<i64>(), line.points);
                }
            }
            let repaid = Amount::checked_sum(explained.repayments.iter().map(|one| one.amount)).unwrap();
            assert_eq!(explained.net.checked_add(repaid), Some(explained.gross));
            assert_eq!(explained.journal.is_some(), !explained.net.is_zero());
        }
    }
    let third = explain_reward(&mut conn, day(2), owner(3)).await.unwrap();
    assert_eq!((third.receivables.len(), third.repayments.len()), (1, 1));
    let origins: Vec<_> = third.classes[1].lines.iter().map(|line| line.origin).collect();
    assert_eq!(origins, [day(1), day(2)], "what came late beside what is of the day");
    let nobody = explain_reward(&mut conn, day(2), owner(99)).await.unwrap();
    assert!(nobody.gross.is_zero() && nobody.claim.is_none());
}
