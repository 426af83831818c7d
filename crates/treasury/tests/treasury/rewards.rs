use proptest::prelude::*;
use tale_primitives::{Address, Amount, Digest, GeneratorId, UtcDay};
use tale_treasury::{Class, Contribution, EpochResult, Ruleset, SealedInputs, TreasuryError, compute};

use crate::{amount, owner};

fn day() -> UtcDay {
    "2026-03-01".parse().unwrap()
}

fn contribution(generator: u32, owner: Address, points: i64) -> Contribution {
    Contribution {
        generator: GeneratorId::derive("test", &generator.to_string()),
        class: Class::Training,
        origin: day(),
        owner,
        points,
    }
}

fn inputs(contributions: Vec<Contribution>) -> SealedInputs {
    SealedInputs::new(day(), 1, contributions).unwrap()
}

fn result(contributions: Vec<Contribution>) -> EpochResult {
    compute(&inputs(contributions), &Ruleset::load(1).unwrap()).unwrap()
}

#[test]
fn the_daily_pool_follows_from_the_published_vesting_table() {
    let ruleset = Ruleset::load(1).unwrap();
    assert_eq!(ruleset.emission_total().unwrap(), amount("116800000000000000000000000"));
    assert_eq!(ruleset.daily_pool().unwrap(), amount("64888888888888888888888"));
    assert_eq!(ruleset.generator_pool.days(), 1800);
    assert_eq!(ruleset.token, Address::derive("taleworks xTALE"));
    assert!(matches!(Ruleset::load(0), Err(TreasuryError::UnknownRuleset(0))));
}

/// Epochs that used a ruleset stay computable: its bytes are pinned, and another rule is another version.
#[test]
fn a_ruleset_and_a_golden_epoch_never_change() {
    assert_eq!(
        Digest::of(include_bytes!("../../rulesets/1.json")).to_string(),
        "f81ffa7b4a7d040cdad839cca7f974df72781c1c2eeaf26e1b15e609372a9798"
    );
    let golden = result(vec![
        contribution(1, owner(1), 700),
        contribution(2, owner(2), -5),
        contribution(3, owner(1), -100),
        contribution(4, owner(3), 299),
    ]);
    assert_eq!(
        golden.digest().unwrap().to_string(),
        "d5b1c42d3ec54c1342693a2131cb62bc20ef9665360456d9a84c48dc4e032716"
    );
}

#[test]
fn points_are_added_with_their_signs_per_owner_and_floored_at_payout() {
    let result = result(vec![
        contribution(1, owner(1), 300),
        contribution(2, owner(1), -100),
        contribution(3, owner(2), 200),
        contribution(4, owner(3), -50),
    ]);
    let half = result.pool.to_string().parse::<u128>().unwrap() / 2;
    let training = |wanted| {
        let reward = result.rewards.iter().find(|reward| reward.owner == wanted).unwrap();
        (reward.shares.training.points, reward.shares.training.amount)
    };
    assert_eq!(training(owner(1)), (200, Amount::from(half)));
    assert_eq!(training(owner(2)), (200, Amount::from(half)));
    assert_eq!(training(owner(3)), (-50, Amount::ZERO));
    assert_eq!((result.paid, result.carried, result.paid_accounts()), (result.pool, Amount::ZERO, 2));
}

#[test]
fn a_day_on_which_nobody_earned_carries_its_whole_pool_over() {
    for contributions in [vec![], vec![contribution(1, owner(1), -7)], vec![contribution(1, owner(1), 0)]] {
        let result = result(contributions);
        assert_eq!((result.paid, result.carried), (Amount::ZERO, result.pool));
        assert_eq!(result.paid_accounts(), 0);
    }
}

#[test]
fn a_generator_named_twice_points_beyond_64_bits_and_another_ruleset_are_refused() {
    let twice = vec![contribution(1, owner(1), 1), contribution(1, owner(2), 1)];
    assert!(matches!(SealedInputs::new(day(), 1, twice), Err(TreasuryError::GeneratorTwice(_))));
    let beyond = inputs(vec![contribution(1, owner(1), i64::MAX), contribution(2, owner(1), 1)]);
    let ruleset = Ruleset::load(1).unwrap();
    assert!(matches!(compute(&beyond, &ruleset), Err(TreasuryError::PointsOverflow { .. })));
    let other = SealedInputs::new(day(), 2, vec![]).unwrap();
    assert!(matches!(compute(&other, &ruleset), Err(TreasuryError::RulesetDiffers { sealed: 2, .. })));
}

fn contributions() -> impl Strategy<Value = Vec<Contribution>> {
    let points = prop_oneof![-1000..1000i64, -(1i64 << 50)..(1i64 << 50)];
    prop::collection::btree_map(0..60u32, (0..9u32, points), 0..40).prop_map(|generators| {
        generators.into_iter().map(|(number, (o, points))| contribution(number, owner(o), points)).collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_contributions_decides_no_byte(
        (given, shuffled) in contributions().prop_flat_map(|c| (Just(c.clone()), Just(c).prop_shuffle())),
    ) {
        let (given, shuffled) = (result(given), result(shuffled));
        prop_assert_eq!(given.canonical_head().unwrap(), shuffled.canonical_head().unwrap());
        let read: EpochResult = serde_json::from_slice(&given.to_json().unwrap()).unwrap();
        prop_assert_eq!(read, given);
    }

    #[test]
    fn what_is_paid_and_carried_is_the_pool(given in contributions()) {
        let result = result(given);
        let paid = Amount::checked_sum(result.rewards.iter().map(|reward| reward.net)).unwrap();
        prop_assert_eq!(paid, result.paid);
        prop_assert_eq!(paid.checked_add(result.carried), Some(result.pool));
        prop_assert!(result.rewards.iter().all(|reward| reward.shares.training.points > 0 || reward.net.is_zero()));
    }

    #[test]
    fn dividing_a_generators_points_among_generators_of_one_owner_changes_no_reward(
        given in contributions(), part in -500..500i64,
    ) {
        let mut divided = given.clone();
        if let Some(first) = divided.first_mut() {
            first.points -= part;
            let owner = first.owner;
            divided.push(contribution(1000, owner, part));
        }
        prop_assert_eq!(result(divided).rewards, result(given).rewards);
    }
}
