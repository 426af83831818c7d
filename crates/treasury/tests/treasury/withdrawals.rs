//! Withdrawals through the ledger: what waits, what is paid, what goes back.

use sqlx::{AssertSqlSafe, PgConnection};
use tale_ledger::{AccountKey, Entry, LedgerError, NewJournal, balance, list_journals, post_journal, verify};
use tale_primitives::{Amount, UtcDay};
use tale_testkit::TestDatabase;
use tale_treasury::{
    Destination, NewWithdrawal, PayoutRoute, Ruleset, TreasuryError, WithdrawalError, WithdrawalFilter,
    WithdrawalId, WithdrawalRules, WithdrawalState, allow_account, cancel_withdrawal, claims_tree,
    deny_account, find_withdrawal, list_denials, list_withdrawals, payable_claims, request_withdrawal,
    set_token_start, settle_withdrawals, take_route, today,
};

use crate::{
    amount, owner,
    staking::{held, holder, tokens},
};

/// Day 0 is the token's first.
pub fn day(number: u32) -> UtcDay {
    let first: UtcDay = "2022-01-01".parse().unwrap();
    UtcDay::from_date(first.date() + chrono::Days::new(u64::from(number)))
}

pub fn earned(number: u32) -> AccountKey {
    AccountKey::holder(owner(number), &"xTALE".parse().unwrap())
}

/// Owners 1 to 3 have earned 10,000 xTALE each.
pub async fn network() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    set_token_start(&mut conn, day(0)).await.unwrap();
    let issuance: AccountKey = "issuance:generator-pool:xTALE".parse().unwrap();
    let credits = (1..=3).map(|number| Entry::credit(earned(number), tokens(10_000)));
    let journal = NewJournal {
        key: "rewards".to_owned(),
        epoch: None,
        description: "a test".to_owned(),
        entries: credits.chain([Entry::debit(issuance, tokens(30_000))]).collect(),
    };
    post_journal(&mut conn, &journal).await.unwrap();
    (database, conn)
}

pub fn new(key: &str, number: u32, whole: u64, days: Option<u32>, on: u32) -> NewWithdrawal {
    NewWithdrawal {
        key: key.to_owned(),
        account: owner(number),
        asset: "xTALE".parse().unwrap(),
        gross: tokens(whole),
        destination: Destination::Account,
        days,
        country: "CH".parse().unwrap(),
        day: day(on),
    }
}

async fn request(conn: &mut PgConnection, new: NewWithdrawal) -> WithdrawalId {
    request_withdrawal(conn, &new).await.unwrap().withdrawal.id
}

async fn state(conn: &mut PgConnection, id: WithdrawalId) -> WithdrawalState {
    find_withdrawal(conn, id).await.unwrap().unwrap().state
}

fn refused(error: TreasuryError) -> WithdrawalError {
    match error {
        TreasuryError::Withdrawal(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rewards_wait_mature_and_become_as_many_tokens_less_the_fee() {
    let (_database, mut conn) = network().await;
    let id = request(&mut conn, new("a", 1, 1_000, None, 0)).await;
    assert_eq!(held(&mut conn, &earned(1).to_string()).await, tokens(9_000));
    assert_eq!(held(&mut conn, "pool:withdrawals:xTALE").await, tokens(1_000));
    assert_eq!(settle_withdrawals(&mut conn, day(6)).await.unwrap().paid, []);
    assert_eq!(state(&mut conn, id).await, WithdrawalState::Requested);

    let settled = settle_withdrawals(&mut conn, day(7)).await.unwrap();
    assert_eq!((settled.matured, settled.paid, settled.net), (1, vec![id], tokens(980)));
    assert_eq!(state(&mut conn, id).await, WithdrawalState::Paid);
    assert_eq!(held(&mut conn, &holder(1).to_string()).await, tokens(980));
    assert_eq!(held(&mut conn, "treasury:fees:xTALE").await, tokens(20));
    assert_eq!(held(&mut conn, "pool:withdrawals:xTALE").await, Amount::ZERO);
    // as many xTALE are retired as TALE are issued: the Generator pool pays once
    assert_eq!(held(&mut conn, "issuance:generator-pool:xTALE").await, tokens(30_000 - 980));
    assert_eq!(held(&mut conn, "issuance:generator:TALE").await, tokens(980));
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn after_a_hundred_days_a_short_redemption_gives_a_part_up() {
    let (_database, mut conn) = network().await;
    request(&mut conn, new("whole", 1, 1_000, None, 100)).await;
    request(&mut conn, new("short", 2, 1_000, Some(7), 100)).await;
    let error = request_withdrawal(&mut conn, &new("none", 3, 1_000, Some(8), 100)).await.unwrap_err();
    let offered = refused(error).to_string();
    assert!(offered.contains("90 days, 30 days less 25 %, 7 days less 50 %"), "{offered}");
    let error = request_withdrawal(&mut conn, &new("none", 3, 1_000, Some(90), 99)).await.unwrap_err();
    assert!(matches!(refused(error), WithdrawalError::UnknownRedemption { given: 90, .. }));

    settle_withdrawals(&mut conn, day(107)).await.unwrap();
    assert_eq!(held(&mut conn, &holder(2).to_string()).await, tokens(495));
    assert_eq!(held(&mut conn, "pool:redemption-haircuts:xTALE").await, tokens(500));
    assert_eq!(held(&mut conn, &holder(1).to_string()).await, Amount::ZERO);
    settle_withdrawals(&mut conn, day(190)).await.unwrap();
    assert_eq!(held(&mut conn, &holder(1).to_string()).await, tokens(990));
}

#[tokio::test]
async fn every_step_may_be_repeated_and_changes_nothing() {
    let (_database, mut conn) = network().await;
    let first = request_withdrawal(&mut conn, &new("a", 1, 500, None, 0)).await.unwrap();
    for again in [new("a", 1, 500, None, 3), new("a", 1, 500, Some(7), 0)] {
        let again = request_withdrawal(&mut conn, &again).await.unwrap();
        assert_eq!((again.changed, &again.withdrawal), (false, &first.withdrawal));
    }
    let mut elsewhere = new("a", 1, 500, None, 0);
    elsewhere.destination = Destination::Chain;
    for other in [new("a", 2, 500, None, 0), new("a", 1, 501, None, 0), elsewhere] {
        let error = request_withdrawal(&mut conn, &other).await.unwrap_err();
        assert!(matches!(refused(error), WithdrawalError::KeyReused { .. }));
    }
    settle_withdrawals(&mut conn, day(9)).await.unwrap();
    let journals = list_journals(&mut conn).await.unwrap().len();
    let again = settle_withdrawals(&mut conn, day(9)).await.unwrap();
    assert_eq!((again.matured, again.paid, again.journals), (0, vec![], vec![]));
    assert!(!request_withdrawal(&mut conn, &new("a", 1, 500, None, 0)).await.unwrap().changed);
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), journals);
}

#[tokio::test]
async fn a_cancelled_withdrawal_goes_back_whole_and_a_matured_one_does_not() {
    let (_database, mut conn) = network().await;
    let back = request(&mut conn, new("a", 1, 500, None, 0)).await;
    let paid = request(&mut conn, new("b", 2, 500, None, 0)).await;
    assert!(cancel_withdrawal(&mut conn, back).await.unwrap().changed);
    assert!(!cancel_withdrawal(&mut conn, back).await.unwrap().changed);
    assert_eq!(held(&mut conn, &earned(1).to_string()).await, tokens(10_000));
    settle_withdrawals(&mut conn, day(7)).await.unwrap();
    assert_eq!(state(&mut conn, back).await, WithdrawalState::Cancelled);
    let error = cancel_withdrawal(&mut conn, paid).await.unwrap_err();
    assert!(matches!(refused(error), WithdrawalError::TooLate { state: WithdrawalState::Paid, .. }));
    let error = cancel_withdrawal(&mut conn, WithdrawalId::from_raw(99)).await.unwrap_err();
    assert!(matches!(refused(error), WithdrawalError::UnknownWithdrawal(_)));
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_moves_nothing() {
    let (_database, mut conn) = network().await;
    let mut refuse = async |change: &dyn Fn(&mut NewWithdrawal)| {
        let mut wrong = new("a", 1, 1_000, None, 0);
        change(&mut wrong);
        request_withdrawal(&mut conn, &wrong).await.unwrap_err()
    };
    let error = refused(refuse(&|new| new.gross = amount("99999999999999999999")).await);
    assert!(matches!(error, WithdrawalError::BelowMinimum { .. }));
    let error = refused(refuse(&|new| new.country = "KP".parse().unwrap()).await);
    assert!(error.to_string().contains("from KP are restricted: sanctions"), "{error}");
    let error = refused(refuse(&|new| new.key = "k".repeat(101)).await);
    assert!(matches!(error, WithdrawalError::KeyLength(101)));
    let error = refused(refuse(&|new| new.asset = "credits".parse().unwrap()).await);
    assert!(matches!(error, WithdrawalError::UnknownAsset(_)));
    let error = refused(refuse(&|new| new.asset = "TALE".parse().unwrap()).await);
    assert!(matches!(error, WithdrawalError::AlreadyInAccount(_)));
    let error = refused(refuse(&|new| new.day = "2021-12-31".parse().unwrap()).await);
    assert!(matches!(error, WithdrawalError::BeforeStart { .. }));
    let error = refuse(&|new| new.day = day(40_000)).await;
    assert!(matches!(error, TreasuryError::FutureDay { .. }), "{error:?}");
    let error = refuse(&|new| new.gross = tokens(10_001)).await;
    assert!(matches!(error, TreasuryError::Ledger(LedgerError::Overdrawn { .. })), "{error:?}");
    assert!("ch".parse::<tale_treasury::Country>().is_err());
    assert_eq!(list_withdrawals(&mut conn, &WithdrawalFilter::default()).await.unwrap(), []);
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_leaves_before_the_token_has_a_start() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let error = request_withdrawal(&mut conn, &new("a", 1, 100, None, 0)).await.unwrap_err();
    assert!(matches!(refused(error), WithdrawalError::NotStarted));
}

#[tokio::test]
async fn a_denied_account_requests_nothing_and_is_paid_when_it_is_allowed_again() {
    let (_database, mut conn) = network().await;
    let waiting = request(&mut conn, new("a", 1, 500, None, 0)).await;
    let other = request(&mut conn, new("b", 2, 500, None, 0)).await;
    assert!(deny_account(&mut conn, owner(1), "a court's order").await.unwrap());
    assert!(!deny_account(&mut conn, owner(1), "another reason").await.unwrap());
    let error = refused(request_withdrawal(&mut conn, &new("c", 1, 500, None, 0)).await.unwrap_err());
    assert!(error.to_string().contains("a court's order"), "{error}");

    let settled = settle_withdrawals(&mut conn, day(7)).await.unwrap();
    assert_eq!((settled.matured, settled.paid), (2, vec![other]));
    assert_eq!(state(&mut conn, waiting).await, WithdrawalState::Matured);
    assert!(allow_account(&mut conn, owner(1)).await.unwrap());
    assert!(!allow_account(&mut conn, owner(1)).await.unwrap());
    assert_eq!(settle_withdrawals(&mut conn, day(7)).await.unwrap().paid, [waiting]);
    let denials = list_denials(&mut conn).await.unwrap();
    assert_eq!((denials.len(), denials[0].lifted_at.is_some()), (1, true));
    let error = deny_account(&mut conn, owner(1), "").await.unwrap_err();
    assert!(matches!(refused(error), WithdrawalError::ReasonLength(0)));
}

#[tokio::test]
async fn what_goes_to_the_chain_leaves_the_ledger_and_becomes_a_claim() {
    let (_database, mut conn) = network().await;
    let mut to_chain = new("a", 1, 1_000, None, 0);
    to_chain.destination = Destination::Chain;
    request(&mut conn, to_chain).await;
    request(&mut conn, new("b", 2, 1_000, None, 0)).await;
    settle_withdrawals(&mut conn, day(7)).await.unwrap();
    // nothing that could be staked or spent here beside the claim
    assert_eq!(held(&mut conn, &holder(1).to_string()).await, Amount::ZERO);
    assert_eq!(held(&mut conn, "pool:claimable:TALE").await, tokens(980));

    // TALE of an account goes the same way, at once and whole but for the fee
    let mut out = new("c", 2, 900, None, 0);
    (out.asset, out.destination) = ("TALE".parse().unwrap(), Destination::Chain);
    let withdrawal = request_withdrawal(&mut conn, &out).await.unwrap().withdrawal;
    assert_eq!((withdrawal.net, withdrawal.matures_day), (tokens(882), day(0)));
    settle_withdrawals(&mut conn, day(7)).await.unwrap();
    assert_eq!(held(&mut conn, "pool:claimable:TALE").await, tokens(1_862));
    assert_eq!(held(&mut conn, "issuance:generator:TALE").await, tokens(1_960));
    assert_eq!(held(&mut conn, "treasury:fees:TALE").await, tokens(18));
    assert!(verify(&mut conn).await.unwrap().is_consistent());

    // they were paid today, which is not over: no claim of an earlier day changes
    let now = today(&mut conn).await.unwrap();
    let error = payable_claims(&mut conn, now).await.unwrap_err();
    assert!(matches!(refused(error), WithdrawalError::DayNotOver { .. }));
    assert_eq!(payable_claims(&mut conn, day(30)).await.unwrap(), []);
}

/// A withdrawal to the chain that was paid on a day of the past, as the clock of that day would have written it.
async fn paid_in_the_past(conn: &mut PgConnection, number: u32, whole: u64, on: u32) {
    let issuance: AccountKey = "issuance:generator:TALE".parse().unwrap();
    let journal = NewJournal {
        key: format!("past/{number}/{on}"),
        epoch: None,
        description: "a test".to_owned(),
        entries: vec![
            Entry::debit(issuance, tokens(whole)),
            Entry::credit("pool:claimable:TALE".parse().unwrap(), tokens(whole)),
        ],
    };
    let id = post_journal(conn, &journal).await.unwrap().journal_id;
    let row = format!(
        "insert into treasury.withdrawal (key, account, asset, destination, country, state, ruleset, gross, net, fee,
            haircut, requested_day, matures_day, ended_day, journal_id)
         values ('past/{number}/{on}', '\\x{}', 'xTALE', 'chain', 'CH', 'paid', 2, {units}, {units}, 0, 0, '{day}',
            '{day}', '{day}', {id})",
        hex::encode(owner(number).as_bytes()),
        units = tokens(whole),
        day = day(on),
    );
    sqlx::raw_sql(AssertSqlSafe(row)).execute(conn).await.unwrap();
}

#[tokio::test]
async fn payable_claims_only_grow_and_are_what_the_ledger_has_set_aside() {
    let (_database, mut conn) = network().await;
    for (number, whole, on) in [(1, 100, 10), (2, 50, 12), (1, 7, 20)] {
        paid_in_the_past(&mut conn, number, whole, on).await;
    }
    let claims = async |conn: &mut PgConnection, on: u32| {
        let leaves = payable_claims(conn, day(on)).await.unwrap();
        let token = WithdrawalRules::load(2).unwrap().token;
        assert!(leaves.iter().all(|leaf| leaf.token == token));
        leaves.into_iter().map(|leaf| (leaf.account, leaf.cumulative)).collect::<Vec<_>>()
    };
    let sorted = |mut claims: Vec<_>| {
        claims.sort();
        claims
    };
    assert_eq!(claims(&mut conn, 9).await, []);
    assert_eq!(claims(&mut conn, 10).await, [(owner(1), tokens(100))]);
    let both = sorted(vec![(owner(1), tokens(100)), (owner(2), tokens(50))]);
    assert_eq!(claims(&mut conn, 19).await, both);
    let more = sorted(vec![(owner(1), tokens(107)), (owner(2), tokens(50))]);
    assert_eq!(claims(&mut conn, 20).await, more);
    // a claim that the ledger never set anything aside for is not promised
    let slipped =
        "insert into treasury.withdrawal (key, account, asset, destination, country, state, ruleset, gross,
            net, fee, haircut, requested_day, matures_day, ended_day, journal_id)
        select 'slipped', account, asset, destination, country, state, ruleset, gross, net, fee, haircut,
            requested_day, matures_day, ended_day, journal_id from treasury.withdrawal limit 1";
    sqlx::raw_sql(slipped).execute(&mut conn).await.unwrap();
    let error = payable_claims(&mut conn, day(30)).await.unwrap_err();
    assert!(matches!(refused(error), WithdrawalError::PayableDiffers { .. }));
}

#[tokio::test]
async fn a_token_is_paid_out_by_one_route() {
    let (_database, mut conn) = network().await;
    let rewards = Ruleset::load(Ruleset::CURRENT_VERSION).unwrap().token;
    take_route(&mut conn, rewards, PayoutRoute::Distributor).await.unwrap();
    take_route(&mut conn, rewards, PayoutRoute::Distributor).await.unwrap();
    let error = request_withdrawal(&mut conn, &new("a", 1, 500, None, 0)).await.unwrap_err();
    assert!(matches!(refused(error), WithdrawalError::TwoRoutes { taken: PayoutRoute::Distributor, .. }));

    let (_other, mut conn) = network().await;
    request(&mut conn, new("a", 1, 500, None, 0)).await;
    let error = take_route(&mut conn, rewards, PayoutRoute::Distributor).await.unwrap_err();
    assert!(matches!(refused(error), WithdrawalError::TwoRoutes { .. }));
    // the rewards' own tree is another matter, and stays what it is
    assert!(matches!(claims_tree(&mut conn, day(1)).await, Err(TreasuryError::NotSealed(_))));
}

#[tokio::test]
async fn two_nights_and_a_cancellation_at_once_end_a_withdrawal_once() {
    let (database, mut conn) = network().await;
    let id = request(&mut conn, new("a", 1, 500, None, 0)).await;
    let mut nights = Vec::new();
    for _ in 0..3 {
        let pool = database.pool().clone();
        nights.push(tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            settle_withdrawals(&mut conn, day(7)).await.unwrap().paid.len()
        }));
    }
    let pool = database.pool().clone();
    let cancelled = tokio::spawn(async move {
        let mut conn = pool.acquire().await.unwrap();
        cancel_withdrawal(&mut conn, id).await.is_ok_and(|cancelled| cancelled.changed)
    });
    let mut ends = usize::from(cancelled.await.unwrap());
    for night in nights {
        ends += night.await.unwrap();
    }
    assert_eq!(ends, 1);
    assert_eq!(held(&mut conn, "pool:withdrawals:xTALE").await, Amount::ZERO);
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn two_requests_under_one_key_at_once_take_the_units_once() {
    let (database, mut conn) = network().await;
    let mut requests = Vec::new();
    for _ in 0..4 {
        let pool = database.pool().clone();
        requests.push(tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            request_withdrawal(&mut conn, &new("a", 1, 500, None, 0)).await.unwrap().changed
        }));
    }
    let mut changed = 0;
    for request in requests {
        changed += u32::from(request.await.unwrap());
    }
    assert_eq!(changed, 1);
    assert_eq!(balance(&mut conn, &earned(1)).await.unwrap().amount(), tokens(9_500));
}

#[tokio::test]
async fn the_database_refuses_to_rewrite_a_withdrawal() {
    let (_database, mut conn) = network().await;
    request(&mut conn, new("a", 1, 500, None, 0)).await;
    deny_account(&mut conn, owner(9), "a test").await.unwrap();
    for (sql, law) in [
        ("update treasury.withdrawal set state = 'paid'", "withdrawal_moves_forward"),
        ("update treasury.withdrawal set state = 'matured', net = 1", "withdrawal_is_fixed"),
        ("update treasury.withdrawal set state = 'cancelled'", "withdrawal_ended_columns"),
        ("delete from treasury.withdrawal", "treasury_immutable"),
        ("update treasury.withdrawal_denial set reason = 'x'", "treasury_immutable"),
        ("delete from treasury.payout_route", "treasury_immutable"),
        (
            "insert into treasury.withdrawal (key, account, asset, destination, country, state, ruleset, gross, net,
                fee, haircut, requested_day, matures_day)
             select 'b', account, asset, destination, country, 'requested', 2, gross, net + 1, fee, haircut,
                requested_day, matures_day from treasury.withdrawal",
            "withdrawal_is_divided",
        ),
    ] {
        let error = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect_err(sql);
        assert_eq!(error.as_database_error().and_then(|e| e.constraint()), Some(law), "{sql}");
    }
}
