use proptest::prelude::*;
use sqlx::{AssertSqlSafe, PgConnection};
use tale_ledger::{AccountKey, AccountKind, BalanceFilter, balance, balances, list_journals, verify};
use tale_primitives::{Amount, Digest, UtcDay};
use tale_testkit::TestDatabase;
use tale_treasury::{
    Calendar, MonthlyParts, Part, Ruleset, Terms, TreasuryError, VestingError, VestingRules, parts,
    post_due_releases, set_token_start, token_start, vesting_status,
};

use crate::amount;

fn day(text: &str) -> UtcDay {
    text.parse().unwrap()
}

fn rules() -> VestingRules {
    VestingRules::load(VestingRules::CURRENT_VERSION).unwrap()
}

fn schedule(pool: &str, start: &str) -> Vec<Part> {
    let rules = rules();
    let releases = rules.schedule(rules.pool(pool).unwrap(), day(start)).unwrap();
    releases.into_iter().map(|release| release.part).collect()
}

#[test]
fn the_bytes_of_the_vesting_table_never_change() {
    assert_eq!(
        Digest::of(include_bytes!("../../rulesets/2/vesting.json")).to_string(),
        "ccaf005c3ec5298757d5c7d6e524b2b41a8226a4d863f8b05da3669dfa2a9244"
    );
    assert!(matches!(VestingRules::load(1), Err(TreasuryError::UnknownRuleset(1))));
    let unknown = rules().pool("founder").unwrap_err();
    assert!(matches!(unknown, TreasuryError::Vesting(VestingError::UnknownPool(_))), "{unknown}");
}

#[test]
fn the_nine_pools_divide_the_supply_and_unlock_what_was_published() {
    let rules = rules();
    assert_eq!(rules.pools.len(), 9);
    let sum = |part: &dyn Fn(&Terms) -> Amount| {
        Amount::checked_sum(rules.pools.iter().map(|pool| part(&rules.terms(pool)))).unwrap()
    };
    assert_eq!(sum(&|terms| terms.allocation), rules.supply);
    assert_eq!(sum(&|terms| terms.unlocked), amount("51200000000000000000000000"));

    let released = rules.pools.iter().flat_map(|pool| rules.schedule(pool, day("2026-01-31")).unwrap());
    assert_eq!(Amount::checked_sum(released.map(|release| release.part.amount)), Some(rules.supply));
}

#[test]
fn settlement_emits_what_vesting_leaves_of_the_generator_pool_and_nothing_else() {
    let rules = rules();
    for pool in &rules.pools {
        let by_settlement = pool.monthly_parts == MonthlyParts::EmittedBySettlement;
        assert_eq!(by_settlement, pool.name.as_str() == "generator");
    }
    let terms = rules.terms(rules.pool("generator").unwrap());
    let rewards = Ruleset::load(Ruleset::CURRENT_VERSION).unwrap();
    assert_eq!(terms.allocation.checked_sub(terms.unlocked), Some(rewards.emission_total().unwrap()));
    assert_eq!((terms.months, rules.decimals), (rewards.generator_pool.months, rewards.decimals));
    assert_eq!(rules.calendar, Calendar::ThirtyDays);
    assert_eq!(rewards.generator_pool.days_per_month, 30);
}

#[test]
fn a_cliff_ends_without_a_release_and_the_first_part_follows_a_month_later() {
    let investor = schedule("investor", "2026-01-01");
    assert_eq!(investor.len(), 11);
    assert_eq!((investor[0].number, investor[0].day), (0, day("2026-01-01")));
    assert_eq!(investor[0].amount, amount("6100000000000000000000000"));
    // five months of 30 days are over on 31 May, and the first part comes with the sixth
    assert_eq!((investor[1].number, investor[1].day), (1, day("2026-06-30")));
    assert_eq!(investor[1].amount, amount("5890000000000000000000000"));
    assert_eq!(investor[10].day, day("2027-03-27"));

    let foundation = schedule("foundation", "2026-01-01");
    assert_eq!((foundation.len(), foundation[0].number), (48, 1));
    assert_eq!(foundation[0].day, day("2027-01-26"));
    assert_eq!(schedule("liquidity", "2026-01-01").len(), 1);
}

#[test]
fn a_month_that_is_too_short_ends_on_its_last_day_and_pulls_nothing_forward() {
    let terms = Terms { allocation: Amount::from(7u64), unlocked: Amount::ZERO, cliff_months: 0, months: 3 };
    let days = |calendar, start: &str| -> Vec<(String, String)> {
        let parts = parts(&terms, calendar, day(start)).unwrap();
        parts.into_iter().map(|part| (part.day.to_string(), part.amount.to_string())).collect()
    };
    let owned = |list: [(&str, &str); 3]| list.map(|(day, amount)| (day.to_owned(), amount.to_owned()));
    let by_month = owned([("2026-02-28", "2"), ("2026-03-31", "2"), ("2026-04-30", "3")]);
    assert_eq!(days(Calendar::Months, "2026-01-31"), by_month);
    let leap = owned([("2028-02-29", "2"), ("2028-03-30", "2"), ("2028-04-30", "3")]);
    assert_eq!(days(Calendar::Months, "2028-01-30"), leap);
    let by_days = owned([("2026-03-02", "2"), ("2026-04-01", "2"), ("2026-05-01", "3")]);
    assert_eq!(days(Calendar::ThirtyDays, "2026-01-31"), by_days);
}

#[test]
fn a_part_beyond_the_calendar_is_refused() {
    let terms = Terms { allocation: Amount::MAX, unlocked: Amount::ZERO, cliff_months: u32::MAX, months: 2 };
    for calendar in [Calendar::Months, Calendar::ThirtyDays] {
        let refused = parts(&terms, calendar, day("2026-01-01"));
        assert!(matches!(refused, Err(VestingError::BeyondCalendar { .. })), "{refused:?}");
    }
}

fn terms() -> impl Strategy<Value = Terms> {
    let units = prop_oneof![0..50u128, 0..=1u128 << 100, Just(u128::MAX)];
    (units, 0..=1000u32, 0..40u32, 0..100u32, any::<bool>()).prop_map(
        |(units, unlocked_ppm, cliff_months, months, is_huge)| {
            let allocation = if is_huge { Amount::MAX } else { Amount::from(units) };
            let thousandth = allocation.to_u256() / Amount::from(1000u64).to_u256();
            let part = Amount::from_u256(thousandth * Amount::from(u64::from(unlocked_ppm)).to_u256());
            let unlocked = if months == 0 { allocation } else { part };
            Terms { allocation, unlocked, cliff_months, months }
        },
    )
}

fn start() -> impl Strategy<Value = UtcDay> {
    (2000..2100i32, 1..=366u32).prop_map(|(year, ordinal)| {
        let date = chrono::NaiveDate::from_yo_opt(year, ordinal);
        UtcDay::from_date(date.unwrap_or(chrono::NaiveDate::from_yo_opt(year, 59).unwrap()))
    })
}

fn calendar() -> impl Strategy<Value = Calendar> {
    prop_oneof![Just(Calendar::Months), Just(Calendar::ThirtyDays)]
}

proptest! {
    #[test]
    fn the_parts_add_up_to_the_allocation_to_the_unit(
        terms in terms(), calendar in calendar(), start in start(),
    ) {
        let parts = parts(&terms, calendar, start).unwrap();
        let sum = Amount::checked_sum(parts.iter().map(|part| part.amount));
        prop_assert_eq!(sum, Some(terms.allocation));
    }

    #[test]
    fn releases_only_grow_and_never_pass_the_allocation(
        terms in terms(), calendar in calendar(), start in start(),
    ) {
        let parts = parts(&terms, calendar, start).unwrap();
        let mut sum = Amount::ZERO;
        for part in &parts {
            prop_assert!(!part.amount.is_zero());
            sum = sum.checked_add(part.amount).unwrap();
            prop_assert_eq!(part.cumulative, sum);
            prop_assert!(sum <= terms.allocation);
        }
        for pair in parts.windows(2) {
            prop_assert!(pair[0].day < pair[1].day && pair[0].number < pair[1].number);
        }
    }

    #[test]
    fn monthly_parts_differ_by_one_unit_at_most(
        terms in terms(), calendar in calendar(), start in start(),
    ) {
        let parts = parts(&terms, calendar, start).unwrap();
        let monthly: Vec<Amount> = parts.iter().filter(|part| part.number > 0).map(|part| part.amount).collect();
        // a part of nothing is left out, and then every other is one unit
        if let (Some(low), Some(high)) = (monthly.iter().min(), monthly.iter().max()) {
            prop_assert!(high.checked_sub(*low).unwrap() <= Amount::from(1u64));
        }
    }
}

async fn started(start: &str) -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    set_token_start(&mut conn, day(start)).await.unwrap();
    (database, conn)
}

async fn released(conn: &mut PgConnection) -> Amount {
    let filter = BalanceFilter { kind: Some(AccountKind::Issuance), asset: Some("TALE".parse().unwrap()) };
    let balances = balances(conn, &filter).await.unwrap();
    Amount::checked_sum(balances.into_iter().map(|balance| balance.amount())).unwrap()
}

#[tokio::test]
async fn nothing_is_released_before_the_start_is_set_and_it_is_set_once() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let vested = post_due_releases(&mut conn, day("2026-01-01")).await.unwrap();
    assert_eq!((vested.start, vested.posted.len()), (None, 0));
    assert_eq!(vesting_status(&mut conn, day("2026-01-01")).await.unwrap(), None);

    assert!(set_token_start(&mut conn, day("2026-01-01")).await.unwrap().changed);
    assert!(!set_token_start(&mut conn, day("2026-01-01")).await.unwrap().changed);
    let moved = set_token_start(&mut conn, day("2026-01-02")).await;
    assert!(matches!(moved, Err(TreasuryError::TokenStarted { .. })), "{moved:?}");
    assert_eq!(token_start(&mut conn).await.unwrap(), Some(day("2026-01-01")));
    let early = post_due_releases(&mut conn, day("2025-12-31")).await.unwrap();
    assert_eq!(early.posted.len(), 0);
}

#[tokio::test]
async fn the_start_unlocks_the_circulating_supply_and_a_repetition_nothing() {
    let (_database, mut conn) = started("2026-01-01").await;
    let vested = post_due_releases(&mut conn, day("2026-01-01")).await.unwrap();
    // every pool but foundation, advisor and reserve
    assert_eq!(vested.posted.len(), 6);
    assert_eq!(released(&mut conn).await, amount("51200000000000000000000000"));
    let again = post_due_releases(&mut conn, day("2026-01-30")).await.unwrap();
    assert_eq!(again.posted, []);
    let treasury: AccountKey = "treasury:generator:TALE".parse().unwrap();
    let held = balance(&mut conn, &treasury).await.unwrap().amount();
    assert_eq!(held, amount("8200000000000000000000000"));
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn nights_that_were_missed_are_caught_up_with_and_leave_the_same_ledger() {
    let (_first, mut nightly) = started("2022-01-01").await;
    let mut night = day("2022-01-01");
    let last = day("2022-09-01");
    while night <= last {
        post_due_releases(&mut nightly, night).await.unwrap();
        night = night.next().unwrap();
    }
    let (_second, mut late) = started("2022-01-01").await;
    post_due_releases(&mut late, last).await.unwrap();

    let everything = BalanceFilter::default();
    assert_eq!(
        balances(&mut nightly, &everything).await.unwrap(),
        balances(&mut late, &everything).await.unwrap()
    );
    let keys = |journals: Vec<tale_ledger::JournalSummary>| {
        let mut keys: Vec<_> =
            journals.into_iter().map(|journal| (journal.key, journal.content_digest)).collect();
        keys.sort();
        keys
    };
    let (left, right) = (list_journals(&mut nightly).await.unwrap(), list_journals(&mut late).await.unwrap());
    assert_eq!(keys(left), keys(right));
}

#[tokio::test]
async fn after_the_last_month_everything_but_the_emission_is_released() {
    let (_database, mut conn) = started("2021-01-31").await;
    post_due_releases(&mut conn, day("2026-01-30")).await.unwrap();
    let status = vesting_status(&mut conn, day("2026-01-30")).await.unwrap().unwrap();
    let emission = Ruleset::load(Ruleset::CURRENT_VERSION).unwrap().emission_total().unwrap();
    for pool in &status.pools {
        assert_eq!(pool.due, pool.allocation, "{}", pool.pool);
        assert_eq!((pool.waiting, &pool.next), (0, &None), "{}", pool.pool);
        let left = pool.allocation.checked_sub(pool.posted).unwrap();
        assert_eq!(left, if pool.pool.as_str() == "generator" { emission } else { Amount::ZERO });
    }
    assert_eq!(released(&mut conn).await.checked_add(emission), Some(rules().supply));
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn two_nights_at_once_post_each_release_once() {
    let (database, mut conn) = started("2026-01-01").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let pool = database.pool().clone();
        tasks.push(tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            post_due_releases(&mut conn, "2026-03-15".parse().unwrap()).await.unwrap().posted.len()
        }));
    }
    let mut posted = 0;
    for task in tasks {
        posted += task.await.unwrap();
    }
    assert_eq!(posted, list_journals(&mut conn).await.unwrap().len());
    assert_eq!(posted, 10);
}

#[tokio::test]
async fn a_night_that_dies_is_posted_by_the_next() {
    use sqlx::Connection;
    let (_database, mut conn) = started("2026-01-01").await;
    let mut transaction = conn.begin().await.unwrap();
    post_due_releases(&mut transaction, day("2026-01-01")).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(released(&mut conn).await, Amount::ZERO);
    assert_eq!(vesting_status(&mut conn, day("2026-01-01")).await.unwrap().unwrap().pools[0].waiting, 1);
    assert_eq!(post_due_releases(&mut conn, day("2026-01-01")).await.unwrap().posted.len(), 6);
}

#[tokio::test]
async fn a_day_to_come_is_refused_and_so_is_a_rewritten_release() {
    let (_database, mut conn) = started("2026-01-01").await;
    let refused = post_due_releases(&mut conn, day("2126-01-01")).await;
    assert!(matches!(refused, Err(TreasuryError::FutureDay { .. })), "{refused:?}");
    post_due_releases(&mut conn, day("2026-01-01")).await.unwrap();
    for (sql, law) in [
        ("update treasury.token_start set day = '2025-01-01'", "treasury_immutable"),
        ("delete from treasury.token_start", "treasury_immutable"),
        ("delete from treasury.vesting_release", "treasury_immutable"),
        ("update treasury.vesting_release set amount = 1", "treasury_immutable"),
        ("insert into treasury.token_start values (false, '2025-01-01')", "token_start_is_only_row"),
        (
            "insert into treasury.vesting_release values ('investor', 1, 2, '2126-01-01', 1, 99)",
            "vesting_release_was_due",
        ),
    ] {
        let error = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect_err(sql);
        assert_eq!(error.as_database_error().and_then(|e| e.constraint()), Some(law), "{sql}");
    }
}

#[tokio::test]
async fn a_release_that_was_recorded_as_another_is_told_and_not_posted_again() {
    let (_database, mut conn) = started("2026-01-01").await;
    let other = "insert into treasury.vesting_release values ('liquidity', 0, 2, '2026-01-01', 1, 99)";
    sqlx::raw_sql(other).execute(&mut conn).await.unwrap();
    let refused = post_due_releases(&mut conn, day("2026-01-01")).await;
    assert!(
        matches!(refused, Err(TreasuryError::Vesting(VestingError::OtherRelease { number: 0, .. }))),
        "{refused:?}"
    );
    assert_eq!(released(&mut conn).await, Amount::ZERO);
}
