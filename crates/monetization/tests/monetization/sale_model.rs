//! A seeded model of the sale: buyers do anything at any time, and an auditor with a model of its own expects every
//! answer, every counter and every cent.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, RngExt};
use sqlx::PgConnection;
use tale_ledger::verify;
use tale_monetization::{
    NewPurchase, PurchaseState, PurchaseStep, SaleError, Tier, cancel, find_purchase, list_wallet, pay,
    reconcile_sales, reserve, sale_rounds,
};
use tale_primitives::{Amount, Seed};
use tale_testkit::{TestDatabase, announce_on_panic, seeds};

use crate::{
    sales::{cents, force, key, purchase, schedule, wait},
    wallet,
};

const SUPPLY: u32 = 9;
const BUYER_MAX: u32 = 4;
const REFUND: TimeDelta = TimeDelta::hours(24);

/// What the auditor knows of a round. Times are those of the auditor's clock, which jumps where the tests' does.
struct Round {
    opens_at: DateTime<Utc>,
    closes_at: DateTime<Utc>,
    price: u64,
    least: Tier,
    supply: u32,
    is_closed: bool,
    is_settled: bool,
}

/// What the auditor knows of a purchase.
struct Known {
    wanted: NewPurchase,
    state: PurchaseState,
    expires_at: DateTime<Utc>,
    paid_at: Option<DateTime<Utc>>,
}

/// How an answer is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Step { state: PurchaseState, changed: bool },
    KeyReused,
    NotOpen,
    NotEligible,
    OverLimit,
    SoldOut,
    Unknown,
    WrongAmount,
    PaidOtherwise,
    NotPayable,
    Expired,
    RefundOver,
}

impl Answer {
    fn of(result: &Result<PurchaseStep, SaleError>) -> Self {
        match result {
            Ok(step) => Self::Step { state: step.purchase.state, changed: step.changed },
            Err(SaleError::KeyReused(_)) => Self::KeyReused,
            Err(SaleError::RoundNotOpen { .. }) => Self::NotOpen,
            Err(SaleError::NotEligible { .. }) => Self::NotEligible,
            Err(SaleError::OverLimit { .. }) => Self::OverLimit,
            Err(SaleError::SoldOut { .. }) => Self::SoldOut,
            Err(SaleError::UnknownPurchase(_)) => Self::Unknown,
            Err(SaleError::WrongAmount { .. }) => Self::WrongAmount,
            Err(SaleError::PaidOtherwise { .. }) => Self::PaidOtherwise,
            Err(SaleError::NotPayable { .. }) => Self::NotPayable,
            Err(SaleError::Expired { .. }) => Self::Expired,
            Err(SaleError::RefundOver { .. }) => Self::RefundOver,
            Err(error) => panic!("{error}"),
        }
    }
}

struct Auditor {
    rounds: BTreeMap<u32, Round>,
    purchases: BTreeMap<String, Known>,
    /// How far the auditor's clock is ahead of the database's.
    ahead: TimeDelta,
}

fn tier(buyer: u32) -> Tier {
    [Tier::Sl1, Tier::Sl1, Tier::Sl2, Tier::Public][buyer as usize % 4]
}

impl Auditor {
    async fn open(conn: &mut PgConnection) -> Self {
        schedule(conn, 1).await;
        force(
            conn,
            &format!("update monetization.sale_round set supply = {SUPPLY}, buyer_max = {BUYER_MAX}"),
        )
        .await;
        for buyer in 0..6 {
            if tier(buyer) != Tier::Public {
                list_wallet(conn, wallet(buyer), tier(buyer), "test").await.unwrap();
            }
        }
        let rounds = sale_rounds(conn).await.unwrap().into_iter().map(|round| {
            let known = Round {
                opens_at: round.opens_at.unwrap(),
                closes_at: round.closes_at.unwrap(),
                price: round.price_cents,
                least: round.least_tier,
                supply: round.supply,
                is_closed: false,
                is_settled: false,
            };
            (round.round, known)
        });
        Self { rounds: rounds.collect(), purchases: BTreeMap::new(), ahead: TimeDelta::zero() }
    }

    async fn clock(&self, conn: &mut PgConnection) -> DateTime<Utc> {
        let now: DateTime<Utc> =
            sqlx::query_scalar("select clock_timestamp()").fetch_one(conn).await.unwrap();
        now + self.ahead
    }

    fn held(&self, round: u32, buyer: Option<u32>, states: &[PurchaseState]) -> u32 {
        let counts = |known: &&Known| {
            known.wanted.round == round
                && buyer.is_none_or(|buyer| known.wanted.buyer == wallet(buyer))
                && states.contains(&known.state)
        };
        self.purchases.values().filter(counts).map(|known| known.wanted.units).sum()
    }

    fn expire(&mut self, round: u32, now: DateTime<Utc>) {
        for known in self.purchases.values_mut().filter(|known| known.wanted.round == round) {
            if known.state == PurchaseState::Reserved && known.expires_at <= now {
                known.state = PurchaseState::Expired;
            }
        }
    }

    fn on_reserve(&mut self, wanted: &NewPurchase, buyer: u32, now: DateTime<Utc>) -> Answer {
        const HELD: [PurchaseState; 2] = [PurchaseState::Reserved, PurchaseState::Paid];
        if let Some(known) = self.purchases.get(wanted.key.as_str()) {
            let same = known.wanted == *wanted;
            let state = known.state;
            return if same { Answer::Step { state, changed: false } } else { Answer::KeyReused };
        }
        let round = &self.rounds[&wanted.round];
        if now < round.opens_at || round.closes_at <= now || round.is_closed {
            return Answer::NotOpen;
        }
        if !tier(buyer).reaches(round.least) {
            return Answer::NotEligible;
        }
        let (supply, closes_at) = (round.supply, round.closes_at);
        let mut trial = self.held_after_expiry(wanted.round, Some(buyer), now, &HELD);
        if trial + wanted.units > BUYER_MAX {
            return Answer::OverLimit;
        }
        trial = self.held_after_expiry(wanted.round, None, now, &HELD);
        if trial + wanted.units > supply {
            return Answer::SoldOut;
        }
        self.expire(wanted.round, now);
        let expires_at = (now + TimeDelta::minutes(15)).min(closes_at);
        let known =
            Known { wanted: wanted.clone(), state: PurchaseState::Reserved, expires_at, paid_at: None };
        self.purchases.insert(wanted.key.to_string(), known);
        Answer::Step { state: PurchaseState::Reserved, changed: true }
    }

    /// What is held once expired reservations are let go; a refused reservation lets nothing go for good.
    fn held_after_expiry(
        &self,
        round: u32,
        buyer: Option<u32>,
        now: DateTime<Utc>,
        states: &[PurchaseState],
    ) -> u32 {
        let expired = |known: &&Known| {
            known.wanted.round == round
                && buyer.is_none_or(|buyer| known.wanted.buyer == wallet(buyer))
                && known.state == PurchaseState::Reserved
                && known.expires_at <= now
        };
        let expired: u32 = self.purchases.values().filter(expired).map(|known| known.wanted.units).sum();
        self.held(round, buyer, states) - expired
    }

    fn on_pay(&mut self, text: &str, payment: &str, paid: u64, now: DateTime<Utc>) -> Answer {
        let Some(known) = self.purchases.get_mut(text) else { return Answer::Unknown };
        let due = self.rounds[&known.wanted.round].price * u64::from(known.wanted.units);
        match known.state {
            PurchaseState::Paid if payment != text => Answer::PaidOtherwise,
            PurchaseState::Paid if paid == due => Answer::Step { state: PurchaseState::Paid, changed: false },
            PurchaseState::Paid => Answer::WrongAmount,
            PurchaseState::Reserved if paid != due => Answer::WrongAmount,
            PurchaseState::Reserved if known.expires_at <= now => Answer::Expired,
            PurchaseState::Reserved => {
                (known.state, known.paid_at) = (PurchaseState::Paid, Some(now));
                Answer::Step { state: PurchaseState::Paid, changed: true }
            }
            _ => Answer::NotPayable,
        }
    }

    fn on_cancel(&mut self, text: &str, now: DateTime<Utc>) -> Answer {
        let Some(known) = self.purchases.get_mut(text) else { return Answer::Unknown };
        known.state = match (known.state, known.paid_at) {
            (PurchaseState::Reserved, _) => PurchaseState::Cancelled,
            (PurchaseState::Paid, Some(paid_at)) if now < paid_at + REFUND => PurchaseState::Refunded,
            (PurchaseState::Paid, _) => return Answer::RefundOver,
            (state, _) => return Answer::Step { state, changed: false },
        };
        Answer::Step { state: known.state, changed: true }
    }

    fn on_reconcile(&mut self, now: DateTime<Utc>) {
        let numbers: Vec<u32> = self.rounds.keys().copied().collect();
        for number in numbers {
            self.expire(number, now);
            let sold = self.held(number, None, &[PurchaseState::Paid]);
            let Some(round) = self.rounds.get_mut(&number) else { continue };
            let left = round.supply - sold;
            let closes_now = round.closes_at <= now && !round.is_closed;
            round.is_closed |= closes_now;
            round.is_settled |= round.closes_at + REFUND <= now;
            if closes_now && let Some(next) = self.rounds.get_mut(&(number + 1)) {
                next.supply += left;
            }
        }
    }

    /// Counters, licences and money are what the auditor thinks they are.
    async fn check(&self, conn: &mut PgConnection) {
        let (mut pooled, mut earned) = (0, 0);
        for round in sale_rounds(conn).await.unwrap() {
            let number = round.round;
            let sold = self.held(number, None, &[PurchaseState::Paid]);
            let reserved = self.held(number, None, &[PurchaseState::Reserved]);
            assert_eq!((round.sold, round.reserved), (sold, reserved), "round {number}");
            assert!(round.sold + round.reserved + round.rolled_out <= round.supply);
            assert_eq!(round.supply, self.rounds[&number].supply, "round {number}");
            let cents = u64::from(sold) * round.price_cents;
            if self.rounds[&number].is_settled {
                earned += cents
            } else {
                pooled += cents
            }
            for buyer in 0..6 {
                let of_buyer =
                    self.held(number, Some(buyer), &[PurchaseState::Reserved, PurchaseState::Paid]);
                assert!(of_buyer <= BUYER_MAX, "buyer {buyer} has {of_buyer} of round {number}");
            }
        }
        let all: u32 = (1..=4).map(|round| self.held(round, None, &[PurchaseState::Paid])).sum();
        let licences: i64 =
            sqlx::query_scalar("select count(*) from monetization.licence where revoked_at is null")
                .fetch_one(&mut *conn)
                .await
                .unwrap();
        assert_eq!(licences, i64::from(all));
        assert_eq!(cents(conn, "pool").await, Amount::from(pooled));
        assert_eq!(cents(conn, "treasury").await, Amount::from(earned));
        assert_eq!(cents(conn, "issuance").await, Amount::from(pooled + earned));
    }
}

/// One thing that somebody does. The auditor's answer must be the same at the instants before and after, or the
/// answer may be either.
async fn act(conn: &mut PgConnection, auditor: &mut Auditor, random: &mut impl Rng, number: u32) {
    let text = format!("p-{}", random.random_range(0..=number / 2));
    let now = auditor.clock(conn).await;
    match random.random_range(0..10) {
        0..=3 => {
            let (buyer, round) = (random.random_range(0..6), random.random_range(1..=4));
            let fresh = format!("q-{number}");
            let name = if random.random_bool(0.3) { &text } else { &fresh };
            let wanted = purchase(name, round, buyer, random.random_range(1..=3));
            let expected = auditor.on_reserve(&wanted, buyer, now);
            let result = reserve(conn, &wanted).await;
            assert_eq!(Answer::of(&result), expected, "{wanted:?}");
            if let Ok(step) = result {
                let known = auditor.purchases.get_mut(wanted.key.as_str()).unwrap();
                let told = step.purchase.expires_at + auditor.ahead;
                assert!(told >= known.expires_at, "held at least as long as the rules say");
                known.expires_at = told;
            }
        }
        4..=6 => {
            let name = pick(auditor, random).unwrap_or(text);
            let due = auditor
                .purchases
                .get(&name)
                .map_or(1, |known| auditor.rounds[&known.wanted.round].price * u64::from(known.wanted.units));
            let paid = if random.random_bool(0.9) { due } else { due + 1 };
            let payment = if random.random_bool(0.9) { name.clone() } else { format!("other {number}") };
            // a payment under another name pays nothing first, so that the auditor knows who paid
            let is_paid = auditor.purchases.get(&name).is_some_and(|it| it.state == PurchaseState::Paid);
            let payment = if is_paid { payment } else { name.clone() };
            let expected = auditor.on_pay(&name, &payment, paid, now);
            let result = pay(conn, &key(&name), &payment, Amount::from(paid)).await;
            assert_eq!(Answer::of(&result), expected, "{name} by {payment}");
        }
        7 => {
            let name = pick(auditor, random).unwrap_or(text);
            let expected = auditor.on_cancel(&name, now);
            assert_eq!(Answer::of(&cancel(conn, &key(&name)).await), expected, "{name}");
        }
        8 => {
            auditor.on_reconcile(now);
            reconcile_sales(conn).await.unwrap();
        }
        _ => {
            let minutes = [1, 7, 16, 31][random.random_range(0..4)];
            wait(conn, minutes).await;
            auditor.ahead += TimeDelta::minutes(i64::from(minutes));
        }
    }
}

fn pick(auditor: &Auditor, random: &mut impl Rng) -> Option<String> {
    let count = auditor.purchases.len();
    (count > 0).then(|| auditor.purchases.keys().nth(random.random_range(0..count)).cloned()).flatten()
}

#[tokio::test]
async fn whatever_buyers_do_no_round_sells_too_much_and_every_cent_is_accounted_for() {
    for seed in seeds(4) {
        let _notice = announce_on_panic(seed);
        let mut random = Seed::new(seed).rng();
        let database = TestDatabase::create().await;
        let mut conn = database.connection().await;
        let mut auditor = Auditor::open(&mut conn).await;
        for number in 0..150 {
            act(&mut conn, &mut auditor, &mut random, number).await;
            auditor.check(&mut conn).await;
        }
        // all the rest of the time
        wait(&mut conn, 40 * 60).await;
        auditor.ahead += TimeDelta::minutes(40 * 60);
        let now = auditor.clock(&mut conn).await;
        auditor.on_reconcile(now);
        reconcile_sales(&mut conn).await.unwrap();
        auditor.check(&mut conn).await;
        for (text, known) in &auditor.purchases {
            let found = find_purchase(&mut conn, &key(text)).await.unwrap().unwrap();
            assert_eq!(found.state, known.state, "{text}");
        }
        assert!(verify(&mut conn).await.unwrap().is_consistent());
    }
}
