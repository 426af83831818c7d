use proptest::prelude::*;
use sqlx::Connection;
use tale_ledger::{
    AccountKind, BalanceFilter, Entry, LedgerError, balance, balances, chain_head, journal as find_journal,
    list_journals, post_journal, verify,
};
use tale_primitives::Amount;
use tale_testkit::TestDatabase;

use crate::{account, holder, issuance, journal, pool, transfer, units};

#[tokio::test]
async fn a_journal_moves_the_balances_of_its_accounts_and_can_be_read_back() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), pool(), 100)).await.unwrap();
    let split = journal(
        "pay",
        vec![
            Entry::credit(holder(1), units(10)),
            Entry::debit(pool(), units(30)),
            Entry::credit(holder(2), units(20)),
        ],
    );
    let posted = post_journal(&mut conn, &split).await.unwrap();

    assert_eq!(balance(&mut conn, &pool()).await.unwrap().amount(), units(70));
    assert_eq!(balance(&mut conn, &issuance()).await.unwrap().amount(), units(100));
    assert_eq!(balance(&mut conn, &holder(3)).await.unwrap().amount(), Amount::ZERO);
    let holders = BalanceFilter { kind: Some(AccountKind::Holder), asset: None };
    let holders = balances(&mut conn, &holders).await.unwrap();
    assert_eq!(holders.iter().map(|b| b.amount()).sum_units(), 30);
    assert_eq!(balances(&mut conn, &BalanceFilter::default()).await.unwrap().len(), 4);

    let read = find_journal(&mut conn, posted.journal_id).await.unwrap().unwrap();
    assert_eq!(read.summary.key, "pay");
    assert_eq!(read.entries.len(), 3);
    assert_eq!(read.entries[2], Entry::debit(pool(), units(30)), "canonical order is by account");
    let report = verify(&mut conn).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.discrepancies);
    assert_eq!((report.journals, report.entries, report.accounts), (2, 5, 4));
    assert_eq!(report.head, read.summary.chain_digest);
    let head = chain_head(&mut conn).await.unwrap();
    assert_eq!((head.journal_id, head.chain_digest), (posted.journal_id, report.head));
}

trait SumUnits {
    fn sum_units(self) -> u64;
}

impl<I: Iterator<Item = Amount>> SumUnits for I {
    fn sum_units(self) -> u64 {
        Amount::checked_sum(self).unwrap().to_string().parse().unwrap()
    }
}

#[tokio::test]
async fn the_same_key_and_content_is_the_first_journal_and_other_content_is_an_error() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let first = post_journal(&mut conn, &transfer("fund", issuance(), pool(), 100)).await.unwrap();
    assert!(!first.already_posted);

    let mut reordered = transfer("fund", issuance(), pool(), 100);
    reordered.entries.reverse();
    let again = post_journal(&mut conn, &reordered).await.unwrap();
    assert!(again.already_posted);
    assert_eq!(again.journal_id, first.journal_id);

    let other = post_journal(&mut conn, &transfer("fund", issuance(), pool(), 101)).await;
    assert!(
        matches!(&other, Err(LedgerError::KeyReused { journal_id, .. }) if *journal_id == first.journal_id),
        "{other:?}"
    );
    assert_eq!(balance(&mut conn, &pool()).await.unwrap().amount(), units(100));
}

#[tokio::test]
async fn two_posts_of_one_key_at_once_make_one_journal() {
    let database = TestDatabase::create().await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let pool_of_connections = database.pool().clone();
        tasks.push(tokio::spawn(async move {
            let mut conn = pool_of_connections.acquire().await.unwrap();
            post_journal(&mut conn, &transfer("fund", issuance(), pool(), 100)).await.unwrap()
        }));
    }
    let mut new = 0;
    for task in tasks {
        let posted = task.await.unwrap();
        assert_eq!(posted.journal_id.raw(), 1);
        new += u32::from(!posted.already_posted);
    }
    assert_eq!(new, 1);
    let mut conn = database.connection().await;
    assert_eq!(balance(&mut conn, &pool()).await.unwrap().amount(), units(100));
}

#[tokio::test]
async fn many_posters_at_once_leave_one_gapless_chain() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), pool(), 1_000)).await.unwrap();
    let mut tasks = Vec::new();
    for poster in 0..6 {
        let pool_of_connections = database.pool().clone();
        tasks.push(tokio::spawn(async move {
            for number in 0..10 {
                let mut conn = pool_of_connections.acquire().await.unwrap();
                // Accounts are met in opposite orders: a poster that locked them one by one would deadlock.
                let (from, to) = if poster % 2 == 0 { (1, 2) } else { (2, 1) };
                let entries = vec![
                    Entry::debit(pool(), units(4)),
                    Entry::credit(holder(from), units(3)),
                    Entry::credit(holder(to), units(1)),
                ];
                let key = format!("{poster}/{number}");
                // Every third transaction is rolled back after its posting.
                let mut transaction = conn.begin().await.unwrap();
                post_journal(&mut transaction, &journal(&key, entries)).await.unwrap();
                if number % 3 == 0 {
                    transaction.rollback().await.unwrap();
                } else {
                    transaction.commit().await.unwrap();
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let report = verify(&mut conn).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.discrepancies);
    assert_eq!(report.journals, 1 + 6 * 6);
    let ids: Vec<i64> = list_journals(&mut conn).await.unwrap().iter().map(|j| j.id.raw()).collect();
    assert_eq!(ids, (1..=37).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_overdraft_is_refused_by_name_and_leaves_the_transaction_usable() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let mut transaction = conn.begin().await.unwrap();
    post_journal(&mut transaction, &transfer("fund", issuance(), pool(), 100)).await.unwrap();
    let refused = post_journal(&mut transaction, &transfer("pay", pool(), holder(1), 101)).await;
    assert!(
        matches!(&refused, Err(LedgerError::Overdrawn { account, .. }) if *account == pool().to_string()),
        "{refused:?}"
    );
    post_journal(&mut transaction, &transfer("pay", pool(), holder(1), 100)).await.unwrap();
    transaction.commit().await.unwrap();
    let from_holder = post_journal(&mut conn, &transfer("take", holder(1), pool(), 101)).await;
    assert!(matches!(from_holder, Err(LedgerError::Overdrawn { .. })), "{from_holder:?}");
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn what_is_no_journal_is_refused_before_it_reaches_the_database() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let one_sided = journal("a", vec![Entry::debit(issuance(), units(1))]);
    let unbalanced = journal("a", vec![Entry::debit(issuance(), units(1)), Entry::credit(pool(), units(2))]);
    let other_asset = account("pool:generator:TALE");
    let two_assets =
        journal("a", vec![Entry::debit(issuance(), units(1)), Entry::credit(other_asset, units(1))]);
    let nothing = transfer("a", issuance(), pool(), 0);
    let nameless = transfer("", issuance(), pool(), 1);
    let mut beyond = transfer("a", issuance(), pool(), 1);
    beyond.entries.push(Entry::debit(issuance(), Amount::MAX));

    let mut post = async |journal| post_journal(&mut conn, &journal).await.unwrap_err();
    assert!(matches!(post(one_sided).await, LedgerError::TooFewEntries { count: 1, .. }));
    assert!(matches!(post(unbalanced).await, LedgerError::Unbalanced { .. }));
    assert!(matches!(post(two_assets).await, LedgerError::Unbalanced { .. }));
    assert!(matches!(post(nothing).await, LedgerError::ZeroAmount { .. }));
    assert!(matches!(post(nameless).await, LedgerError::KeyLength(0)));
    assert!(matches!(post(beyond).await, LedgerError::Overflow { .. }));
}

#[tokio::test]
async fn amounts_up_to_256_bits_pass_through_the_database_unchanged() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let most =
        journal("most", vec![Entry::debit(issuance(), Amount::MAX), Entry::credit(pool(), Amount::MAX)]);
    post_journal(&mut conn, &most).await.unwrap();
    assert_eq!(balance(&mut conn, &pool()).await.unwrap().amount(), Amount::MAX);
    let more = post_journal(&mut conn, &transfer("more", issuance(), pool(), 1)).await;
    assert!(
        matches!(&more, Err(LedgerError::Refused { constraint, .. }) if constraint == "balance_sums_fit"),
        "{more:?}"
    );
}

#[tokio::test]
async fn a_journal_of_many_entries_is_posted_and_audited_as_a_whole() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let count = 30_000;
    post_journal(&mut conn, &transfer("fund", issuance(), pool(), count)).await.unwrap();
    let mut entries = vec![Entry::debit(pool(), units(count))];
    entries.extend((0..count).map(|number| Entry::credit(holder(number), units(1))));
    post_journal(&mut conn, &journal("large", entries)).await.unwrap();
    let report = verify(&mut conn).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.discrepancies.first());
    assert_eq!((report.entries, report.accounts), (count + 3, count + 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// A model that keeps its own balances agrees with the ledger after any sequence of transfers.
    #[test]
    fn the_ledger_agrees_with_a_model(transfers in proptest::collection::vec((0..4usize, 0..4usize, 1..60u64), 1..30)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let database = TestDatabase::create().await;
            let mut conn = database.connection().await;
            post_journal(&mut conn, &transfer("fund", issuance(), holder(0), 100)).await.unwrap();
            let mut model = [100, 0, 0, 0];
            for (number, (from, to, amount)) in transfers.into_iter().enumerate() {
                let key = format!("transfer/{number}");
                let answer =
                    post_journal(&mut conn, &transfer(&key, holder(from as u64), holder(to as u64), amount)).await;
                if from == to || model[from] >= amount {
                    answer.unwrap();
                    if from != to {
                        model[from] -= amount;
                        model[to] += amount;
                    }
                } else {
                    assert!(matches!(answer, Err(LedgerError::Overdrawn { .. })), "{answer:?}");
                }
            }
            for (number, expected) in model.into_iter().enumerate() {
                let found = balance(&mut conn, &holder(number as u64)).await.unwrap().amount();
                assert_eq!(found, units(expected));
            }
            assert!(verify(&mut conn).await.unwrap().is_consistent());
        });
    }
}
