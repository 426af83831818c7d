//! What the ledger must hold, kept by nothing but arithmetic.

use std::collections::{BTreeMap, BTreeSet};

use tale_ledger::{AccountKey, Ending, Entry, HoldEnd, NewHold, NewJournal, NewLimit, Operation, Side};
use tale_primitives::Amount;

/// Why an operation must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    Overdrawn,
    BelowFloor,
    AboveCeiling,
    NoHold,
    HoldAmount,
    HoldEnded,
    HoldExpired,
    KeyReused,
    MemberPosted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    pub debits: u64,
    pub credits: u64,
    pub pending_debits: u64,
    pub pending_credits: u64,
    pub floor: Option<u64>,
    pub ceiling: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Overdue,
    Posted(u64),
    Voided,
    Expired,
}

#[derive(Debug, Clone)]
pub struct ModelHold {
    pub hold: NewHold,
    pub state: State,
}

/// One state of the whole ledger. Places of the chain count up from 1.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub accounts: BTreeMap<AccountKey, Sums>,
    pub holds: BTreeMap<String, ModelHold>,
    /// What stands under each key, and at which place.
    pub keys: BTreeMap<String, (Option<Operation>, i64)>,
    pub last: i64,
    /// Sums after each place; the first are those before anything.
    pub past: Vec<BTreeMap<AccountKey, Sums>>,
}

/// The place of an operation, and whether it was known.
pub type Answer = Result<(i64, bool), BTreeSet<Refusal>>;

impl Model {
    pub fn new() -> Self {
        Self { past: vec![BTreeMap::new()], ..Self::default() }
    }

    /// Takes an operation, or says every reason for which it may be refused.
    pub fn apply(&mut self, operation: &Operation) -> Answer {
        if let Some((recorded, place)) = self.keys.get(operation.key()) {
            return match recorded {
                Some(recorded) if self.is_same(recorded, operation) => Ok((*place, true)),
                _ => self.reused(operation),
            };
        }
        let before = self.clone();
        let refusals = match operation {
            Operation::Journal(journal) => self.journal(journal),
            Operation::Hold(hold) => self.hold(hold),
            Operation::HoldEnd(end) => self.end(end),
            Operation::Limit(limit) => self.limit(limit),
        };
        if !refusals.is_empty() {
            *self = before;
            return Err(refusals);
        }
        let place = self.link();
        self.keys.insert(operation.key().to_owned(), (Some(operation.clone()), place));
        Ok((place, false))
    }

    /// Takes a batch as a whole, or says which operation is refused, from 1, and why.
    pub fn apply_batch(
        &mut self,
        key: &str,
        operations: &[Operation],
    ) -> Result<i64, (usize, BTreeSet<Refusal>)> {
        let before = self.clone();
        for (place, operation) in operations.iter().enumerate() {
            let refusals = match self.apply(operation) {
                Ok((_, false)) => continue,
                Ok((_, true)) => BTreeSet::from([Refusal::MemberPosted]),
                Err(refusals) => refusals,
            };
            *self = before;
            return Err((place + 1, refusals));
        }
        let seal = self.link();
        self.keys.insert(key.to_owned(), (None, seal));
        Ok(seal)
    }

    /// What is overdue ends; answers how many there were.
    pub fn expire(&mut self) -> u64 {
        let overdue: Vec<NewHold> = self
            .holds
            .values_mut()
            .filter(|hold| hold.state == State::Overdue)
            .map(|hold| {
                hold.state = State::Expired;
                hold.hold.clone()
            })
            .collect();
        for hold in &overdue {
            self.free(hold);
            self.link();
        }
        overdue.len() as u64
    }

    fn link(&mut self) -> i64 {
        self.last += 1;
        self.past.push(self.accounts.clone());
        self.last
    }

    /// A key with other content. An ending is read against its hold first.
    fn reused(&self, operation: &Operation) -> Answer {
        if let Operation::HoldEnd(end) = operation {
            let refusals = self.check_ending(end);
            if !refusals.is_empty() {
                return Err(refusals);
            }
        }
        Err(BTreeSet::from([Refusal::KeyReused]))
    }

    /// Whether two operations have the same content: a whole and a part that is the whole are one ending.
    fn is_same(&self, one: &Operation, other: &Operation) -> bool {
        let amount = |end: &HoldEnd| match end.ending {
            Ending::Post => self.holds.get(&end.hold).map(|hold| hold.hold.amount),
            Ending::PostPart(amount) => Some(amount),
            Ending::Void => None,
        };
        match (one, other) {
            (Operation::HoldEnd(one), Operation::HoldEnd(other)) => {
                (&one.key, &one.hold, amount(one)) == (&other.key, &other.hold, amount(other))
            }
            _ => one == other,
        }
    }

    fn journal(&mut self, journal: &NewJournal) -> BTreeSet<Refusal> {
        for Entry { account, side, amount } in &journal.entries {
            let sums = self.accounts.entry(account.clone()).or_default();
            match side {
                Side::Debit => sums.debits += raw(*amount),
                Side::Credit => sums.credits += raw(*amount),
            }
        }
        self.broken(journal.entries.iter().map(|entry| &entry.account))
    }

    fn hold(&mut self, hold: &NewHold) -> BTreeSet<Refusal> {
        let amount = raw(hold.amount);
        self.accounts.entry(hold.debit.clone()).or_default().pending_debits += amount;
        self.accounts.entry(hold.credit.clone()).or_default().pending_credits += amount;
        self.holds.insert(hold.key.clone(), ModelHold { hold: hold.clone(), state: State::Open });
        self.broken([&hold.debit, &hold.credit])
    }

    fn check_ending(&self, end: &HoldEnd) -> BTreeSet<Refusal> {
        let Some(held) = self.holds.get(&end.hold) else { return BTreeSet::from([Refusal::NoHold]) };
        match end.ending {
            Ending::PostPart(amount) if amount > held.hold.amount => BTreeSet::from([Refusal::HoldAmount]),
            _ => BTreeSet::new(),
        }
    }

    fn end(&mut self, end: &HoldEnd) -> BTreeSet<Refusal> {
        let wrong = self.check_ending(end);
        if !wrong.is_empty() {
            return wrong;
        }
        let ModelHold { hold, state } = self.holds[&end.hold].clone();
        let posted = match end.ending {
            Ending::Post => raw(hold.amount),
            Ending::PostPart(amount) => raw(amount),
            Ending::Void => 0,
        };
        match state {
            State::Open => {}
            State::Overdue if end.ending == Ending::Void => {}
            State::Overdue => return BTreeSet::from([Refusal::HoldExpired]),
            State::Posted(_) | State::Voided | State::Expired => return BTreeSet::from([Refusal::HoldEnded]),
        }
        let state = if end.ending == Ending::Void { State::Voided } else { State::Posted(posted) };
        self.holds.get_mut(&end.hold).expect("it was there").state = state;
        self.free(&hold);
        self.accounts.get_mut(&hold.debit).expect("a hold opens it").debits += posted;
        self.accounts.get_mut(&hold.credit).expect("a hold opens it").credits += posted;
        self.broken([&hold.debit, &hold.credit])
    }

    fn free(&mut self, hold: &NewHold) {
        let amount = raw(hold.amount);
        self.accounts.get_mut(&hold.debit).expect("a hold opens it").pending_debits -= amount;
        self.accounts.get_mut(&hold.credit).expect("a hold opens it").pending_credits -= amount;
    }

    fn limit(&mut self, limit: &NewLimit) -> BTreeSet<Refusal> {
        let sums = self.accounts.entry(limit.account.clone()).or_default();
        (sums.floor, sums.ceiling) = (limit.floor.map(raw), limit.ceiling.map(raw));
        self.broken([&limit.account])
    }

    /// The laws that these accounts break now.
    fn broken<'a>(&self, accounts: impl IntoIterator<Item = &'a AccountKey>) -> BTreeSet<Refusal> {
        let mut broken = BTreeSet::new();
        for account in accounts {
            let sums = self.accounts[account];
            let (up, down, pending_up, pending_down) = match account.kind().normal_side() {
                Side::Debit => (sums.debits, sums.credits, sums.pending_debits, sums.pending_credits),
                Side::Credit => (sums.credits, sums.debits, sums.pending_credits, sums.pending_debits),
            };
            if up < down + pending_down {
                broken.insert(Refusal::Overdrawn);
            }
            if sums.floor.is_some_and(|floor| up < down + pending_down + floor) {
                broken.insert(Refusal::BelowFloor);
            }
            if sums.ceiling.is_some_and(|ceiling| up + pending_up > down + ceiling) {
                broken.insert(Refusal::AboveCeiling);
            }
        }
        broken
    }
}

pub fn raw(amount: Amount) -> u64 {
    amount.to_string().parse().expect("amounts here are small")
}
