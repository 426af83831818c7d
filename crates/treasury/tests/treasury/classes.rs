//! The rewards of ruleset 2: three classes, caps, repayments.

use proptest::prelude::*;
use tale_primitives::{Address, Amount, Digest, GeneratorId, UtcDay};
use tale_treasury::{
    Class, Contribution, EpochResult, OpenReceivable, Reward, Ruleset, SealedInputs, TreasuryError, compute,
};

use crate::{amount, owner};

fn day() -> UtcDay {
    "2026-03-02".parse().unwrap()
}

fn earlier() -> UtcDay {
    "2026-03-01".parse().unwrap()
}

fn line(class: Class, generator: u32, owner: Address, points: i64) -> Contribution {
    let generator = GeneratorId::derive("test", &generator.to_string());
    Contribution { generator, class, origin: day(), owner, points }
}

fn inputs(contributions: Vec<Contribution>) -> SealedInputs {
    SealedInputs::new(day(), 2, contributions).unwrap()
}

fn result(inputs: &SealedInputs) -> EpochResult {
    compute(inputs, &Ruleset::load(2).unwrap()).unwrap()
}

fn owed(owner: Address, correction: &str, outstanding: &str) -> OpenReceivable {
    OpenReceivable {
        owner,
        origin: earlier(),
        correction: correction.to_owned(),
        outstanding: amount(outstanding),
    }
}

fn golden() -> SealedInputs {
    let mut contributions = vec![
        line(Class::Compute, 1, owner(1), 4000),
        line(Class::Compute, 2, owner(2), 3000),
        line(Class::Compute, 3, owner(1), 500),
        line(Class::Compute, 5, owner(5), 9000),
        line(Class::Training, 1, owner(1), 700),
        line(Class::Training, 2, owner(2), -5),
        line(Class::Training, 3, owner(1), -100),
        line(Class::Training, 4, owner(3), 299),
        line(Class::Validation, 6, owner(4), 12),
        line(Class::Validation, 7, owner(2), 12),
        line(Class::Validation, 8, owner(6), 3),
    ];
    let late = Contribution { origin: earlier(), points: 41, ..line(Class::Training, 4, owner(3), 0) };
    contributions.push(late);
    inputs(contributions).with_receivables(vec![
        owed(owner(3), "audit-7", "1000000000000000000"),
        owed(owner(3), "audit-2", "999999999999999999999999"),
        owed(owner(9), "audit-8", "5"),
    ])
}

/// Epochs that used a ruleset stay computable: its bytes and those of an epoch are pinned, and another rule is another
/// version.
#[test]
fn ruleset_2_and_a_golden_epoch_never_change() {
    assert_eq!(
        Ruleset::digest(2).unwrap().to_string(),
        "76d7839eb6137d11460393017a9acebb34bed88a40ddb598d07fff49b0bde6b5"
    );
    assert_eq!(
        golden().digest().unwrap().to_string(),
        "9a1971949975c54fd66f8ce2f7cc4571acbdf746fb794f10b4f74e33e56c706d"
    );
    assert_eq!(
        result(&golden()).digest().unwrap().to_string(),
        "6dec2a988c73f59c5e3f8d76c0e53a6ce86f413d309d5509fac34d8a4e5846b4"
    );
}

#[test]
fn the_daily_pool_is_divided_among_the_classes_to_the_unit() {
    let ruleset = Ruleset::load(Ruleset::CURRENT_VERSION).unwrap();
    assert_eq!(ruleset.daily_pool().unwrap(), amount("64888888888888888888888"));
    let pools = ruleset.class_pools().unwrap();
    assert_eq!(pools.compute, amount("19466666666666666666666"));
    assert_eq!(pools.training, amount("32444444444444444444444"));
    assert_eq!(pools.validation, amount("12977777777777777777778"));
    let sum = Amount::checked_sum(pools.iter().map(|(_, pool)| *pool));
    assert_eq!(sum, Some(ruleset.daily_pool().unwrap()));
    assert_eq!(ruleset.dispute_hours, 24);
    assert!(matches!(Ruleset::load(3), Err(TreasuryError::UnknownRuleset(3))));
}

#[test]
fn each_class_pays_its_own_points_and_harm_in_one_takes_nothing_from_another() {
    let given = result(&inputs(vec![
        line(Class::Compute, 1, owner(1), 10),
        line(Class::Training, 1, owner(1), -10),
        line(Class::Training, 2, owner(2), 10),
    ]));
    let of = |wanted| given.rewards.iter().find(|reward| reward.owner == wanted).unwrap();
    assert_eq!(of(owner(1)).shares.compute.amount, given.classes.compute.cap);
    assert_eq!(
        (of(owner(1)).shares.training.points, of(owner(1)).shares.training.amount),
        (-10, Amount::ZERO)
    );
    assert_eq!(of(owner(2)).gross, given.classes.training.cap);
    assert_eq!(given.classes.validation.carried, given.classes.validation.pool, "nobody voted");
    assert_eq!(given.paid.checked_add(given.carried), Some(given.pool));
}

#[test]
fn what_was_paid_too_much_is_repaid_first_the_oldest_first_and_no_more_than_is_earned() {
    let given = result(&golden());
    let of = |wanted| given.rewards.iter().find(|reward| reward.owner == wanted).unwrap();
    let third = of(owner(3));
    assert_eq!((third.repaid, third.net), (third.gross, Amount::ZERO), "it owes more than it earned");
    let repaid: Vec<&str> = given.repayments.iter().map(|one| one.correction.as_str()).collect();
    assert_eq!(repaid, ["audit-2"], "the first by name of the same day, and owner 9 earned nothing");
    assert_eq!(given.repaid, third.gross);

    let little = inputs(golden().contributions().to_vec())
        .with_receivables(vec![owed(owner(3), "b", "7"), owed(owner(3), "a", "5")]);
    let given = result(&little);
    let third = given.rewards.iter().find(|reward| reward.owner == owner(3)).unwrap();
    assert_eq!((third.repaid, given.repaid), (amount("12"), amount("12")));
    assert_eq!(given.repayments.len(), 2);
}

#[test]
fn what_comes_from_a_later_day_is_refused_and_a_late_line_stands_beside_one_of_the_day() {
    let future =
        Contribution { origin: "2026-03-03".parse().unwrap(), ..line(Class::Training, 1, owner(1), 1) };
    let refused = SealedInputs::new(day(), 2, vec![future]);
    assert!(matches!(refused, Err(TreasuryError::FromTheFuture { .. })), "{refused:?}");
    let late = Contribution { origin: earlier(), ..line(Class::Training, 1, owner(1), 1) };
    let both = inputs(vec![line(Class::Training, 1, owner(1), 1), late]);
    assert_eq!(both.corrections().collect::<Vec<_>>(), [&late]);
    assert_eq!(result(&both).rewards[0].shares.training.points, 2);
    let twice = SealedInputs::new(day(), 2, vec![late, late]);
    assert!(matches!(twice, Err(TreasuryError::GeneratorTwice(_))), "{twice:?}");
}

fn contributions() -> impl Strategy<Value = Vec<Contribution>> {
    let points = prop_oneof![-1000..1000i64, 0..30i64, -(1i64 << 50)..(1i64 << 50)];
    let class = prop::sample::select(&Class::ALL[..]);
    prop::collection::btree_map((class, 0..40u32), (0..9u32, points), 0..60).prop_map(|lines| {
        lines
            .into_iter()
            .map(|((class, number), (o, points))| line(class, number, owner(o), points))
            .collect()
    })
}

fn receivables() -> impl Strategy<Value = Vec<OpenReceivable>> {
    let amounts = prop_oneof![1..1000u128, 1..1u128 << 76];
    prop::collection::btree_map((0..9u32, 0..3u32), amounts, 0..6).prop_map(|owed_by| {
        let owed = |((o, key), units): ((u32, u32), u128)| OpenReceivable {
            owner: owner(o),
            origin: earlier(),
            correction: format!("c-{o}-{key}"),
            outstanding: Amount::from(units),
        };
        owed_by.into_iter().map(owed).collect()
    })
}

fn sum(of: impl Fn(&Reward) -> Amount, result: &EpochResult) -> Amount {
    Amount::checked_sum(result.rewards.iter().map(of)).unwrap()
}

proptest! {
    #[test]
    fn the_order_of_lines_and_receivables_decides_no_byte(
        (given, shuffled) in contributions().prop_flat_map(|c| (Just(c.clone()), Just(c).prop_shuffle())),
        (owed, mixed) in receivables().prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle())),
    ) {
        let given = result(&inputs(given).with_receivables(owed));
        let shuffled = result(&inputs(shuffled).with_receivables(mixed));
        prop_assert_eq!(given.digest().unwrap(), shuffled.digest().unwrap());
        let read: EpochResult = serde_json::from_slice(&given.to_json().unwrap()).unwrap();
        prop_assert_eq!(read, given);
    }

    #[test]
    fn what_is_paid_and_carried_is_the_pool_and_nobody_has_more_than_the_cap(
        given in contributions(), owed in receivables(),
    ) {
        let result = result(&inputs(given).with_receivables(owed));
        prop_assert_eq!(result.paid.checked_add(result.carried), Some(result.pool));
        prop_assert_eq!(sum(|reward| reward.gross, &result), result.paid);
        prop_assert_eq!(sum(|reward| reward.repaid, &result), result.repaid);
        prop_assert_eq!(sum(|reward| reward.net, &result).checked_add(result.repaid), Some(result.paid));
        for reward in &result.rewards {
            for (class, share) in reward.shares.iter() {
                prop_assert!(share.amount <= result.classes[class].cap);
                prop_assert!(share.points > 0 || share.amount.is_zero());
            }
        }
    }

    #[test]
    fn dividing_a_generators_points_among_generators_of_one_owner_changes_no_reward(
        given in contributions(), parts in prop::collection::vec(-500..500i64, 1..5),
    ) {
        let mut divided = given.clone();
        if let Some(first) = divided.first_mut() {
            let whole = *first;
            first.points -= parts.iter().sum::<i64>();
            divided.extend(
                parts.iter().zip(1000..).map(|(points, number)| line(whole.class, number, whole.owner, *points)),
            );
        }
        prop_assert_eq!(result(&inputs(divided)).rewards, result(&inputs(given)).rewards);
    }
}

#[test]
fn digests_do_not_depend_on_what_else_this_process_does() {
    let expected = result(&golden()).digest().unwrap();
    let threads: Vec<_> =
        (0..8).map(|_| std::thread::spawn(|| result(&golden()).digest().unwrap())).collect();
    let digests: Vec<Digest> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(digests.iter().all(|digest| *digest == expected));
}
