//! The laws of timetables, over random expressions, zones and times.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;
use tale_timetable::{Fire, Timetable};

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Zones with odd transitions: half-hour summer time, gaps at midnight, skipped and doubled days, double summer time.
const ODD: [&str; 16] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Africa/Cairo",
    "America/Nuuk",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "Asia/Tehran",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "America/Havana",
    "Asia/Kathmandu",
    "America/St_Johns",
];

fn zone() -> impl Strategy<Value = String> {
    let all = Timetable::zone_names();
    prop_oneof![proptest::sample::select(&ODD[..]).prop_map(str::to_owned), proptest::sample::select(all)]
}

fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        3 => (min..=max).prop_map(|value| value.to_string()),
        1 => (2..=max / 2).prop_map(|step| format!("*/{step}")),
        1 => (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => proptest::collection::vec(min..=max, 2..4)
            .prop_map(|values| values.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
    ]
}

/// Expressions that are due within days.
fn expression() -> impl Strategy<Value = String> {
    let day =
        prop_oneof![4 => Just("* * *"), 1 => Just("1-25/3 * *"), 1 => Just("* * 1-5"), 1 => Just("L * 0")];
    let second =
        prop_oneof![3 => Just(String::new()), 1 => (0..60_u32).prop_map(|second| format!("{second} "))];
    (second, field(0, 59), field(0, 23), day)
        .prop_map(|(second, minute, hour, day)| format!("{second}{minute} {hour} {day}"))
}

/// Between 1990 and 2040.
fn time() -> impl Strategy<Value = DateTime<Utc>> {
    (631_152_000_i64..2_208_988_800).prop_map(|second| DateTime::from_timestamp(second, 0).unwrap())
}

/// Just before one of the transitions of the odd zones, and sometimes anywhere.
fn odd_time() -> impl Strategy<Value = DateTime<Utc>> {
    const TRANSITIONS: [&str; 11] = [
        "2024-03-31T01:00:00Z",
        "2024-10-27T01:00:00Z",
        "2024-03-10T07:00:00Z",
        "2024-11-03T06:00:00Z",
        "2024-04-06T15:00:00Z",
        "2024-10-05T15:30:00Z",
        "2011-12-30T10:00:00Z",
        "2018-11-04T03:00:00Z",
        "2024-03-31T00:00:00Z",
        "2024-04-25T22:00:00Z",
        "1993-08-21T12:00:00Z",
    ];
    let near = (proptest::sample::select(&TRANSITIONS[..]), -200_000_i64..100_000)
        .prop_map(|(transition, seconds)| instant(transition) + TimeDelta::seconds(seconds));
    prop_oneof![2 => near, 1 => time()]
}

fn fires(timetable: &Timetable, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Fire> {
    timetable.fires_after(from).take_while(|fire| fire.at <= until).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn fires_strictly_increase_and_a_search_from_between_two_finds_the_later(
        expression in expression(), zone in zone(), from in odd_time(), share in 0.0..1.0_f64,
    ) {
        let timetable = Timetable::parse(&expression, &zone).unwrap();
        let found = fires(&timetable, from, from + TimeDelta::days(4));
        let mut last = from;
        for fire in found {
            prop_assert!(fire.at > last, "{expression} in {zone}: {} after {last}", fire.at);
            let between = last + TimeDelta::seconds(((fire.at - last).num_seconds() as f64 * share) as i64);
            prop_assert_eq!(timetable.after(between.min(fire.at - TimeDelta::seconds(1))), Some(fire));
            prop_assert_eq!(timetable.at(fire.at), Some(fire));
            last = fire.at;
        }
    }

    #[test]
    fn the_last_fires_are_the_end_of_all_fires(
        expression in expression(), zone in zone(), from in odd_time(), hours in 1..300_i64, count in 0..40_usize,
    ) {
        let timetable = Timetable::parse(&expression, &zone).unwrap();
        let until = from + TimeDelta::hours(hours);
        let all = fires(&timetable, from, until);
        let expected = &all[all.len().saturating_sub(count)..];
        prop_assert_eq!(timetable.last_fires(from, until, count), expected);
    }

    #[test]
    fn a_daily_timetable_fires_exactly_once_for_each_day_over_years(
        minute in 0..60_u32, hour in 0..24_u32, zone in zone(), from in time(),
    ) {
        let timetable = Timetable::parse(&format!("{minute} {hour} * * *"), &zone).unwrap();
        let first = from.date_naive();
        let last = first + TimeDelta::days(3 * 366);
        let mut day = first;
        let mut at = DateTime::<Utc>::MIN_UTC;
        for fire in timetable.fires_of_days(first, last) {
            prop_assert_eq!(fire.local.date(), day, "{}:{} in {}", hour, minute, &zone);
            prop_assert!(fire.at > at);
            (day, at) = (day.succ_opt().unwrap(), fire.at);
        }
        prop_assert_eq!(day, last.succ_opt().unwrap());
    }

    #[test]
    fn a_timetable_of_some_hours_meets_each_reading_once_and_one_of_all_hours_each_instant(
        minutes in field(0, 59), hours in field(0, 23), zone in proptest::sample::select(&ODD[..]), from in odd_time(),
    ) {
        let timetable = Timetable::parse(&format!("{minutes} {hours} * * *"), zone).unwrap();
        let until = from + TimeDelta::days(2);
        let found: Vec<_> = fires(&timetable, from, until).into_iter().map(|fire| fire.at).collect();
        prop_assert_eq!(found, expected(&minutes, &hours, zone, from, until), "{} {} in {}", minutes, hours, zone);
    }
}

/// The fires as a person with a clock, a calendar and much time would find them: minute by minute.
fn expected(
    minutes: &str,
    hours: &str,
    zone: &str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap();
    let reading = |at: DateTime<Utc>| {
        let local = zone.to_datetime(jiff::Timestamp::from_second(at.timestamp()).unwrap());
        NaiveDate::from_ymd_opt(local.year().into(), local.month() as u32, local.day() as u32)
            .unwrap()
            .and_hms_opt(local.hour() as u32, local.minute() as u32, local.second() as u32)
            .unwrap()
    };
    let matches = |local: chrono::NaiveDateTime| {
        use chrono::Timelike;
        local.second() == 0 && fits(minutes, local.minute()) && fits(hours, local.hour())
    };
    let minute = TimeDelta::minutes(1);
    let start = DateTime::from_timestamp(from.timestamp() / 60 * 60, 0).unwrap() - TimeDelta::days(2);
    if (0..24).all(|hour| fits(hours, hour)) {
        let all = std::iter::successors(Some(start), |at| Some(*at + minute)).take_while(|at| *at <= until);
        return all.filter(|at| *at > from && matches(reading(*at))).collect();
    }
    // the first instant at which each reading is reached or passed
    let mut first: BTreeMap<_, DateTime<Utc>> = BTreeMap::new();
    let mut highest = reading(start);
    let mut at = start;
    while at <= until {
        let now = reading(at);
        while highest < now {
            highest += minute;
            if matches(highest) {
                first.insert(highest, at);
            }
        }
        at += minute;
    }
    let mut all: Vec<_> = first.into_values().filter(|at| *at > from).collect();
    all.dedup();
    all
}

/// Whether a number fits a field of the few sorts that [`field`] makes.
fn fits(field: &str, number: u32) -> bool {
    let value = |text: &str| text.parse::<u32>().unwrap();
    match field.split_once(['-', '/']) {
        None if field == "*" => true,
        None => field.split(',').any(|part| value(part) == number),
        Some(("*", step)) => number.is_multiple_of(value(step)),
        Some((low, high)) => (value(low)..=value(high)).contains(&number),
    }
}
