//! The laws of withdrawals, over random numbers and over random histories.

use proptest::prelude::*;
use rand::{
    RngExt,
    seq::{IndexedMutRandom, IndexedRandom},
};
use tale_primitives::{Address, Amount, Digest, Seed};
use tale_treasury::{
    Destination, Ruleset, WithdrawalError, WithdrawalFilter, WithdrawalId, WithdrawalRules, WithdrawalState,
    allow_account, cancel_withdrawal, deny_account, list_withdrawals, request_withdrawal, settle_withdrawals,
};

use crate::{
    owner,
    staking::{held, holder, tokens},
    withdrawals::{day, earned, network, new},
};

fn rules() -> WithdrawalRules {
    WithdrawalRules::load(WithdrawalRules::CURRENT_VERSION).unwrap()
}

#[test]
fn the_bytes_of_the_withdrawal_rules_never_change() {
    assert_eq!(
        Digest::of(include_bytes!("../../rulesets/2/withdrawals.json")).to_string(),
        "94933c0812ed647f4df1f6dabff6413c8d0c791c18dc47a7efe0ff152f348198"
    );
    assert!(WithdrawalRules::load(1).is_err());
    let rules = rules();
    // neither address has a contract, and nobody a key: no chain pays the rewards' own leaves
    assert_eq!(rules.reward_token, Address::derive("taleworks xTALE"));
    assert_eq!(rules.reward_token, Ruleset::load(Ruleset::CURRENT_VERSION).unwrap().token);
    assert_eq!(rules.token, Address::derive("taleworks TALE"));
    rules.admit_rewards(rules.reward_token).unwrap();
    let elsewhere = rules.admit_rewards(Address::derive("a contract"));
    assert!(matches!(elsewhere, Err(WithdrawalError::TwoRoutes { .. })), "{elsewhere:?}");
}

#[test]
fn the_day_of_a_request_decides_its_rules() {
    let rules = rules();
    assert_eq!(rules.regime(day(0), day(0)).unwrap(), &rules.first);
    assert_eq!(rules.regime(day(0), day(99)).unwrap(), &rules.first);
    assert_eq!(rules.regime(day(0), day(100)).unwrap(), &rules.after);
    assert!(matches!(rules.regime(day(1), day(0)), Err(WithdrawalError::BeforeStart { .. })));
}

/// 100 tokens and more, up to far beyond the supply.
fn amounts() -> impl Strategy<Value = Amount> {
    (100 * 10u128.pow(18)..=1u128 << 110).prop_map(Amount::from)
}

proptest! {
    #[test]
    fn a_withdrawal_is_divided_without_a_rest_and_leaves_something(gross in amounts(), which in 0..3usize) {
        let rules = rules();
        let days = rules.after.redemptions[which].days;
        let quote = rules.quote(&rules.after, &rules.reward_asset, gross, Some(days), day(100)).unwrap();
        prop_assert_eq!(Amount::checked_sum([quote.net, quote.fee, quote.haircut]), Some(gross));
        prop_assert!(!quote.net.is_zero());
        prop_assert_eq!((quote.gross, quote.days), (gross, days));
    }

    #[test]
    fn waiting_longer_never_pays_less(gross in amounts()) {
        let rules = rules();
        let mut redemptions = rules.after.redemptions.clone();
        redemptions.sort_by_key(|redemption| redemption.days);
        let net = |days| rules.quote(&rules.after, &rules.reward_asset, gross, Some(days), day(100)).unwrap().net;
        let paid: Vec<Amount> = redemptions.iter().map(|redemption| net(redemption.days)).collect();
        prop_assert!(paid.is_sorted());
    }

    #[test]
    fn a_withdrawal_split_in_parts_never_pays_more(
        parts in prop::collection::vec(amounts(), 1..8), which in 0..3usize,
    ) {
        let rules = rules();
        let days = rules.after.redemptions[which].days;
        let net = |gross| rules.quote(&rules.after, &rules.reward_asset, gross, Some(days), day(100)).unwrap().net;
        let whole = Amount::checked_sum(parts.iter().copied()).unwrap();
        let apart = Amount::checked_sum(parts.iter().map(|part| net(*part))).unwrap();
        prop_assert!(apart <= net(whole));
    }
}

/// A withdrawal as the model keeps it.
struct Model {
    id: WithdrawalId,
    owner: u32,
    gross: u128,
    net: u128,
    fee: u128,
    haircut: u128,
    to_chain: bool,
    matures: u32,
    state: WithdrawalState,
}

/// The network's books, kept a second time and without a database.
#[derive(Default)]
struct Book {
    withdrawals: Vec<Model>,
    denied: [bool; 4],
    earned: [u128; 4],
}

impl Book {
    fn settle(&mut self, day: u32) {
        for it in &mut self.withdrawals {
            if it.state == WithdrawalState::Requested && it.matures <= day {
                it.state = WithdrawalState::Matured;
            }
            if it.state == WithdrawalState::Matured && !self.denied[it.owner as usize] {
                it.state = WithdrawalState::Paid;
            }
        }
    }

    fn sum(&self, of: impl Fn(&Model) -> u128, which: impl Fn(&Model) -> bool) -> Amount {
        Amount::from(self.withdrawals.iter().filter(|it| which(it)).map(of).sum::<u128>())
    }
}

#[tokio::test]
async fn random_histories_leave_the_books_that_a_model_keeps() {
    for number in tale_testkit::seeds(3) {
        let _notice = tale_testkit::announce_on_panic(number);
        let mut rng = Seed::new(number).child("withdrawals").rng();
        let (_database, mut conn) = network().await;
        let mut book = Book { earned: [10_000 * 10u128.pow(18); 4], ..Book::default() };
        let mut now = 60u32;
        for step in 0..40 {
            now += rng.random_range(0..6u32);
            let who = rng.random_range(1..=3u32);
            match rng.random_range(0..10u32) {
                0..=4 => {
                    let (days, haircut_ppm, fee_ppm) = match now {
                        ..100 => (7, 0, 20_000),
                        _ => *[(90, 0, 10_000), (30, 250_000, 10_000), (7, 500_000, 10_000)]
                            .choose(&mut rng)
                            .unwrap(),
                    };
                    let gross = rng.random_range(100 * 10u128.pow(18)..3_000 * 10u128.pow(18));
                    let mut request = new(&format!("step {step}"), who, 0, Some(days), now);
                    request.gross = Amount::from(gross);
                    let to_chain = rng.random_bool(0.5);
                    request.destination = if to_chain { Destination::Chain } else { Destination::Account };
                    let requested = request_withdrawal(&mut conn, &request).await;
                    if book.denied[who as usize] || gross > book.earned[who as usize] {
                        requested.unwrap_err();
                        continue;
                    }
                    let id = requested.unwrap().withdrawal.id;
                    let haircut = (gross * haircut_ppm).div_ceil(1_000_000);
                    let fee = ((gross - haircut) * fee_ppm).div_ceil(1_000_000);
                    book.earned[who as usize] -= gross;
                    book.withdrawals.push(Model {
                        id,
                        owner: who,
                        gross,
                        net: gross - haircut - fee,
                        fee,
                        haircut,
                        to_chain,
                        matures: now + days,
                        state: WithdrawalState::Requested,
                    });
                }
                5 => {
                    let Some(it) = book.withdrawals.choose_mut(&mut rng) else { continue };
                    let cancelled = cancel_withdrawal(&mut conn, it.id).await;
                    match it.state {
                        WithdrawalState::Requested => {
                            assert!(cancelled.unwrap().changed);
                            it.state = WithdrawalState::Cancelled;
                            book.earned[it.owner as usize] += it.gross;
                        }
                        WithdrawalState::Cancelled => assert!(!cancelled.unwrap().changed),
                        _ => drop(cancelled.unwrap_err()),
                    }
                }
                6 => {
                    let changed = deny_account(&mut conn, owner(who), "a test").await.unwrap();
                    assert_eq!(changed, !book.denied[who as usize]);
                    book.denied[who as usize] = true;
                }
                7 => {
                    let changed = allow_account(&mut conn, owner(who)).await.unwrap();
                    assert_eq!(changed, book.denied[who as usize]);
                    book.denied[who as usize] = false;
                }
                _ => {
                    settle_withdrawals(&mut conn, day(now)).await.unwrap();
                    book.settle(now);
                }
            }
        }
        let stored = list_withdrawals(&mut conn, &WithdrawalFilter::default()).await.unwrap();
        assert!(
            stored.iter().map(|it| (it.id, it.state)).eq(book.withdrawals.iter().map(|it| (it.id, it.state)))
        );

        let waits = |it: &Model| matches!(it.state, WithdrawalState::Requested | WithdrawalState::Matured);
        let paid = |it: &Model| it.state == WithdrawalState::Paid;
        let issued = book.sum(|it| it.net, paid);
        for (account, expected) in [
            ("pool:withdrawals:xTALE", book.sum(|it| it.gross, waits)),
            ("treasury:fees:xTALE", book.sum(|it| it.fee, paid)),
            ("pool:redemption-haircuts:xTALE", book.sum(|it| it.haircut, paid)),
            ("pool:claimable:TALE", book.sum(|it| it.net, |it| paid(it) && it.to_chain)),
            ("issuance:generator:TALE", issued),
            ("issuance:generator-pool:xTALE", tokens(30_000).checked_sub(issued).unwrap()),
        ] {
            assert_eq!(held(&mut conn, account).await, expected, "{account}");
        }
        for number in 1..=3 {
            let left = held(&mut conn, &earned(number).to_string()).await;
            assert_eq!(left, Amount::from(book.earned[number as usize]));
            let owned = book.sum(|it| it.net, |it| paid(it) && !it.to_chain && it.owner == number);
            assert_eq!(held(&mut conn, &holder(number).to_string()).await, owned);
        }
        assert!(tale_ledger::verify(&mut conn).await.unwrap().is_consistent());
    }
}
