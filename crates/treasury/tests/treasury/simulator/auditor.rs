//! The auditor's own books, and the laws that hold after every epoch.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use tale_ledger::{AccountKind, BalanceFilter, balance, balances, verify};
use tale_primitives::{Address, Amount, UtcDay};
use tale_treasury::{
    EpochState, Ruleset, TreasuryError, claims_tree, find_epoch, list_receivables, load_result,
};

use crate::network::holder;

/// What the auditor knows without asking the treasury.
#[derive(Default)]
pub struct Auditor {
    /// What each owner received, over all epochs.
    pub cumulative: BTreeMap<Address, Amount>,
    /// What each owner has claimed of that.
    pub claimed: BTreeMap<Address, Amount>,
    /// What each epoch paid to each owner, before repayments, and what is not corrected of it.
    pub correctable: Vec<(UtcDay, Address, Amount)>,
    /// What is owed by each owner.
    pub owed: BTreeMap<Address, Amount>,
    /// How many epochs there were.
    pub epochs: u64,
    /// What was emitted and is kept by nobody.
    pub kept: Amount,
}

fn sum<'a>(amounts: impl IntoIterator<Item = &'a Amount>) -> Amount {
    Amount::checked_sum(amounts.into_iter().copied()).unwrap()
}

pub fn plus(one: Amount, other: Amount) -> Amount {
    one.checked_add(other).unwrap()
}

pub fn minus(one: Amount, other: Amount) -> Amount {
    one.checked_sub(other).unwrap()
}

impl Auditor {
    /// Before a root is published: what it will promise is funded, by what the ledger owes to holders.
    pub async fn before_publication(&self, conn: &mut PgConnection, day: UtcDay) {
        let result = load_result(conn, day).await.unwrap().unwrap();
        let new = Amount::checked_sum(result.rewards.iter().map(|reward| reward.net)).unwrap();
        let promised = plus(sum(self.cumulative.values()), new);
        let unclaimed = minus(promised, sum(self.claimed.values()));
        assert_eq!(unclaimed, funds(conn).await, "epoch {day} promises what is funded");
    }

    /// After an epoch: every law.
    pub async fn after_epoch(&mut self, conn: &mut PgConnection, day: UtcDay) {
        let epoch = find_epoch(conn, day).await.unwrap().unwrap();
        assert!(epoch.state >= EpochState::Published);
        assert_eq!(epoch.checked_digest, epoch.result_digest, "two computations");
        let result = load_result(conn, day).await.unwrap().unwrap();
        self.epochs += 1;
        for reward in &result.rewards {
            let owed = self.owed.entry(reward.owner).or_default();
            assert_eq!(reward.repaid, reward.gross.min(*owed), "what is owed is repaid first");
            *owed = minus(*owed, reward.repaid);
            if !reward.gross.is_zero() {
                self.correctable.push((day, reward.owner, reward.gross));
            }
            let cumulative = self.cumulative.entry(reward.owner).or_default();
            // An amount that is not negative is added: no cumulative amount ever falls.
            *cumulative = plus(*cumulative, reward.net);
        }
        self.kept = plus(self.kept, plus(result.carried, result.repaid));

        let emitted = Ruleset::load(epoch.ruleset).unwrap().daily_pool().unwrap().checked_mul(self.epochs);
        assert_eq!(
            Some(plus(sum(self.cumulative.values()), self.kept)),
            emitted,
            "Σ paid + carry = Σ emitted"
        );
        let carry_over = balance(conn, &"pool:carry-over:xTALE".parse().unwrap()).await.unwrap();
        assert_eq!(carry_over.amount(), self.kept);

        match claims_tree(conn, day).await {
            Ok(tree) => {
                let leaves: BTreeMap<Address, Amount> =
                    tree.leaves().iter().map(|leaf| (leaf.account, leaf.cumulative)).collect();
                let earned: BTreeMap<Address, Amount> = self
                    .cumulative
                    .iter()
                    .filter(|(_, amount)| !amount.is_zero())
                    .map(|(a, b)| (*a, *b))
                    .collect();
                assert_eq!(leaves, earned, "the tree is the auditor's");
            }
            Err(TreasuryError::NoClaims(_)) => assert!(sum(self.cumulative.values()).is_zero()),
            Err(error) => panic!("{error}"),
        }
        let unclaimed = minus(sum(self.cumulative.values()), sum(self.claimed.values()));
        assert_eq!(funds(conn).await, unclaimed);
        for (owner, cumulative) in self.cumulative.iter().take(3) {
            let claimed = self.claimed.get(owner).copied().unwrap_or_default();
            let held = balance(conn, &holder(*owner)).await.unwrap().amount();
            assert_eq!(held, minus(*cumulative, claimed));
        }
        let outstanding: Vec<Amount> =
            list_receivables(conn, None).await.unwrap().into_iter().map(|one| one.outstanding).collect();
        assert_eq!(sum(&outstanding), sum(self.owed.values()));
        // The audit of the whole ledger grows with it: every night of the first hundred, then every tenth.
        if self.epochs <= 100 || self.epochs.is_multiple_of(10) || self.epochs == 365 {
            let audit = verify(conn).await.unwrap();
            assert!(audit.is_consistent(), "{audit:?}");
        }
    }

    /// After the year: something of everything has happened.
    pub fn close_the_year(&self, days: u64) {
        assert_eq!(self.epochs, days);
        assert!(self.cumulative.len() > 8, "owners came and went");
        assert!(self.owed.len() > 3, "payments were corrected");
        assert!(!sum(self.claimed.values()).is_zero(), "something was claimed");
        assert!(!self.kept.is_zero(), "something was carried over");
    }
}

/// What the ledger owes to holders.
async fn funds(conn: &mut PgConnection) -> Amount {
    let filter = BalanceFilter { kind: Some(AccountKind::Holder), ..BalanceFilter::default() };
    let held = balances(conn, &filter).await.unwrap();
    Amount::checked_sum(held.iter().map(|balance| balance.amount())).unwrap()
}
