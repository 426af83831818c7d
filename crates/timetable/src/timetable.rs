//! A cron expression in a time zone, and its fires.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::{TimetableError, zone::Zone};

/// When something is due.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    zone: Zone,
    /// Whether it is due in every hour, and so follows elapsed time rather than the wall clock.
    every_hour: bool,
}

/// One time at which something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fire {
    /// The instant, in whole seconds.
    pub at: DateTime<Utc>,
    /// The reading of the wall clock that it stands for; where the clock skipped it, `at` is the end of the gap.
    pub local: NaiveDateTime,
}

/// No longer expression has a meaning.
const EXPRESSION_BYTES_MAX: usize = 200;

/// A leap day that is also a given weekday, and not in a century without one, comes within this.
const YEARS_UNTIL_DUE_MAX: i64 = 60;

/// What each field stands for, and what it takes, in the order of six fields.
const FIELDS: [(&str, &str); 6] = [
    ("second", "write 0 to 59, *, */n, a-b or a list of them"),
    ("minute", "write 0 to 59, *, */n, a-b or a list of them"),
    ("hour", "write 0 to 23, *, */n, a-b or a list of them"),
    ("day of the month", "write 1 to 31, *, */n, a-b, L for the last day, or a list of them"),
    ("month", "write 1 to 12 or JAN to DEC, *, */n, a-b or a list of them"),
    (
        "day of the week",
        "write 0 (Sunday) to 7 or SUN to SAT, *, */n, a-b, MON#1 for the first Monday, or a list",
    ),
];

impl Timetable {
    /// Reads a cron expression of 5 fields, or 6 with seconds, and finds the zone.
    ///
    /// # Errors
    /// [`TimetableError`] says which field or name is wrong.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, TimetableError> {
        let cron = read(expression)?;
        let zone = Zone::named(zone)?;
        let every_hour = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        Ok(Self { cron, zone, every_hour })
    }

    /// Every name that a time zone has.
    pub fn zone_names() -> Vec<String> {
        Zone::names()
    }

    /// The first fire after an instant; nothing at the end of the calendar.
    pub fn after(&self, instant: DateTime<Utc>) -> Option<Fire> {
        let from = instant.with_nanosecond(0)?;
        if self.every_hour { self.by_elapsed_time(from) } else { self.by_wall_clock(from) }
    }

    /// The fire at exactly this instant, where there is one.
    pub fn at(&self, instant: DateTime<Utc>) -> Option<Fire> {
        let before = instant.checked_sub_signed(TimeDelta::seconds(1))?;
        self.after(before).filter(|fire| fire.at == instant)
    }

    /// All fires after an instant, in order.
    pub fn fires_after(&self, instant: DateTime<Utc>) -> impl Iterator<Item = Fire> + '_ {
        std::iter::successors(self.after(instant), |fire| self.after(fire.at))
    }

    /// The fires that stand for these days, the last included, in order.
    pub fn fires_of_days(&self, first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = Fire> + '_ {
        let starts = self.zone.first_instant(first.and_time(NaiveTime::MIN));
        let before = starts.and_then(|starts| starts.checked_sub_signed(TimeDelta::seconds(1)));
        before
            .into_iter()
            .flat_map(|before| self.fires_after(before))
            .skip_while(move |fire| fire.local.date() < first)
            .take_while(move |fire| fire.local.date() <= last)
    }

    /// The last `count` fires after `after` and not after `until`, in order.
    ///
    /// Takes as long as `count` fires take, however many there were before them.
    pub fn last_fires(&self, after: DateTime<Utc>, until: DateTime<Utc>, count: usize) -> Vec<Fire> {
        let mut window = TimeDelta::hours(1);
        loop {
            let start = until.checked_sub_signed(window).map_or(after, |start| start.max(after));
            let mut fires: Vec<Fire> = self.fires_after(start).take_while(|fire| fire.at <= until).collect();
            if fires.len() >= count || start == after {
                return fires.split_off(fires.len().saturating_sub(count));
            }
            window = window * 4;
        }
    }

    /// By the wall clock: each reading once, at its first instant or at the end of the gap that swallowed it.
    fn by_wall_clock(&self, from: DateTime<Utc>) -> Option<Fire> {
        let mut local = self.zone.reading(from)?;
        loop {
            local = self.due(local, false)?;
            let at = self.zone.first_instant(local)?;
            // readings of a second pass were due in the first
            if at > from {
                return Some(Fire { at, local });
            }
        }
    }

    /// By elapsed time: every instant whose reading matches.
    fn by_elapsed_time(&self, from: DateTime<Utc>) -> Option<Fire> {
        let (mut start, mut inclusive) = (from, false);
        loop {
            let stretch = self.zone.stretch(start)?;
            let local = self.due(self.zone.reading(start)?, inclusive)?;
            let at = stretch.instant(local)?;
            match stretch.end {
                Some(end) if at >= end => (start, inclusive) = (end, true),
                _ => return Some(Fire { at, local }),
            }
        }
    }

    /// The next reading of a clock without zone that matches.
    fn due(&self, local: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&local, inclusive).ok()
    }
}

fn read(expression: &str) -> Result<Cron, TimetableError> {
    let whole = || TimetableError::Expression { expression: expression.chars().take(60).collect() };
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(whole());
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    if !expression.trim_start().starts_with('@') {
        let fields = fields(expression);
        if !matches!(fields.len(), 5 | 6) {
            return Err(TimetableError::Fields { found: fields.len() });
        }
        let without_seconds = 6 - fields.len();
        for (place, range) in fields.iter().enumerate() {
            let field = expression.get(range.clone()).unwrap_or_default();
            let (noun, help) = FIELDS[place + without_seconds];
            // alone among stars, a field that is wrong is the only one that can be
            let mut alone = ["*"; 6];
            alone[place + without_seconds] = field;
            if field.contains('@') || parser.parse(&alone.join(" ")).is_err() {
                let field = field.to_owned();
                return Err(TimetableError::Field { field, noun, range: range.clone(), help });
            }
        }
    }
    let cron = parser.parse(expression).map_err(|_| whole())?;
    let some_day = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default().and_time(NaiveTime::MIN);
    let due = cron.find_next_occurrence(&some_day, true).ok();
    if due.is_none_or(|due| due - some_day > TimeDelta::days(366 * YEARS_UNTIL_DUE_MAX)) {
        return Err(TimetableError::Never { expression: expression.to_owned() });
    }
    Ok(cron)
}

/// Where the fields of an expression are.
fn fields(expression: &str) -> Vec<Range<usize>> {
    let mut fields = Vec::new();
    let mut start = None;
    for (at, character) in expression.char_indices().chain([(expression.len(), ' ')]) {
        match (character.is_whitespace(), start) {
            (false, None) => start = Some(at),
            (true, Some(begun)) => {
                fields.push(begun..at);
                start = None;
            }
            _ => {}
        }
    }
    fields
}
