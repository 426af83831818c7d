//! Random sequences against the model, with an auditor over what the contract and the tokens say.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha12Rng;
use tale_chain::abi::Distributor::{self, Role};
use tale_testkit::{announce_on_panic, seeds};

use crate::{
    model::{Expected, Model, Promise},
    world::{CONFIRMER, DAY, Day, GUARDIAN, OWNER, PROPOSER, World, person},
};

const ACCOUNTS: u64 = 5;
const STEPS: usize = 250;
const ROLES: [Role; 3] = [Role::Proposer, Role::Confirmer, Role::Guardian];

#[test]
fn any_order_of_calls_pays_what_the_model_pays_and_no_more_than_is_funded() {
    let mut outcomes = BTreeMap::<_, usize>::new();
    for seed in seeds(12) {
        let _notice = announce_on_panic(seed);
        let mut simulation = Simulation::new(seed);
        for step in 0..STEPS {
            simulation.step();
            if step % 10 == 9 {
                simulation.audit();
            }
        }
        simulation.settle();
        for (outcome, count) in simulation.outcomes {
            *outcomes.entry(outcome).or_default() += count;
        }
    }
    for ((call, outcome), count) in &outcomes {
        println!("{count:5} {call} {outcome}");
    }
}

/// What a tree promises, by account and token.
type Amounts = Vec<(Address, Address, u64)>;

struct Simulation {
    random: ChaCha12Rng,
    world: World,
    model: Model,
    /// Every tree that was ever made, honest or not.
    days: Vec<Day>,
    /// What the last tree that was confirmed promises.
    amounts: Amounts,
    /// The tree on its way, and what it promises.
    next: Option<(Day, Amounts)>,
    /// Keys that held or may hold a role.
    keys: Vec<u64>,
    /// How often each call ended how, by its name and the error's.
    outcomes: BTreeMap<(&'static str, String), usize>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let accounts = (100..100 + ACCOUNTS).map(person);
        let amounts = accounts.flat_map(|account| world.tokens.map(|token| (account, token, 0))).collect();
        Self {
            random: ChaCha12Rng::seed_from_u64(seed),
            world,
            model: Model::new(),
            days: vec![],
            amounts,
            next: None,
            keys: vec![OWNER, PROPOSER, CONFIRMER, GUARDIAN, 20, 21, 22],
            outcomes: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        self.model.pass_time(self.world.now);
        match self.random.random_range(0..100) {
            0..12 => self.fund(),
            12..24 => self.world.now += self.random.random_range(0..DAY),
            24..38 => self.propose(),
            38..50 => self.confirm(),
            50..53 => self.disable(),
            53..86 => self.claim(),
            86..88 => self.pause(),
            88..94 => self.unpause(),
            94..97 => self.nominate(),
            _ => self.accept(),
        }
    }

    /// Calls, and holds what comes of it against what the model expects.
    fn call<C: SolCall>(&mut self, by: Address, call: &C, expected: Expected) -> Option<C::Return> {
        let found = self.world.call(by, call);
        let name = found.as_ref().map(|_| ()).map_err(|refusal| refusal.name());
        let expected = expected.map_err(str::to_owned);
        assert_eq!(name, expected, "{} by {by} at {}", C::SIGNATURE, self.world.now);
        let name = name.map_or_else(|error| error, |()| "accepted".to_owned());
        *self.outcomes.entry((C::SIGNATURE, name)).or_default() += 1;
        found.ok()
    }

    /// Mostly the holder of a role, sometimes another key.
    fn key(&mut self, role: Role) -> Address {
        if self.random.random_ratio(9, 10) {
            self.model.holders[role as usize]
        } else {
            person(*self.keys.choose(&mut self.random).unwrap())
        }
    }

    fn fund(&mut self) {
        let token = *self.world.tokens.choose(&mut self.random).unwrap();
        let amount = self.random.random_range(1..1_000);
        self.world.fund(token, amount);
        *self.model.funded.entry(token).or_default() += amount;
    }

    /// A tree of the next day: mostly honest, at times one that takes from one to give to another, and at times an
    /// old one again.
    fn make_day(&mut self) -> (Day, Amounts) {
        let mut amounts = self.amounts.clone();
        for (_, _, amount) in &mut amounts {
            if self.random.random_ratio(2, 3) {
                *amount += self.random.random_range(0..30);
            }
        }
        if self.random.random_ratio(1, 8) {
            // the token of both is the same: the sum does not change
            let from = 2 * self.random.random_range(0..ACCOUNTS as usize);
            let to = 2 * self.random.random_range(0..ACCOUNTS as usize);
            let moved = amounts[from].2 / 2;
            amounts[from].2 -= moved;
            amounts[to].2 += moved;
        }
        amounts[0].2 = amounts[0].2.max(1);
        let last = self.model.current.as_ref().map_or(20_000, |current| current.end_time / DAY + 1);
        let day = if self.random.random_ratio(1, 10) { last + 30 } else { last };
        (Day::new(day, &amounts), amounts)
    }

    fn propose(&mut self) {
        let (day, amounts) = match self.days.choose(&mut self.random) {
            Some(old) if self.random.random_ratio(1, 8) => (old.clone(), self.amounts.clone()),
            _ => self.make_day(),
        };
        let by = self.key(Role::Proposer);
        let expected = self.model.propose(by, &Promise::of(&day), self.world.now);
        if self.call(by, &day.propose(), expected).is_some() {
            self.next = Some((day.clone(), amounts));
        }
        self.days.push(day);
    }

    fn confirm(&mut self) {
        let other = self.days.choose(&mut self.random).cloned();
        let proposed = self.next.clone();
        let (day, amounts) = match (proposed, other) {
            (Some(next), _) if self.random.random_ratio(9, 10) => next,
            (_, Some(other)) => (other, self.amounts.clone()),
            _ => return,
        };
        let by = self.key(Role::Confirmer);
        let expected = self.model.confirm(by, &Promise::of(&day), self.world.now);
        if self.call(by, &day.confirm(), expected).is_some() {
            self.amounts = amounts;
        }
    }

    fn disable(&mut self) {
        let pending = self.model.pending.as_ref().map(|(promise, _)| promise.root);
        let root = pending.unwrap_or(B256::repeat_byte(1));
        let by = self.key(Role::Guardian);
        let expected = self.model.disable(by, root);
        self.call(by, &Distributor::disableCall { root }, expected);
    }

    fn claim(&mut self) {
        let recent: Vec<Day> = self.days.iter().rev().take(4).cloned().collect();
        let active = [&self.model.current, &self.model.previous].map(|p| p.as_ref().map(|p| p.root));
        let claimable: Vec<Day> =
            self.days.iter().filter(|day| active.contains(&Some(day.root()))).cloned().collect();
        let days = if self.random.random_ratio(3, 4) { claimable } else { recent };
        let Some(day) = days.choose(&mut self.random) else { return };
        let account = person(100 + self.random.random_range(0..ACCOUNTS));
        let token = *self.world.tokens.choose(&mut self.random).unwrap();
        let mut call = day.claim_for(account, token);
        let proven = Some(u64::try_from(call.cumulative).unwrap()).filter(|amount| *amount > 0);
        match self.random.random_range(0..12) {
            0 => call.cumulative += U256::ONE,
            1 => call.cumulative = call.cumulative.saturating_sub(U256::ONE),
            _ => {}
        }
        let stated = call.cumulative.try_into().unwrap();
        // whoever sends it: the account is paid
        let by = if self.random.random() { account } else { person(100) };
        let before = self.world.balance(token, account);
        let expected = self.model.claim(account, token, day.root(), proven, stated);
        let amount = expected.unwrap_or_default();
        if let Some(found) = self.call(by, &call, expected.map(|_| ())) {
            assert_eq!(found, U256::from(amount));
        }
        assert_eq!(self.world.balance(token, account), before + amount);
    }

    fn pause(&mut self) {
        let by = self.key(Role::Guardian);
        let expected = self.model.pause(by);
        self.call(by, &Distributor::pauseCall {}, expected);
    }

    fn unpause(&mut self) {
        let by = if self.random.random_ratio(4, 5) { person(OWNER) } else { self.key(Role::Guardian) };
        let expected = self.model.unpause(by);
        self.call(by, &Distributor::unpauseCall {}, expected);
    }

    fn nominate(&mut self) {
        let by = if self.random.random_ratio(4, 5) { person(OWNER) } else { self.key(Role::Proposer) };
        let role = *ROLES.choose(&mut self.random).unwrap();
        let nominee = person(*self.keys.choose(&mut self.random).unwrap());
        let expected = self.model.nominate(by, role, nominee);
        self.call(by, &Distributor::nominateCall { role, nominee }, expected);
    }

    fn accept(&mut self) {
        let role = *ROLES.choose(&mut self.random).unwrap();
        let named = self.model.nominees[role as usize].filter(|_| self.random.random_ratio(4, 5));
        let by = named.unwrap_or(person(*self.keys.choose(&mut self.random).unwrap()));
        let expected = self.model.accept(by, role);
        self.call(by, &Distributor::acceptCall { role }, expected);
    }

    /// What the contract and the tokens say is what the model says, and nobody was paid from nothing.
    fn audit(&mut self) {
        for token in self.world.tokens {
            let read = person(OWNER);
            let paid = self.world.call(read, &Distributor::paidCall { token }).unwrap();
            let committed = self.world.call(read, &Distributor::committedCall { token }).unwrap();
            let mut sum = 0;
            for account in (100..100 + ACCOUNTS).map(person) {
                let claimed = self.world.call(read, &Distributor::claimedCall { account, token }).unwrap();
                assert_eq!(claimed, U256::from(self.model.claimed(account, token)));
                // everything that an account ever got is the cumulative amount of its last claim
                assert_eq!(claimed, U256::from(self.world.balance(token, account)));
                sum += self.world.balance(token, account);
            }
            let funded = self.model.funded.get(&token).copied().unwrap_or_default();
            let balance = self.world.balance(token, self.world.distributor);
            assert_eq!((paid, sum), (U256::from(self.model.paid(token)), self.model.paid(token)));
            assert_eq!(balance + sum, funded);
            assert!(committed - paid.min(committed) <= U256::from(balance), "{committed} {paid} {balance}");
            assert!(paid <= committed);
        }
    }

    /// Everybody claims what is left, in a random order: every honest promise is paid to the end.
    fn settle(&mut self) {
        self.world.now += 2 * DAY;
        if self.model.paused {
            self.world.call(person(OWNER), &Distributor::unpauseCall {}).unwrap();
            self.model.paused = false;
        }
        self.model.pass_time(self.world.now);
        let Some(current) = &self.model.current else { return };
        let day = self.days.iter().find(|day| day.root() == current.root).unwrap().clone();
        for account in (100..100 + ACCOUNTS).map(person) {
            for token in self.world.tokens {
                let call = day.claim_for(account, token);
                let stated: u64 = call.cumulative.try_into().unwrap();
                let proven = Some(stated).filter(|amount| *amount > 0);
                let expected = self.model.claim(account, token, day.root(), proven, stated);
                self.call(account, &call, expected.map(|_| ()));
            }
        }
        self.audit();
    }
}
