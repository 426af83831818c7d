use std::collections::BTreeMap;

use proptest::prelude::*;
use tale_monetization::{
    CURRENT_RULESET, DividendResult, DividendRules, IncomeKind, MonetizationError, RecordHolding,
    RevenueEvent, SealedRevenue, divide,
};
use tale_primitives::{Address, Amount};

use crate::{amount, day, wallet};

const REVENUE: [IncomeKind; 6] = [
    IncomeKind::Publishing,
    IncomeKind::Launchpad,
    IncomeKind::Trading,
    IncomeKind::PlacementAds,
    IncomeKind::GenerationCredits,
    IncomeKind::LicenceSales,
];

/// The day that is divided.
const EPOCH: u32 = 9;

fn rules() -> DividendRules {
    DividendRules::load(CURRENT_RULESET).unwrap()
}

fn event(id: u32, origin: u32, kind: IncomeKind, work: u32, gross: Amount, asset: &str) -> RevenueEvent {
    RevenueEvent {
        id: format!("event-{id}"),
        occurred_at: day(origin).start() + chrono::TimeDelta::seconds(i64::from(id % 86_400)),
        kind,
        work: format!("work-{work}").parse().unwrap(),
        gross,
        asset: asset.parse().unwrap(),
        payer: "reader".to_owned(),
    }
}

fn holding(record: u32, work: u32, holder: Address, units: u128) -> RecordHolding {
    RecordHolding { record_day: day(record), work: format!("work-{work}").parse().unwrap(), holder, units }
}

fn sealed(events: Vec<RevenueEvent>, holdings: Vec<RecordHolding>) -> SealedRevenue {
    SealedRevenue::new(day(EPOCH), CURRENT_RULESET, events, holdings).unwrap()
}

fn events() -> impl Strategy<Value = Vec<RevenueEvent>> {
    let gross = prop_oneof![(1..50u128), 1..=1u128 << 100].prop_map(Amount::from);
    let one = (EPOCH - 2..=EPOCH, prop::sample::select(REVENUE.to_vec()), 0..4u32, gross, any::<bool>());
    prop::collection::vec(one, 0..40).prop_map(|rows| {
        let numbered = rows.into_iter().zip(0..);
        numbered
            .map(|((origin, kind, work, gross, is_token), id)| {
                event(id, origin, kind, work, gross, if is_token { "TALE" } else { "USD" })
            })
            .collect()
    })
}

/// Works 0 to 2 may be held; work 3 never is.
fn holdings() -> impl Strategy<Value = Vec<RecordHolding>> {
    let units = prop_oneof![Just(0), 1..5u128, 1..=1u128 << 90];
    let one = ((EPOCH - 2..=EPOCH, 0..3u32, 0..6u32), units);
    prop::collection::btree_map(one.0, one.1, 0..30).prop_map(|held| {
        let one = |((record, work, holder), units)| holding(record, work, wallet(holder), units);
        held.into_iter().map(one).collect()
    })
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    Amount::checked_sum(amounts).unwrap()
}

proptest! {
    #[test]
    fn what_was_paid_is_fees_network_dividends_and_carry_over_to_the_unit(
        events in events(),
        holdings in holdings(),
    ) {
        let mut paid: BTreeMap<String, Amount> = BTreeMap::new();
        for event in &events {
            let sum = paid.entry(event.asset.to_string()).or_default();
            *sum = sum.checked_add(event.gross).unwrap();
        }
        let count = events.len() as u64;
        let result = divide(&sealed(events, holdings), &rules()).unwrap();
        prop_assert_eq!(result.lines.iter().map(|line| line.events).sum::<u64>(), count);
        for line in &result.lines {
            let dividends = sum(line.dividends.iter().map(|dividend| dividend.amount));
            prop_assert_eq!(dividends, line.distributed);
            let parts = [line.fee, line.network, line.distributed, line.carried];
            prop_assert_eq!(sum(parts.into_iter()), line.gross);
            let is_held = line.dividends.iter().any(|dividend| dividend.units > 0);
            let idle = if is_held { line.carried } else { line.distributed };
            prop_assert_eq!(idle, Amount::ZERO);
        }
        let totals: BTreeMap<String, Amount> = result
            .totals
            .iter()
            .map(|total| {
                let parts = [total.fees, total.network, total.distributed, total.carried];
                (total.asset.to_string(), sum(parts.into_iter()))
            })
            .collect();
        prop_assert_eq!(totals, paid);
    }

    #[test]
    fn the_order_of_rows_and_which_file_they_stand_in_decide_no_byte(
        (events, shuffled) in events().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        (holdings, mixed) in holdings().prop_flat_map(|h| (Just(h.clone()), Just(h).prop_shuffle())),
        twice in any::<prop::sample::Index>(),
    ) {
        let mut again = shuffled;
        // a file that was delivered twice
        if !again.is_empty() {
            again.extend_from_within(..twice.index(again.len()));
        }
        let (one, other) = (sealed(events, holdings), sealed(again, mixed));
        prop_assert_eq!(one.digest().unwrap(), other.digest().unwrap());
        let digest = |inputs: &SealedRevenue| divide(inputs, &rules()).unwrap().digest().unwrap();
        prop_assert_eq!(digest(&one), digest(&other));
    }

    #[test]
    fn a_holding_that_is_split_over_k_addresses_earns_at_most_k_units_more_in_each_line(
        events in events(),
        others in holdings(),
        parts in prop::collection::vec(1..=1u128 << 80, 1..6),
    ) {
        let whole = Address::derive("whole");
        let names: Vec<Address> = (0..parts.len()).map(|n| Address::derive(&format!("part {n}"))).collect();
        let with = |add: &mut dyn FnMut(&mut Vec<RecordHolding>, u32, u32)| {
            let mut holdings = others.clone();
            for record in EPOCH - 2..=EPOCH {
                for work in 0..4 {
                    add(&mut holdings, record, work);
                }
            }
            divide(&sealed(events.clone(), holdings), &rules()).unwrap()
        };
        let earned = |result: &DividendResult, wanted: &dyn Fn(&Address) -> bool| -> Vec<Amount> {
            let of_line = |dividends: &[tale_monetization::Dividend]| {
                sum(dividends.iter().filter(|one| wanted(&one.holder)).map(|one| one.amount))
            };
            result.lines.iter().map(|line| of_line(&line.dividends)).collect()
        };
        let honest = with(&mut |all, record, work| all.push(holding(record, work, whole, parts.iter().sum())));
        let split = with(&mut |all, record, work| {
            all.extend(names.iter().zip(&parts).map(|(name, part)| holding(record, work, *name, *part)));
        });
        let k = Amount::from(parts.len() as u64);
        let honest = earned(&honest, &|holder| *holder == whole);
        for (apart, together) in earned(&split, &|holder| names.contains(holder)).into_iter().zip(honest) {
            prop_assert!(apart <= together.checked_add(k).unwrap());
        }
    }
}

#[test]
fn publishing_is_divided_49_to_51_among_those_who_hold_the_work_that_day() {
    let events = vec![
        event(1, EPOCH, IncomeKind::Publishing, 1, amount("1000"), "USD"),
        event(2, EPOCH, IncomeKind::Publishing, 1, amount("1"), "USD"),
    ];
    let holdings = vec![
        holding(EPOCH, 1, wallet(1), 2),
        holding(EPOCH, 1, wallet(2), 1),
        holding(EPOCH - 1, 1, wallet(3), 100),
    ];
    let result = divide(&sealed(events, holdings), &rules()).unwrap();
    let line = &result.lines[0];
    assert_eq!((line.events, line.fee, line.network), (2, Amount::ZERO, amount("510")));
    assert_eq!(line.distributed, amount("491"), "what rounding leaves is the holders'");
    let of = |number| line.dividends.iter().find(|one| one.holder == wallet(number)).map(|one| one.amount);
    assert_eq!([of(1), of(2), of(3)], [Some(amount("327")), Some(amount("164")), None]);
    // a golden epoch of these rules: these inputs have this result for ever
    assert_eq!(
        result.digest().unwrap().to_string(),
        "350d0acab32d688fb5b60c931f8082d5bf1b55cb17d9fd32ea49b11bead79c70"
    );
}

#[test]
fn what_nobody_held_is_carried_over_and_a_late_event_names_its_day() {
    let events = vec![
        event(1, EPOCH, IncomeKind::Trading, 1, amount("1000"), "TALE"),
        event(2, EPOCH - 2, IncomeKind::Trading, 1, amount("1000"), "TALE"),
    ];
    let holdings = vec![holding(EPOCH - 2, 1, wallet(1), 5), holding(EPOCH, 1, wallet(1), 0)];
    let result = divide(&sealed(events, holdings), &rules()).unwrap();
    let [late, today] = &result.lines[..] else { panic!("{:?}", result.lines) };
    assert_eq!((late.origin, late.distributed, late.carried), (day(EPOCH - 2), amount("975"), Amount::ZERO));
    assert_eq!((today.origin, today.distributed, today.carried), (day(EPOCH), Amount::ZERO, amount("975")));
    assert_eq!(result.totals[0].fees, amount("50"));
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    let one = event(1, EPOCH, IncomeKind::Trading, 1, amount("10"), "TALE");
    let seal = |events, holdings| SealedRevenue::new(day(EPOCH), CURRENT_RULESET, events, holdings);
    let other = RevenueEvent { gross: amount("11"), ..one.clone() };
    let refused = seal(vec![one.clone(), other], vec![]);
    assert!(matches!(refused, Err(MonetizationError::EventDiffers { id }) if id == "event-1"));
    let later = event(2, EPOCH + 1, IncomeKind::Trading, 1, amount("10"), "TALE");
    assert!(matches!(seal(vec![later], vec![]), Err(MonetizationError::EventAfterEpoch { .. })));
    let held = |units| holding(EPOCH, 1, wallet(1), units);
    assert!(matches!(seal(vec![], vec![held(1), held(2)]), Err(MonetizationError::HolderTwice { .. })));

    let xtale = event(3, EPOCH, IncomeKind::Trading, 1, amount("10"), "xTALE");
    let refused = divide(&sealed(vec![xtale], vec![]), &rules());
    assert!(matches!(refused, Err(MonetizationError::AssetNotAllowed { .. })));
    let withdrawn = event(4, EPOCH, IncomeKind::Withdrawals, 1, amount("10"), "TALE");
    let refused = divide(&sealed(vec![withdrawn], vec![]), &rules());
    assert!(matches!(refused, Err(MonetizationError::NoRevenue { .. })));
    let older = SealedRevenue::new(day(EPOCH), 1, vec![], vec![]).unwrap();
    assert!(matches!(divide(&older, &rules()), Err(MonetizationError::RulesetDiffers { .. })));
    let huge = |id| event(id, EPOCH, IncomeKind::Trading, 1, Amount::MAX, "TALE");
    let refused = divide(&sealed(vec![huge(5), huge(6)], vec![]), &rules());
    assert!(matches!(refused, Err(MonetizationError::Overflow { .. })));
}

#[test]
fn a_day_without_events_has_a_result_without_lines() {
    let result = divide(&sealed(vec![], vec![]), &rules()).unwrap();
    assert!(result.lines.is_empty() && result.totals.is_empty());
    assert_eq!(
        result.digest().unwrap().to_string(),
        "e62e0a5ae2197c04fbc2457b81d095dff1fe46e1e9b8b64cc7f25f235ca05c5c"
    );
}
