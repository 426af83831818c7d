//! What came late, and what was paid too much.

use tale_ledger::{AccountKey, AccountOwner, Asset, balance, list_journals, verify};
use tale_primitives::{Address, Amount};
use tale_treasury::{
    Class, NewCorrection, TreasuryError, claims_tree, list_receivables, load_inputs, load_result,
    record_correction, settle_epoch,
};

use crate::{
    network::{day, earn_in, holder, network},
    owner,
};

fn over_payment(key: &str, of: u32, origin: u32, over_paid: Amount) -> NewCorrection {
    NewCorrection {
        correction: key.to_owned(),
        origin: day(origin),
        owner: owner(of),
        over_paid,
        reason: "its shard was counted twice".to_owned(),
        actor: "a test".to_owned(),
    }
}

fn receivable(owner: Address) -> AccountKey {
    let asset: Asset = "xTALE".parse().unwrap();
    AccountKey::new(AccountOwner::Receivable(owner), asset)
}

/// Accounting of over-payments: a correction takes nothing, later earnings repay it first, and claims never fall.
#[tokio::test]
async fn failure_8_an_over_payment_is_netted_from_later_earnings_and_no_claim_or_account_falls() {
    let (_database, mut conn) = network().await;
    let everyone = [(1, 10), (2, 10), (3, 10), (4, 10)];
    earn_in(&mut conn, Class::Training, "a", day(1), &everyone).await;
    settle_epoch(&mut conn, day(1)).await.unwrap();
    let paid = balance(&mut conn, &holder(owner(1))).await.unwrap().amount();

    // More than two days' earnings of what it gets below.
    assert!(record_correction(&mut conn, &over_payment("audit-1", 1, 1, paid)).await.unwrap());
    assert!(!record_correction(&mut conn, &over_payment("audit-1", 1, 1, paid)).await.unwrap());
    assert_eq!(balance(&mut conn, &holder(owner(1))).await.unwrap().amount(), paid, "nothing is taken");
    assert_eq!(balance(&mut conn, &receivable(owner(1))).await.unwrap().amount(), paid);

    let mut owed = paid;
    for number in 2..=5 {
        let before = balance(&mut conn, &holder(owner(1))).await.unwrap().amount();
        earn_in(
            &mut conn,
            Class::Training,
            &number.to_string(),
            day(number),
            &[(1, 4), (2, 10), (3, 10), (4, 10), (5, 10)],
        )
        .await;
        settle_epoch(&mut conn, day(number)).await.unwrap();
        let result = load_result(&mut conn, day(number)).await.unwrap().unwrap();
        let reward = result.rewards.iter().find(|reward| reward.owner == owner(1)).unwrap();
        assert_eq!(reward.repaid, reward.gross.min(owed), "what is owed is repaid first");
        owed = owed.checked_sub(reward.repaid).unwrap();
        assert_eq!(balance(&mut conn, &receivable(owner(1))).await.unwrap().amount(), owed);
        let after = balance(&mut conn, &holder(owner(1))).await.unwrap().amount();
        assert_eq!(before.checked_add(reward.net), Some(after));
        let tree = claims_tree(&mut conn, day(number)).await.unwrap();
        let leaf = tree.leaves().iter().find(|leaf| leaf.account == owner(1)).unwrap();
        assert_eq!(leaf.cumulative, after, "and the claim is what the account holds");
        assert!(verify(&mut conn).await.unwrap().is_consistent());
    }
    assert!(owed.is_zero(), "four days repaid it");
    let receivables = list_receivables(&mut conn, Some(owner(1))).await.unwrap();
    assert_eq!((receivables[0].repaid, receivables[0].outstanding), (paid, Amount::ZERO));
    let expected = "pool:receivables:xTALE".parse().unwrap();
    assert!(balance(&mut conn, &expected).await.unwrap().amount().is_zero());
}

#[tokio::test]
async fn a_correction_of_more_than_was_paid_or_of_other_content_is_refused() {
    let (_database, mut conn) = network().await;
    earn_in(&mut conn, Class::Compute, "a", day(1), &[(1, 10), (2, 10)]).await;
    let unsealed = record_correction(&mut conn, &over_payment("x", 1, 1, 1u64.into())).await;
    assert!(matches!(unsealed, Err(TreasuryError::NotSealed(_))), "{unsealed:?}");
    settle_epoch(&mut conn, day(1)).await.unwrap();
    let paid = balance(&mut conn, &holder(owner(1))).await.unwrap().amount();
    let journals = list_journals(&mut conn).await.unwrap().len();

    let most = paid.checked_sub(1u64.into()).unwrap();
    assert!(record_correction(&mut conn, &over_payment("x", 1, 1, most)).await.unwrap());
    for (correction, law) in [
        (over_payment("y", 1, 1, 2u64.into()), "more than is left"),
        (over_payment("y", 3, 1, 1u64.into()), "who was paid nothing"),
    ] {
        let refused = record_correction(&mut conn, &correction).await;
        assert!(matches!(refused, Err(TreasuryError::OverCorrected { .. })), "{law}: {refused:?}");
    }
    let other = record_correction(&mut conn, &over_payment("x", 1, 1, 1u64.into())).await;
    assert!(matches!(other, Err(TreasuryError::CorrectionDiffers { .. })), "{other:?}");
    for key in ["", "Audit", "a b", "-a", &"a".repeat(101)] {
        let refused = record_correction(&mut conn, &over_payment(key, 1, 1, 1u64.into())).await;
        assert!(matches!(refused, Err(TreasuryError::UnusableText { .. })), "{key:?}: {refused:?}");
    }
    let nothing = record_correction(&mut conn, &over_payment("z", 1, 1, Amount::ZERO)).await;
    assert!(matches!(nothing, Err(TreasuryError::UnusableText { .. })), "{nothing:?}");
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), journals + 1);
}

#[tokio::test]
async fn failure_3_what_comes_after_the_seal_is_a_line_of_the_next_epoch_that_names_its_day() {
    let (_database, mut conn) = network().await;
    earn_in(&mut conn, Class::Training, "in time", day(1), &[(1, 10)]).await;
    let sealed = settle_epoch(&mut conn, day(1)).await.unwrap().epoch;
    let work = [(1, 3), (2, 5)];
    earn_in(&mut conn, Class::Compute, "late", day(1), &work).await;
    earn_in(&mut conn, Class::Compute, "of the day", day(2), &work).await;

    let again = settle_epoch(&mut conn, day(1)).await.unwrap();
    assert_eq!((again.epoch, again.changed), (sealed, false), "a sealed day keeps its digests");
    settle_epoch(&mut conn, day(2)).await.unwrap();
    let inputs = load_inputs(&mut conn, day(2)).await.unwrap().unwrap();
    let late: Vec<_> = inputs.corrections().map(|line| (line.class, line.origin, line.points)).collect();
    assert_eq!(late.len(), 2);
    assert!(late.iter().all(|(class, origin, _)| (*class, *origin) == (Class::Compute, day(1))));
    assert_eq!(inputs.contributions().len(), 4, "beside the lines of the day");
    let manifest = tale_treasury::load_manifest(&mut conn, day(2)).await.unwrap().unwrap();
    assert!(
        manifest.contains(r#""late":[{"origin":"2026-03-01","class":"compute","lines":2}]"#),
        "{manifest}"
    );
}
