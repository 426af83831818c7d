//! Staking through the ledger: what goes in, what accrues, what comes out.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tale_ledger::{AccountKey, Entry, LedgerError, NewJournal, balance, list_journals, post_journal, verify};
use tale_primitives::{Address, Amount, UtcDay};
use tale_testkit::TestDatabase;
use tale_treasury::{
    Leaving, NewStake, Position, PositionFilter, PositionId, PositionState, StakingError, TreasuryError,
    accrue_staking, daily_reward, find_position, fund_staking, list_positions, stake, staking_status, today,
    unstake,
};

use crate::{amount, owner};

pub fn day(number: u32) -> UtcDay {
    let first: UtcDay = "2020-01-01".parse().unwrap();
    UtcDay::from_date(first.date() + chrono::Days::new(u64::from(number)))
}

pub fn tokens(whole: u64) -> Amount {
    Amount::from(u128::from(whole) * 10u128.pow(18))
}

async fn transfer(conn: &mut PgConnection, from: &str, to: AccountKey, units: Amount) {
    let journal = NewJournal {
        key: format!("test/{from}/{to}/{units}"),
        epoch: None,
        description: "a test".to_owned(),
        entries: vec![Entry::debit(from.parse().unwrap(), units), Entry::credit(to, units)],
    };
    post_journal(conn, &journal).await.unwrap();
}

pub fn holder(number: u32) -> AccountKey {
    AccountKey::holder(owner(number), &"TALE".parse().unwrap())
}

pub async fn held(conn: &mut PgConnection, account: &str) -> Amount {
    balance(conn, &account.parse().unwrap()).await.unwrap().amount()
}

/// Owners 1 to 3 hold a million TALE each, and the budget has so many units.
pub async fn market(budget: Amount) -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let community: AccountKey = "pool:community-growth:TALE".parse().unwrap();
    transfer(&mut conn, "issuance:community-growth:TALE", community, tokens(10_000_000)).await;
    for number in 1..=3 {
        transfer(&mut conn, "issuance:investor:TALE", holder(number), tokens(1_000_000)).await;
    }
    if !budget.is_zero() {
        fund_staking(&mut conn, "first", budget).await.unwrap();
    }
    (database, conn)
}

fn new(key: &str, owner: Address, whole: u64, term_days: Option<u32>, opened: u32) -> NewStake {
    NewStake { key: key.to_owned(), owner, amount: tokens(whole), term_days, day: day(opened) }
}

async fn open(conn: &mut PgConnection, new: NewStake) -> PositionId {
    stake(conn, &new).await.unwrap().position.id
}

async fn leave(conn: &mut PgConnection, position: PositionId, on: u32, early: bool) -> Position {
    unstake(conn, &Leaving { position, day: day(on), early }).await.unwrap().position
}

fn refused(error: TreasuryError) -> StakingError {
    match error {
        TreasuryError::Staking(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_flexible_stake_earns_for_each_whole_day_and_comes_out_with_its_rewards() {
    let (_database, mut conn) = market(tokens(1_000)).await;
    let id = open(&mut conn, new("a", owner(1), 100_000, None, 0)).await;
    assert_eq!(held(&mut conn, &holder(1).to_string()).await, tokens(900_000));
    assert_eq!(held(&mut conn, "pool:staked:TALE").await, tokens(100_000));

    // opened on day 0 and left on day 3: days 1 and 2 are whole
    let ended = leave(&mut conn, id, 3, false).await;
    // 8 % · 50,000,000 / 50,100,000, in millionths
    let reward = daily_reward(tokens(100_000), 79_840, 365).unwrap();
    let rewards = reward.checked_mul(2).unwrap();
    assert_eq!((ended.state, ended.accrued), (PositionState::Closed, rewards));
    assert_eq!(ended.returned, tokens(100_000).checked_add(rewards));
    assert_eq!(
        held(&mut conn, &holder(1).to_string()).await,
        tokens(1_000_000).checked_add(rewards).unwrap()
    );
    for empty in ["pool:staked:TALE", "pool:staking-accrued:TALE"] {
        assert_eq!(held(&mut conn, empty).await, Amount::ZERO, "{empty}");
    }
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn a_lock_earns_its_fixed_rate_for_its_days_and_nothing_after() {
    let (_database, mut conn) = market(tokens(100_000)).await;
    let id = open(&mut conn, new("a", owner(1), 1_000, Some(60), 0)).await;
    accrue_staking(&mut conn, day(59)).await.unwrap();
    let locked = unstake(&mut conn, &Leaving { position: id, day: day(60), early: false }).await.unwrap_err();
    assert!(matches!(refused(locked), StakingError::Locked { matures_day, .. } if matures_day == day(60)));

    let accrued = accrue_staking(&mut conn, day(70)).await.unwrap();
    assert_eq!((accrued.days.len(), accrued.matured), (11, 1));
    let position = find_position(&mut conn, id).await.unwrap().unwrap();
    assert_eq!(position.state, PositionState::Matured);
    let whole = daily_reward(tokens(1_000), 60_000, 365).unwrap().checked_mul(60).unwrap();
    assert_eq!(position.accrued, whole);
    // asking for an early exit costs nothing when the lock is over
    let ended = leave(&mut conn, id, 75, true).await;
    assert_eq!((ended.state, ended.returned), (PositionState::Closed, tokens(1_000).checked_add(whole)));
    assert_eq!((ended.penalty, ended.forfeited), (Some(Amount::ZERO), Some(Amount::ZERO)));
}

#[tokio::test]
async fn leaving_early_returns_the_rewards_to_the_budget_and_a_part_of_the_principal_to_the_treasury() {
    let (_database, mut conn) = market(tokens(10_000)).await;
    let id = open(&mut conn, new("a", owner(1), 1_000, Some(360), 0)).await;
    let ended = leave(&mut conn, id, 100, true).await;
    assert_eq!(ended.state, PositionState::ExitedEarly);
    assert_eq!((ended.returned, ended.penalty), (Some(tokens(980)), Some(tokens(20))));
    assert_eq!(ended.forfeited, Some(ended.accrued));
    assert!(!ended.accrued.is_zero());
    assert_eq!(held(&mut conn, "pool:staking-rewards:TALE").await, tokens(10_000));
    assert_eq!(held(&mut conn, "treasury:staking-penalties:TALE").await, tokens(20));
    assert_eq!(held(&mut conn, &holder(1).to_string()).await, tokens(999_980));
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn every_step_may_be_repeated_and_changes_nothing() {
    let (_database, mut conn) = market(tokens(10_000)).await;
    let first = stake(&mut conn, &new("a", owner(1), 10, Some(60), 0)).await.unwrap();
    // a repetition on another day is a repetition
    let again = stake(&mut conn, &new("a", owner(1), 10, Some(60), 5)).await.unwrap();
    assert_eq!((first.changed, again.changed, first.position.id), (true, false, again.position.id));
    assert_eq!(again.position.opened_day, day(0));
    for other in [
        new("a", owner(2), 10, Some(60), 0),
        new("a", owner(1), 11, Some(60), 0),
        new("a", owner(1), 10, None, 0),
    ] {
        let reused = stake(&mut conn, &other).await.unwrap_err();
        assert!(matches!(refused(reused), StakingError::KeyReused { .. }));
    }
    assert_eq!(accrue_staking(&mut conn, day(3)).await.unwrap().days.len(), 3);
    assert_eq!(accrue_staking(&mut conn, day(3)).await.unwrap().days, []);
    assert_eq!(accrue_staking(&mut conn, day(1)).await.unwrap().days, []);
    let journals = list_journals(&mut conn).await.unwrap().len();
    let leaving = Leaving { position: first.position.id, day: day(4), early: true };
    assert!(unstake(&mut conn, &leaving).await.unwrap().changed);
    assert!(!unstake(&mut conn, &leaving).await.unwrap().changed);
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), journals + 1);
    assert!(fund_staking(&mut conn, "first", tokens(10_000)).await.unwrap().already_posted);
}

#[tokio::test]
async fn nights_that_are_late_pay_the_same_as_nights_in_time() {
    let ledger = async |nightly: bool| {
        let (_database, mut conn) = market(tokens(10_000)).await;
        open(&mut conn, new("a", owner(1), 5_000, None, 0)).await;
        open(&mut conn, new("b", owner(2), 7_000, Some(60), 2)).await;
        let left = open(&mut conn, new("c", owner(3), 9_000, None, 4)).await;
        if nightly {
            for number in 0..9 {
                accrue_staking(&mut conn, day(number)).await.unwrap();
            }
        }
        leave(&mut conn, left, 9, false).await;
        accrue_staking(&mut conn, day(20)).await.unwrap();
        let positions = list_positions(&mut conn, &PositionFilter::default()).await.unwrap();
        let accrued: Vec<Amount> = positions.into_iter().map(|position| position.accrued).collect();
        (accrued, held(&mut conn, "pool:staking-rewards:TALE").await)
    };
    assert_eq!(ledger(true).await, ledger(false).await);
}

#[tokio::test]
async fn rewards_never_exceed_the_budget_and_a_short_one_is_shared_alike() {
    let (_database, mut conn) = market(Amount::from(1_000u64)).await;
    open(&mut conn, new("a", owner(1), 3_000, Some(60), 0)).await;
    open(&mut conn, new("b", owner(2), 1_000, Some(60), 0)).await;
    let accrued = accrue_staking(&mut conn, day(5)).await.unwrap();
    let paid: Vec<String> = accrued.days.iter().map(|day| day.paid.to_string()).collect();
    assert_eq!(paid, ["999", "0", "0", "0", "0"]);
    assert!(accrued.days[0].due > accrued.days[0].paid);
    assert_eq!(accrued.days[1].journal_id, None);
    let positions = list_positions(&mut conn, &PositionFilter::default()).await.unwrap();
    let shares: Vec<String> = positions.iter().map(|position| position.accrued.to_string()).collect();
    assert_eq!(shares, ["750", "249"]);
    assert_eq!(held(&mut conn, "pool:staking-rewards:TALE").await, Amount::from(1u64));
    // a budget that is filled again pays from then on, and nothing in arrears
    fund_staking(&mut conn, "second", tokens(10)).await.unwrap();
    let day_6 = &accrue_staking(&mut conn, day(6)).await.unwrap().days[0];
    assert_eq!(day_6.due, day_6.paid);
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn a_stake_split_in_k_parts_wins_at_most_k_units_also_of_a_short_budget() {
    for budget in [1_000_003u64, 7] {
        let (_database, mut conn) = market(Amount::from(budget)).await;
        open(&mut conn, new("whole", owner(1), 30, Some(60), 0)).await;
        for part in 0..3 {
            open(&mut conn, new(&format!("part {part}"), owner(2), 10, Some(60), 0)).await;
        }
        accrue_staking(&mut conn, day(1)).await.unwrap();
        let positions = list_positions(&mut conn, &PositionFilter::default()).await.unwrap();
        let (whole, parts) = positions.split_first().unwrap();
        let apart = Amount::checked_sum(parts.iter().map(|part| part.accrued)).unwrap();
        assert!(apart <= whole.accrued.checked_add(Amount::from(3u64)).unwrap(), "{apart} of {budget}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_moves_nothing() {
    let (_database, mut conn) = market(tokens(100)).await;
    let journals = list_journals(&mut conn).await.unwrap().len();
    let mut small = new("a", owner(1), 1, None, 0);
    small.amount = amount("999999999999999999");
    let error = stake(&mut conn, &small).await.unwrap_err();
    assert!(matches!(refused(error), StakingError::BelowMinimum { .. }));
    let error = stake(&mut conn, &new("a", owner(1), 1, Some(90), 0)).await.unwrap_err();
    assert!(matches!(refused(error), StakingError::UnknownTerm { given: 90 }));
    let error = stake(&mut conn, &new("", owner(1), 1, None, 0)).await.unwrap_err();
    assert!(matches!(refused(error), StakingError::KeyLength(0)));
    let error = stake(&mut conn, &new("a", owner(1), 1, None, 40_000)).await.unwrap_err();
    assert!(matches!(error, TreasuryError::FutureDay { .. }), "{error:?}");
    let error = stake(&mut conn, &new("a", owner(1), 1_000_001, None, 0)).await.unwrap_err();
    assert!(matches!(error, TreasuryError::Ledger(LedgerError::Overdrawn { .. })), "{error:?}");
    let error = fund_staking(&mut conn, "more", tokens(10_000_001)).await.unwrap_err();
    assert!(matches!(error, TreasuryError::Ledger(LedgerError::Overdrawn { .. })), "{error:?}");
    let now = today(&mut conn).await.unwrap();
    let error = accrue_staking(&mut conn, now).await.unwrap_err();
    assert!(matches!(refused(error), StakingError::DayNotOver { .. }));
    let unknown = Leaving { position: PositionId::from_raw(99), day: day(0), early: false };
    let error = unstake(&mut conn, &unknown).await.unwrap_err();
    assert!(matches!(refused(error), StakingError::UnknownPosition(_)));
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), journals);
    assert_eq!(list_positions(&mut conn, &PositionFilter::default()).await.unwrap(), []);

    let id = open(&mut conn, new("a", owner(1), 1, None, 5)).await;
    let before = Leaving { position: id, day: day(4), early: false };
    let error = unstake(&mut conn, &before).await.unwrap_err();
    assert!(matches!(refused(error), StakingError::BeforeOpening { .. }));
    accrue_staking(&mut conn, day(10)).await.unwrap();
    let error = stake(&mut conn, &new("b", owner(1), 1, None, 10)).await.unwrap_err();
    assert!(matches!(refused(error), StakingError::DayAccrued { .. }));
    let error = unstake(&mut conn, &Leaving { position: id, day: day(9), early: false }).await.unwrap_err();
    assert!(matches!(refused(error), StakingError::DayAccrued { .. }));
}

#[tokio::test]
async fn the_network_publishes_total_share_weight_and_average_lock() {
    let (_database, mut conn) = market(tokens(100)).await;
    let empty = staking_status(&mut conn).await.unwrap();
    assert_eq!((empty.positions, empty.locked_ppm, empty.average_lock_seconds), (0, 0, 0));
    assert_eq!(empty.flexible_rate_ppm, 80_000);
    open(&mut conn, new("a", owner(1), 500_000, None, 0)).await;
    open(&mut conn, new("b", owner(2), 600_000, Some(360), 0)).await;
    open(&mut conn, new("c", owner(3), 200_000, Some(120), 0)).await;
    let status = staking_status(&mut conn).await.unwrap();
    assert_eq!((status.positions, status.total_locked), (3, tokens(1_300_000)));
    assert_eq!((status.flexible, status.circulating), (tokens(500_000), tokens(13_000_000)));
    assert_eq!(status.locked_ppm, 100_000);
    // 600,000 · 360/360 + 200,000 · 120/360, rounded down
    assert_eq!(status.total_ve, amount("666666666666666666666666"));
    assert_eq!(status.average_lock_seconds, 300 * 86_400);
    assert_eq!(status.flexible_rate_ppm, 77_972);
}

#[tokio::test]
async fn two_exits_at_once_end_a_position_once() {
    let (database, mut conn) = market(tokens(1_000)).await;
    let id = open(&mut conn, new("a", owner(1), 10, None, 0)).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let pool = database.pool().clone();
        tasks.push(tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            unstake(&mut conn, &Leaving { position: id, day: day(9), early: false }).await.unwrap().changed
        }));
    }
    let mut changed = 0;
    for task in tasks {
        changed += u32::from(task.await.unwrap());
    }
    assert_eq!(changed, 1);
    assert_eq!(held(&mut conn, "pool:staked:TALE").await, Amount::ZERO);
}

#[tokio::test]
async fn a_night_that_dies_accrues_again_and_the_same() {
    let (_database, mut conn) = market(tokens(1_000)).await;
    open(&mut conn, new("a", owner(1), 10, Some(60), 0)).await;
    let mut transaction = conn.begin().await.unwrap();
    let first = accrue_staking(&mut transaction, day(65)).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(held(&mut conn, "pool:staking-accrued:TALE").await, Amount::ZERO);
    assert_eq!(accrue_staking(&mut conn, day(65)).await.unwrap(), first);
}

#[tokio::test]
async fn the_database_refuses_to_rewrite_a_position() {
    let (_database, mut conn) = market(tokens(1_000)).await;
    open(&mut conn, new("a", owner(1), 10, Some(60), 0)).await;
    open(&mut conn, new("b", owner(1), 10, None, 0)).await;
    accrue_staking(&mut conn, day(1)).await.unwrap();
    let end = |state: &str, id: u32, day: &str, returned: &str, penalty: &str| {
        format!(
            "update treasury.staking_position set state = '{state}', ended_day = '{day}', rewards = 0,
                returned = {returned}, penalty = {penalty}, forfeited = 0, journal_id = 1 where id = {id}"
        )
    };
    let (all, less) = ("10000000000000000000", "9999999999999999999");
    for (sql, law) in [
        (end("closed", 1, "2020-01-09", all, "0"), "staking_position_lock_binds"),
        (end("exited_early", 1, "2021-01-09", all, "0"), "staking_position_exit_is_early"),
        (end("exited_early", 2, "2020-01-09", all, "0"), "staking_position_lock_states"),
        (end("closed", 2, "2020-01-09", less, "0"), "staking_position_is_settled"),
        (end("closed", 2, "2020-01-09", less, "1"), "staking_position_closing_is_free"),
        (end("closed", 2, "2019-12-31", all, "0"), "staking_position_ends_after_opening"),
    ] {
        assert_eq!(refused_by(&mut conn, &sql).await, law, "{sql}");
    }
    for (sql, law) in [
        (
            "update treasury.staking_position set state = 'matured' where id = 2",
            "staking_position_lock_states",
        ),
        ("update treasury.staking_position set state = 'open'", "staking_position_moves_forward"),
        (
            "update treasury.staking_position set state = 'matured', principal = 1 where id = 1",
            "staking_position_is_fixed",
        ),
        (
            "update treasury.staking_position set state = 'closed' where id = 2",
            "staking_position_ended_columns",
        ),
        ("delete from treasury.staking_position", "treasury_immutable"),
        ("update treasury.staking_accrual set amount = 1", "treasury_immutable"),
        ("update treasury.staking_day set paid = 1", "treasury_immutable"),
        ("insert into treasury.staking_accrual values (1, '2020-02-01', 5)", "staking_accrual_day_exists"),
        ("insert into treasury.staking_day values ('2126-01-01', 0, 0, 0, 0)", "staking_day_is_over"),
    ] {
        assert_eq!(refused_by(&mut conn, sql).await, law, "{sql}");
    }
}

async fn refused_by(conn: &mut PgConnection, sql: &str) -> String {
    let error = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await.expect_err(sql);
    error.as_database_error().and_then(|e| e.constraint()).unwrap_or_default().to_owned()
}
