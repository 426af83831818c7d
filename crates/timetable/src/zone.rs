//! Time zones: from readings of the wall clock to instants and back.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike, Utc};
use jiff::{
    Timestamp, civil,
    tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase},
};

use crate::TimetableError;

/// The zones of this build: two schedulers of one release must never disagree about an instant.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone of the IANA database. Instants are whole seconds.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    pub(crate) fn named(name: &str) -> Result<Self, TimetableError> {
        ZONES.get(name).map(Self).map_err(|_| TimetableError::Zone { name: name.to_owned() })
    }

    /// Every name that a zone has.
    pub(crate) fn names() -> Vec<String> {
        ZONES.available().map(|name| name.as_str().to_owned()).collect()
    }

    /// What the wall clock reads at an instant.
    pub(crate) fn reading(&self, at: DateTime<Utc>) -> Option<NaiveDateTime> {
        from_civil(self.0.to_datetime(timestamp(at)?))
    }

    /// The first instant at which the wall clock reads this or, where it never does, the first at which it reads more.
    pub(crate) fn first_instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let reading = to_civil(local)?;
        let offset = match self.0.to_ambiguous_timestamp(reading).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => before,
            AmbiguousOffset::Gap { after, .. } => {
                // with the later offset, the reading is an instant before the gap; the gap's end follows it
                let before_gap = after.to_timestamp(reading).ok()?;
                let ends = self.0.following(before_gap).map(|transition| transition.timestamp());
                let mut past = ends.filter(|end| self.0.to_datetime(*end) > reading);
                return instant(past.next()?);
            }
        };
        instant(offset.to_timestamp(reading).ok()?)
    }

    /// The offset from UTC at an instant, in seconds, and the instant at which it may change next.
    pub(crate) fn stretch(&self, at: DateTime<Utc>) -> Option<Stretch> {
        let at = timestamp(at)?;
        let end = self.0.following(at).next().and_then(|transition| instant(transition.timestamp()));
        Some(Stretch { offset: self.0.to_offset(at), end })
    }
}

/// A time in which the offset from UTC stays the same.
pub(crate) struct Stretch {
    offset: Offset,
    /// Its end, exclusive; nothing where it has none.
    pub end: Option<DateTime<Utc>>,
}

impl Stretch {
    /// The instant at which the wall clock would read this if the stretch had no bounds.
    pub(crate) fn instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        instant(self.offset.to_timestamp(to_civil(local)?).ok()?)
    }
}

fn timestamp(at: DateTime<Utc>) -> Option<Timestamp> {
    Timestamp::from_second(at.timestamp()).ok()
}

fn instant(timestamp: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(timestamp.as_second(), 0)
}

fn to_civil(local: NaiveDateTime) -> Option<civil::DateTime> {
    let small = |number: u32| i8::try_from(number).ok();
    let year = i16::try_from(local.year()).ok()?;
    civil::DateTime::new(
        year,
        small(local.month())?,
        small(local.day())?,
        small(local.hour())?,
        small(local.minute())?,
        small(local.second())?,
        0,
    )
    .ok()
}

fn from_civil(reading: civil::DateTime) -> Option<NaiveDateTime> {
    let large = |number: i8| u32::try_from(number).ok();
    NaiveDate::from_ymd_opt(i32::from(reading.year()), large(reading.month())?, large(reading.day())?)?
        .and_hms_opt(large(reading.hour())?, large(reading.minute())?, large(reading.second())?)
}
