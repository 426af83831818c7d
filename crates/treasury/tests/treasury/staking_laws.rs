//! The laws of staking, over random numbers and over random histories.

use proptest::prelude::*;
use rand::{RngExt, seq::IndexedRandom};
use ruint::aliases::U256;
use tale_primitives::{Amount, Digest, Seed};
use tale_treasury::{
    FlexibleRate, Leaving, NewStake, PositionFilter, PositionId, PositionState, StakingRules, accrue_staking,
    daily_reward, early_settlement, list_positions, stake, unstake, ve_weight,
};

use crate::{
    owner,
    staking::{day, held, holder, market, tokens},
};

fn rules() -> StakingRules {
    StakingRules::load(StakingRules::CURRENT_VERSION).unwrap()
}

#[test]
fn the_bytes_of_the_staking_rules_never_change() {
    assert_eq!(
        Digest::of(include_bytes!("../../rulesets/2/staking.json")).to_string(),
        "a96a3b082e8192106fa174cd0e0ae0cbf1fd559926d19b14b510edaf88a1dab5"
    );
    assert!(StakingRules::load(1).is_err());
    let terms: Vec<u32> = rules().terms.iter().map(|term| term.days).collect();
    assert_eq!(terms, [60, 120, 360]);
}

fn amounts() -> impl Strategy<Value = Amount> {
    prop_oneof![(0..1000u128), 0..=1u128 << 100].prop_map(Amount::from)
}

proptest! {
    #[test]
    fn the_flexible_rate_never_rises_when_the_total_does(
        total in amounts(), more in amounts(), rate_ppm_max: u32, half in 1..=1u128 << 100,
    ) {
        let rate = FlexibleRate { rate_ppm_max, half_rate_at: Amount::from(half) };
        let before = rate.rate_ppm(total).unwrap();
        prop_assert!(rate.rate_ppm(total.checked_add(more).unwrap()).unwrap() <= before);
        prop_assert!(before <= rate_ppm_max);
        prop_assert_eq!(rate.rate_ppm(Amount::ZERO).unwrap(), rate_ppm_max);
        prop_assert_eq!(rate.rate_ppm(Amount::from(half)).unwrap(), rate_ppm_max / 2);
        prop_assert!(rate.rate_ppm(Amount::MAX).unwrap() <= 1);
    }

    #[test]
    fn the_voting_weight_is_proportional_in_amount_and_days(
        amount in amounts(), days in 0..400u32, factor in 1..50u32,
    ) {
        let rules = rules();
        let weight = |amount: Amount, days| ve_weight(&rules, amount, days).unwrap();
        let scaled = amount.checked_mul(u64::from(factor)).unwrap();
        prop_assert_eq!(weight(scaled, days), weight(amount, days * factor));
        prop_assert_eq!(weight(amount, 360), amount);
        // factor times one weight, but for what its rounding has dropped
        let times = weight(amount, days).checked_mul(u64::from(factor)).unwrap();
        let slack = times.checked_add(Amount::from(u64::from(factor))).unwrap();
        prop_assert!(times <= weight(scaled, days) && weight(scaled, days) <= slack);
    }

    #[test]
    fn a_position_split_in_parts_earns_no_more_and_loses_no_less(
        parts in prop::collection::vec(amounts(), 1..8), rewards in amounts(), rate_ppm in 0..1_000_000u32,
    ) {
        let rules = rules();
        let whole = Amount::checked_sum(parts.iter().copied()).unwrap();
        let reward = |principal| daily_reward(principal, rate_ppm, rules.days_per_year).unwrap();
        let apart = Amount::checked_sum(parts.iter().map(|part| reward(*part))).unwrap();
        prop_assert!(apart <= reward(whole));
        prop_assert!(reward(whole) <= apart.checked_add(Amount::from(parts.len() as u64)).unwrap());

        let penalty = |principal| early_settlement(&rules.early_exit, principal, rewards).unwrap().penalty;
        let apart = Amount::checked_sum(parts.iter().map(|part| penalty(*part))).unwrap();
        prop_assert!(apart >= penalty(whole));
    }

    #[test]
    fn an_early_exit_divides_principal_and_rewards_without_a_rest(
        principal in amounts(), rewards in amounts(), principal_ppm in 0..=1_000_000u32, rewards_ppm in 0..=1_000_000u32,
    ) {
        let mut early = rules().early_exit;
        (early.principal_penalty_ppm, early.rewards_forfeited_ppm) = (principal_ppm, rewards_ppm);
        let settled = early_settlement(&early, principal, rewards).unwrap();
        let parts = Amount::checked_sum([settled.returned, settled.penalty, settled.forfeited]);
        prop_assert_eq!(parts, principal.checked_add(rewards));
        prop_assert!(settled.penalty <= principal && settled.forfeited <= rewards);
    }
}

/// A position as the model keeps it.
struct Model {
    id: PositionId,
    owner: u32,
    principal: u128,
    term: Option<(u32, u128)>,
    opened: u32,
    ended: Option<u32>,
    accrued: u128,
}

impl Model {
    fn earns_on(&self, day: u32) -> bool {
        let before_end = self.ended.is_none_or(|ended| day < ended);
        self.opened < day && before_end && self.term.is_none_or(|(days, _)| day <= self.opened + days)
    }
}

/// The network's books, kept a second time and in another way: 128-bit numbers and no database.
struct Book {
    positions: Vec<Model>,
    budget: u128,
    penalties: u128,
    holders: [u128; 4],
    accrued_through: Option<u32>,
}

impl Book {
    fn accrue(&mut self, through: u32) {
        let first = self.accrued_through.or(self.positions.iter().map(|it| it.opened).min());
        let Some(first) = first else { return };
        for day in first + 1..=through {
            let total: u128 =
                self.positions.iter().filter(|it| it.earns_on(day)).map(|it| it.principal).sum();
            let half = 50_000_000 * 10u128.pow(18);
            let flexible = 80_000 * half / (half + total);
            let mut earned: Vec<(usize, u128)> = Vec::new();
            for (place, position) in self.positions.iter().enumerate().filter(|(_, it)| it.earns_on(day)) {
                let rate = position.term.map_or(flexible, |(_, rate)| rate);
                earned.push((place, position.principal * rate / 365_000_000));
            }
            let due: u128 = earned.iter().map(|(_, reward)| reward).sum();
            let budget = self.budget;
            for (place, reward) in earned {
                let paid = if due <= budget { reward } else { cut(reward, budget, due) };
                self.positions[place].accrued += paid;
                self.budget -= paid;
            }
            self.accrued_through = Some(day);
        }
    }

    fn leave(&mut self, place: usize, day: u32) {
        self.accrue(day - 1);
        let position = &mut self.positions[place];
        position.ended = Some(day);
        let is_early = position.term.is_some_and(|(days, _)| day <= position.opened + days);
        let penalty = if is_early { position.principal.div_ceil(50) } else { 0 };
        let rewards = if is_early { 0 } else { position.accrued };
        self.budget += position.accrued - rewards;
        self.penalties += penalty;
        self.holders[position.owner as usize] += position.principal - penalty + rewards;
    }

    fn staked(&self) -> u128 {
        self.positions.iter().filter(|it| it.ended.is_none()).map(|it| it.principal).sum()
    }

    fn owed(&self) -> u128 {
        self.positions.iter().filter(|it| it.ended.is_none()).map(|it| it.accrued).sum()
    }
}

/// `reward·budget div due`, whose product passes 128 bits.
fn cut(reward: u128, budget: u128, due: u128) -> u128 {
    let share = U256::from(reward) * U256::from(budget) / U256::from(due);
    u128::try_from(share).unwrap()
}

#[tokio::test]
async fn random_histories_leave_the_books_that_a_model_keeps() {
    for number in tale_testkit::seeds(3) {
        let _notice = tale_testkit::announce_on_panic(number);
        let mut rng = Seed::new(number).child("staking").rng();
        // some budgets run dry
        let budget = [30, 3_000, 500_000][number as usize % 3];
        let (_database, mut conn) = market(tokens(budget)).await;
        let million = 1_000_000 * 10u128.pow(18);
        let mut book = Book {
            positions: vec![],
            budget: u128::from(budget) * 10u128.pow(18),
            penalties: 0,
            holders: [0, million, million, million],
            accrued_through: None,
        };
        let mut now = 1u32;
        for step in 0..40 {
            now += rng.random_range(0..12u32);
            match rng.random_range(0..10u32) {
                0..=4 if book.accrued_through.is_none_or(|last| last < now) => {
                    let who = rng.random_range(1..=3u32);
                    let principal = rng.random_range(10u128.pow(18)..200_000 * 10u128.pow(18));
                    let term = *[None, Some((60, 60_000)), Some((120, 90_000)), Some((360, 150_000))]
                        .choose(&mut rng)
                        .unwrap();
                    let new = NewStake {
                        key: format!("step {step}"),
                        owner: owner(who),
                        amount: Amount::from(principal),
                        term_days: term.map(|(days, _)| days),
                        day: day(now),
                    };
                    let staked = stake(&mut conn, &new).await;
                    if principal > book.holders[who as usize] {
                        staked.unwrap_err();
                        continue;
                    }
                    let id = staked.unwrap().position.id;
                    book.holders[who as usize] -= principal;
                    let model =
                        Model { id, owner: who, principal, term, opened: now, ended: None, accrued: 0 };
                    book.positions.push(model);
                }
                5..=6 => {
                    accrue_staking(&mut conn, day(now)).await.unwrap();
                    book.accrue(now);
                }
                _ if book.accrued_through.is_none_or(|last| last < now) => {
                    let open: Vec<usize> = (0..book.positions.len())
                        .filter(|place| book.positions[*place].ended.is_none())
                        .collect();
                    let Some(place) = open.choose(&mut rng).copied() else { continue };
                    let leaving = Leaving { position: book.positions[place].id, day: day(now), early: true };
                    assert!(unstake(&mut conn, &leaving).await.unwrap().changed);
                    book.leave(place, now);
                }
                _ => {}
            }
        }
        accrue_staking(&mut conn, day(now + 400)).await.unwrap();
        book.accrue(now + 400);

        let positions = list_positions(&mut conn, &PositionFilter::default()).await.unwrap();
        for (position, model) in positions.iter().zip(&book.positions) {
            assert_eq!(position.accrued, Amount::from(model.accrued), "position {}", position.id);
            assert_eq!(position.state.is_ended(), model.ended.is_some());
            let over = model.term.is_some() && model.ended.is_none();
            assert_eq!(position.state == PositionState::Matured, over);
        }
        for (account, expected) in [
            ("pool:staked:TALE".to_owned(), book.staked()),
            ("pool:staking-accrued:TALE".to_owned(), book.owed()),
            ("pool:staking-rewards:TALE".to_owned(), book.budget),
            ("treasury:staking-penalties:TALE".to_owned(), book.penalties),
            (holder(1).to_string(), book.holders[1]),
            (holder(2).to_string(), book.holders[2]),
            (holder(3).to_string(), book.holders[3]),
        ] {
            assert_eq!(held(&mut conn, &account).await, Amount::from(expected), "{account}");
        }
        assert!(tale_ledger::verify(&mut conn).await.unwrap().is_consistent());
    }
}
