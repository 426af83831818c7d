//! Which of the fires that are due start a run: a pure decision.

use chrono::{DateTime, TimeDelta, Utc};
use tale_pipeline::Missed;
use tale_timetable::{Fire, Timetable};

/// A fire that is started within this of its time was not missed: a scheduler restarts, a database fails over.
pub(crate) const ON_TIME: TimeDelta = TimeDelta::seconds(60);

/// What to do with a schedule that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// The fire whose run starts now.
    pub start: Option<Fire>,
    /// When to look again: another fire that is due already, or the next to come.
    pub next: Option<DateTime<Utc>>,
}

/// Decides on the fires from `next_fire` to `now`.
///
/// Those on time all run. Of those that were missed, `missed` says which do; asking again after each start gives the
/// rest of them.
pub(crate) fn decide(
    timetable: &Timetable,
    missed: Missed,
    next_fire: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Due {
    let before = next_fire - TimeDelta::seconds(1);
    let late = (now - ON_TIME).max(before);
    let mut on_time = timetable.fires_after(late).take_while(|fire| fire.at <= now);
    let first_on_time = on_time.next();
    let kept = match missed {
        Missed::Skip => vec![],
        Missed::Latest if first_on_time.is_some() => vec![],
        Missed::Latest => timetable.last_fires(before, late, 1),
        Missed::All(count) => {
            timetable.last_fires(before, late, usize::try_from(count).unwrap_or(usize::MAX))
        }
    };
    let mut fires = kept.into_iter().chain(first_on_time).chain(on_time);
    let start = fires.next();
    let next = fires.next().map(|fire| fire.at);
    Due { start, next: next.or_else(|| timetable.after(now).map(|fire| fire.at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Every start until the schedule waits for the future, at `now`.
    fn starts(cron: &str, missed: Missed, next_fire: &str, now: &str) -> Vec<String> {
        let timetable = Timetable::parse(cron, "UTC").unwrap();
        let (mut next, now) = (Some(instant(next_fire)), instant(now));
        let mut started = vec![];
        while let Some(at) = next.filter(|at| *at <= now) {
            let due = decide(&timetable, missed, at, now);
            started.extend(due.start.map(|fire| fire.at.format("%dT%H:%M:%S").to_string()));
            assert!(due.next > Some(at), "it goes on");
            next = due.next;
        }
        assert_eq!(next, timetable.after(now).map(|fire| fire.at), "nothing after {now} is left out");
        started
    }

    #[test]
    fn a_fire_on_time_runs_whatever_the_policy() {
        for missed in [Missed::Skip, Missed::Latest, Missed::All(1)] {
            let started = starts("0 * * * *", missed, "2026-11-23T10:00:00Z", "2026-11-23T10:00:00.1Z");
            assert_eq!(started, ["23T10:00:00"]);
            let late = starts("0 * * * *", missed, "2026-11-23T10:00:00Z", "2026-11-23T10:00:59Z");
            assert_eq!(late, ["23T10:00:00"]);
        }
    }

    #[test]
    fn a_scheduler_that_lags_by_seconds_leaves_out_no_fire_of_each_second() {
        for missed in [Missed::Skip, Missed::Latest, Missed::All(1)] {
            let started = starts("* * * * * *", missed, "2026-11-23T10:00:00Z", "2026-11-23T10:00:03.5Z");
            assert_eq!(started, ["23T10:00:00", "23T10:00:01", "23T10:00:02", "23T10:00:03"]);
        }
    }

    #[test]
    fn after_an_outage_the_policy_says_what_runs() {
        let (down, up) = ("2026-11-20T00:10:00Z", "2026-11-23T08:00:00Z");
        let all = ["20T00:10:00", "21T00:10:00", "22T00:10:00", "23T00:10:00"];
        for (missed, expected) in [
            (Missed::Skip, &all[4..]),
            (Missed::Latest, &all[3..]),
            (Missed::All(2), &all[2..]),
            (Missed::All(3), &all[1..]),
            (Missed::All(24), &all[..]),
        ] {
            assert_eq!(starts("10 0 * * *", missed, down, up), expected, "{missed:?}");
        }
    }

    #[test]
    fn what_is_on_time_after_an_outage_runs_beside_what_was_missed() {
        let (down, up) = ("2026-11-23T05:00:00Z", "2026-11-23T08:00:10Z");
        for (missed, expected) in [
            (Missed::Skip, &["23T08:00:00"][..]),
            (Missed::Latest, &["23T08:00:00"]),
            (Missed::All(2), &["23T06:00:00", "23T07:00:00", "23T08:00:00"]),
        ] {
            assert_eq!(starts("0 * * * *", missed, down, up), expected, "{missed:?}");
        }
    }

    #[test]
    fn years_of_missed_seconds_are_passed_over_quickly() {
        let started = starts("* * * * * *", Missed::All(5), "2016-11-23T08:00:00Z", "2026-11-23T08:00:00Z");
        assert_eq!(started.len(), 65);
    }
}
