//! What happens when clocks change, by example; and what is refused.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use tale_timetable::{Timetable, TimetableError};

/// The fires after an instant, as `instant for reading`.
fn fires(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let timetable = Timetable::parse(expression, zone).unwrap();
    let fires = timetable.fires_after(after.parse().unwrap()).take(count);
    fires
        .map(|fire| format!("{} for {}", fire.at.format("%dT%H:%MZ"), fire.local.format("%dT%H:%M")))
        .collect()
}

#[test]
fn a_time_in_a_gap_fires_at_the_first_instant_after_it() {
    let spring = fires("30 2 * * *", "Europe/Berlin", "2024-03-30T00:00:00Z", 3);
    assert_eq!(spring, ["30T01:30Z for 30T02:30", "31T01:00Z for 31T02:30", "01T00:30Z for 01T02:30"]);
    // several times of one gap are one fire
    let often = fires("*/20 2 * * *", "Europe/Berlin", "2024-03-31T00:00:00Z", 2);
    assert_eq!(often, ["31T01:00Z for 31T02:00", "01T00:00Z for 01T02:00"]);
    // half an hour is a gap too
    let half = fires("15 2 * * *", "Australia/Lord_Howe", "2024-10-05T00:00:00Z", 1);
    assert_eq!(half, ["05T15:30Z for 06T02:15"]);
}

#[test]
fn a_time_in_an_overlap_fires_once_in_the_first_pass() {
    let autumn = fires("30 2 * * *", "Europe/Berlin", "2024-10-26T00:00:00Z", 3);
    assert_eq!(autumn, ["26T00:30Z for 26T02:30", "27T00:30Z for 27T02:30", "28T01:30Z for 28T02:30"]);
    // also when the search starts in the second pass
    let from_second = fires("30 2 * * *", "Europe/Berlin", "2024-10-27T01:10:00Z", 1);
    assert_eq!(from_second, ["28T01:30Z for 28T02:30"]);
}

#[test]
fn every_ten_minutes_stays_every_ten_minutes_through_gap_and_overlap() {
    for start in ["2024-03-31T00:00:00Z", "2024-10-27T00:00:00Z"] {
        let timetable = Timetable::parse("*/10 * * * *", "Europe/Berlin").unwrap();
        let fires: Vec<_> = timetable.fires_after(start.parse().unwrap()).take(30).collect();
        assert!(fires.windows(2).all(|pair| (pair[1].at - pair[0].at).num_minutes() == 10), "{fires:#?}");
    }
}

#[test]
fn a_fire_of_the_day_that_a_zone_skipped_still_belongs_to_that_day() {
    let samoa = fires("0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3);
    assert_eq!(samoa, ["29T19:00Z for 29T09:00", "30T10:00Z for 30T09:00", "30T19:00Z for 31T09:00"]);
    let nuuk = fires("30 23 * * *", "America/Nuuk", "2024-03-30T12:00:00Z", 1);
    assert_eq!(nuuk, ["31T01:00Z for 30T23:30"]);
}

#[test]
fn seconds_are_optional_and_come_first() {
    let timetable = Timetable::parse("*/15 * * * * *", "UTC").unwrap();
    let fires = timetable.fires_after("2026-11-23T00:00:00.5Z".parse().unwrap()).take(3);
    let seconds: Vec<_> = fires.map(|fire| fire.at.format("%T").to_string()).collect();
    assert_eq!(seconds, ["00:00:15", "00:00:30", "00:00:45"]);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let wrong = |expression: &str| Timetable::parse(expression, "UTC").unwrap_err();
    for (expression, noun, range) in [
        ("61 * * * *", "minute", 0..2),
        ("0  24 * * *", "hour", 3..5),
        ("0 0 32 * *", "day of the month", 4..6),
        ("0 0 1 foo *", "month", 6..9),
        ("0 0 * * 8", "day of the week", 8..9),
        ("60 0 0 * * *", "second", 0..2),
        ("0 0 * * @daily", "day of the week", 8..14),
    ] {
        match wrong(expression) {
            TimetableError::Field { noun: found, range: place, .. } => {
                assert_eq!((found, place), (noun, range))
            }
            other => panic!("{expression}: {other}"),
        }
    }
    assert_eq!(wrong(""), TimetableError::Fields { found: 0 });
    assert_eq!(wrong("* * * *"), TimetableError::Fields { found: 4 });
    assert_eq!(wrong("0 0 1 1 * 0 2030"), TimetableError::Fields { found: 7 });
    assert!(matches!(wrong("0 0 30 2 *"), TimetableError::Never { .. }));
    assert!(matches!(wrong("@fortnightly"), TimetableError::Expression { .. }));
    assert!(matches!(wrong(&"1,".repeat(4000)), TimetableError::Expression { .. }));
    let zone = Timetable::parse("* * * * *", "Europe/Atlantis").unwrap_err();
    assert_eq!(zone, TimetableError::Zone { name: "Europe/Atlantis".to_owned() });
    // a leap day that is a Monday is rare, and comes
    assert!(Timetable::parse("0 0 29 2 *", "UTC").is_ok());
    assert!(Timetable::parse("@daily", "UTC").is_ok());
}

#[test]
fn no_text_makes_it_panic() {
    for text in [
        "* * * * é",
        "\u{0} * * * *",
        "*/0 * * * *",
        "*/-1 * * * *",
        "1-0 * * * *",
        ", , , , ,",
        "L L L L L",
        "W * * * *",
        "5#9 * * * 1#9",
        "@",
        "@@@",
        "* * 99999999999 * *",
        "?? ? ? ? ?",
    ] {
        if let Ok(timetable) = Timetable::parse(text, "Europe/Berlin") {
            let _ = timetable.after(chrono::DateTime::<chrono::Utc>::MAX_UTC);
            let _ = timetable.after(chrono::DateTime::<chrono::Utc>::MIN_UTC);
            let _ = timetable.after("2026-01-01T00:00:00Z".parse().unwrap());
        }
    }
}
