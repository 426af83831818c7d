use proptest::prelude::*;
use ruint::aliases::U256;
use tale_monetization::{CURRENT_RULESET, DividendRules, FeeSchedule, IncomeKind, MonetizationError, Share};
use tale_primitives::{Amount, Digest};

use crate::amount;

fn schedule() -> FeeSchedule {
    FeeSchedule::load(CURRENT_RULESET).unwrap()
}

fn amounts() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (0..2_000_001u64).prop_map(Amount::from),
        any::<u128>().prop_map(Amount::from),
        any::<[u64; 4]>().prop_map(|limbs| Amount::from_u256(U256::from_limbs(limbs))),
        Just(Amount::MAX),
    ]
}

proptest! {
    #[test]
    fn fee_and_net_add_up_to_the_gross_and_neither_is_above_it(
        gross in amounts(),
        kind in prop::sample::select(IncomeKind::ALL.to_vec()),
    ) {
        let fee = schedule().fee_of(kind, gross);
        prop_assert_eq!(fee.fee.checked_add(fee.net), Some(gross));
        prop_assert!(fee.fee <= gross && fee.net <= gross);
    }

    #[test]
    fn a_share_is_the_exact_quotient_rounded_down(gross in any::<u128>(), ppm in 0..=1_000_000u32) {
        let share = Share::try_from(ppm).unwrap().of(Amount::from(gross));
        let exact = U256::from(gross) * U256::from(ppm) / U256::from(1_000_000);
        prop_assert_eq!(share, Amount::from_u256(exact));
    }

    #[test]
    fn cutting_a_payment_into_parts_never_costs_more_and_its_sum_costs_the_same(
        parts in prop::collection::vec(1..5_000u64, 1..40),
        kind in prop::sample::select(IncomeKind::ALL.to_vec()),
    ) {
        let schedule = schedule();
        let fee = |units: u64| schedule.fee_of(kind, Amount::from(units)).fee;
        let apart = Amount::checked_sum(parts.iter().map(|part| fee(*part))).unwrap();
        let together = fee(parts.iter().sum());
        prop_assert!(apart <= together, "a day's sum is what the fee is taken of");
    }
}

#[test]
fn the_whole_and_nothing_are_shares_and_more_is_not() {
    let share = |ppm| Share::try_from(ppm).map(|share: Share| share.of(Amount::MAX));
    assert_eq!(share(1_000_000), Ok(Amount::MAX));
    assert_eq!(share(0), Ok(Amount::ZERO));
    assert!(share(1_000_001).unwrap_err().to_string().contains("1000001"));
}

#[test]
fn rounding_is_away_from_the_treasury() {
    let fee = |gross: u64| schedule().fee_of(IncomeKind::Trading, Amount::from(gross));
    assert_eq!((fee(39).fee, fee(39).net), (Amount::ZERO, amount("39")));
    assert_eq!((fee(40).fee, fee(40).net), (amount("1"), amount("39")));
    assert_eq!(fee(79).fee, amount("1"));
}

#[test]
fn each_rate_has_a_source_or_says_that_it_is_ours_and_why() {
    let (schedule, rules) = (schedule(), DividendRules::load(CURRENT_RULESET).unwrap());
    for kind in IncomeKind::ALL {
        let source = &schedule.sources[&format!("fees_ppm.{kind}")];
        assert!(source.starts_with("ours: ") && source.len() > 20, "{kind}: {source}");
        assert_eq!(kind.as_str().parse::<IncomeKind>().unwrap(), kind);
        if rules.network_share(kind).is_some() {
            assert!(rules.sources().contains_key(&format!("network_ppm.{kind}")), "{kind}");
        }
    }
    assert_eq!(rules.network_share(IncomeKind::Publishing).map(Share::ppm), Some(510_000), "49 % / 51 %");
    assert!(rules.sources()["network_ppm.publishing"].contains("49 %"));
}

/// Rules that an epoch has used never change: another rule is another version.
#[test]
fn the_bytes_of_the_rules_are_pinned() {
    let digest = |text: &str| Digest::of(text).to_string();
    assert_eq!(
        digest(include_str!("../../rulesets/2/fees.json")),
        "00a1def9f157067b8aa6992f074f92106ee1f1cc23bd1ada8beab27702cb0206"
    );
    assert_eq!(
        digest(include_str!("../../rulesets/2/dividends.json")),
        "a6d59a468dfce93271a3f7132a53fbc257133319de53c5429d5d9de1e1e6cba2"
    );
    for version in [0, 1, 3] {
        assert!(
            matches!(FeeSchedule::load(version), Err(MonetizationError::UnknownRuleset(v)) if v == version)
        );
        assert!(matches!(DividendRules::load(version), Err(MonetizationError::UnknownRuleset(_))));
    }
}
