//! What the distributor is to do, said a second time: in Rust, without an EVM, after its documentation.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use tale_chain::abi::Distributor::Role;

use crate::world::{CONFIRMER, DELAY, Day, GUARDIAN, OWNER, PROPOSER, person};

/// A root, its day's end, and what it promises in each token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    pub root: B256,
    pub end_time: u64,
    pub totals: Vec<(Address, u64)>,
}

impl Promise {
    pub fn of(day: &Day) -> Self {
        let total = |total: &tale_chain::abi::Total| (total.token, total.cumulative.try_into().unwrap());
        Self { root: day.root(), end_time: day.end_time, totals: day.totals.iter().map(total).collect() }
    }
}

#[derive(Debug)]
pub struct Model {
    pub paused: bool,
    pub holders: [Address; 3],
    pub nominees: [Option<Address>; 3],
    pub proposal: Option<Promise>,
    pub previous: Option<Promise>,
    pub current: Option<Promise>,
    pub pending: Option<(Promise, u64)>,
    pub confirmed: BTreeSet<B256>,
    pub committed: BTreeMap<Address, u64>,
    pub paid: BTreeMap<Address, u64>,
    pub funded: BTreeMap<Address, u64>,
    pub claimed: BTreeMap<(Address, Address), u64>,
}

/// The name of the error with which a call is refused.
pub type Expected<T = ()> = Result<T, &'static str>;

fn demand(holds: bool, error: &'static str) -> Expected {
    if holds { Ok(()) } else { Err(error) }
}

impl Model {
    pub fn new() -> Self {
        Self {
            paused: false,
            holders: [PROPOSER, CONFIRMER, GUARDIAN].map(person),
            nominees: [None; 3],
            proposal: None,
            previous: None,
            current: None,
            pending: None,
            confirmed: BTreeSet::new(),
            committed: BTreeMap::new(),
            paid: BTreeMap::new(),
            funded: BTreeMap::new(),
            claimed: BTreeMap::new(),
        }
    }

    pub fn paid(&self, token: Address) -> u64 {
        self.paid.get(&token).copied().unwrap_or_default()
    }

    pub fn claimed(&self, account: Address, token: Address) -> u64 {
        self.claimed.get(&(account, token)).copied().unwrap_or_default()
    }

    fn committed(&self, token: Address) -> u64 {
        self.committed.get(&token).copied().unwrap_or_default()
    }

    /// A pending root becomes active when its time has come, unless there is a pause.
    pub fn pass_time(&mut self, now: u64) {
        if !self.paused
            && let Some((promise, _)) = self.pending.take_if(|(_, activates_at)| now >= *activates_at)
        {
            self.committed.extend(promise.totals.iter().copied());
            self.previous = self.current.replace(promise);
        }
    }

    fn check(&self, promise: &Promise, now: u64) -> Expected {
        demand(!self.confirmed.contains(&promise.root), "RepeatedRoot")?;
        demand(self.pending.is_none(), "RootPending")?;
        let last = self.current.as_ref().map_or(0, |current| current.end_time);
        demand(promise.end_time > last, "EndTimeNotLater")?;
        demand(promise.end_time <= now, "EndTimeInFuture")?;
        for (token, total) in &promise.totals {
            demand(*total >= self.committed(*token), "TotalFalls")?;
            let balance = self.funded.get(token).copied().unwrap_or_default() - self.paid(*token);
            demand(total - self.paid(*token) <= balance, "Insolvent")?;
        }
        let named = |token| promise.totals.iter().any(|(other, _)| other == token);
        demand(self.committed.keys().all(named), "TokensMissing")
    }

    pub fn propose(&mut self, by: Address, promise: &Promise, now: u64) -> Expected {
        demand(!self.paused, "EnforcedPause")?;
        demand(self.holders[0] == by, "NotInRole")?;
        self.check(promise, now)?;
        self.proposal = Some(promise.clone());
        Ok(())
    }

    pub fn confirm(&mut self, by: Address, promise: &Promise, now: u64) -> Expected {
        demand(!self.paused, "EnforcedPause")?;
        demand(self.holders[1] == by, "NotInRole")?;
        demand(self.proposal.as_ref() == Some(promise), "NotProposed")?;
        self.check(promise, now)?;
        self.proposal = None;
        self.confirmed.insert(promise.root);
        self.pending = Some((promise.clone(), now + DELAY));
        Ok(())
    }

    pub fn disable(&mut self, by: Address, root: B256) -> Expected {
        demand(self.holders[2] == by, "NotInRole")?;
        let is_pending = self.pending.as_ref().is_some_and(|(promise, _)| promise.root == root);
        demand(is_pending, "NotPending")?;
        self.pending = None;
        Ok(())
    }

    pub fn claim(
        &mut self,
        account: Address,
        token: Address,
        root: B256,
        proven: Option<u64>,
        stated: u64,
    ) -> Expected<u64> {
        demand(!self.paused, "EnforcedPause")?;
        let is = |promise: &Option<Promise>| promise.as_ref().is_some_and(|promise| promise.root == root);
        demand(is(&self.current) || is(&self.previous), "RootNotClaimable")?;
        demand(proven == Some(stated), "InvalidProof")?;
        let before = self.claimed(account, token);
        demand(stated > before, "NothingToClaim")?;
        let paid = self.paid(token) + stated - before;
        demand(paid <= self.committed(token), "BeyondCommitment")?;
        self.paid.insert(token, paid);
        self.claimed.insert((account, token), stated);
        Ok(stated - before)
    }

    pub fn pause(&mut self, by: Address) -> Expected {
        demand(by == self.holders[2] || by == person(OWNER), "NotGuardianOrOwner")?;
        demand(!self.paused, "EnforcedPause")?;
        self.paused = true;
        Ok(())
    }

    pub fn unpause(&mut self, by: Address) -> Expected {
        demand(by == person(OWNER), "OwnableUnauthorizedAccount")?;
        demand(self.paused, "ExpectedPause")?;
        self.paused = false;
        Ok(())
    }

    pub fn nominate(&mut self, by: Address, role: Role, nominee: Address) -> Expected {
        demand(by == person(OWNER), "OwnableUnauthorizedAccount")?;
        self.nominees[role as usize] = Some(nominee);
        Ok(())
    }

    pub fn accept(&mut self, by: Address, role: Role) -> Expected {
        let place = role as usize;
        demand(self.nominees[place] == Some(by), "NotNominated")?;
        demand(!self.holders.contains(&by), "HolderOfAnotherRole")?;
        self.nominees[place] = None;
        self.holders[place] = by;
        if role != Role::Guardian {
            self.proposal = None;
        }
        Ok(())
    }
}
