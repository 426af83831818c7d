//! The top-level key `schedule`: when runs start by themselves, and what each is about.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tale_primitives::UtcDay;
use tale_timetable::{Fire, Timetable, TimetableError};

use crate::{
    PipelineError, params,
    reader::{Reader, find},
    spec::ParamSpec,
    suggest, template,
    yaml::{Entry, Node, Yaml, to_json_map},
};

/// The zone of a schedule that names none.
const DEFAULT_ZONE: &str = "UTC";

/// No more missed fires than this are made up for.
const MISSED_MAX: u64 = 10_000;

const SCHEDULE_KEYS: [&str; 5] = ["cron", "timezone", "date", "missed", "params"];

/// When a pipeline's runs start by themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// The cron expression, of 5 fields or 6 with seconds.
    pub cron: String,
    /// The IANA name of the zone whose wall clock the expression reads.
    pub timezone: String,
    /// The day that a fire's run is about.
    pub date: FireDate,
    /// What becomes of fires that nobody was there to start.
    pub missed: Missed,
    /// The params of the runs; the pipeline's defaults fill the rest.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
}

/// The day that a fire's run is about: `run.date`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FireDate {
    /// The fire's own day, in the schedule's zone.
    #[default]
    FireDay,
    /// The day before it, which has just ended.
    PreviousDay,
}

/// What becomes of fires that nobody was there to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing: they are left out.
    Skip,
    /// The last of them runs, unless a later fire runs anyway.
    #[default]
    Latest,
    /// The last so many of them run, oldest first.
    All(u32),
}

impl ScheduleSpec {
    /// The instants at which it fires.
    ///
    /// # Errors
    /// [`PipelineError::Schedule`] where this build knows the zone or the expression no longer.
    pub fn timetable(&self) -> Result<Timetable, PipelineError> {
        Timetable::parse(&self.cron, &self.timezone).map_err(|source| PipelineError::Schedule { source })
    }

    /// The day that the run of a fire is about.
    pub fn logical_date(&self, fire: Fire) -> UtcDay {
        let day = fire.local.date();
        UtcDay::from_date(match self.date {
            FireDate::FireDay => day,
            FireDate::PreviousDay => day.pred_opt().unwrap_or(day),
        })
    }

    /// The fires whose runs are about these days, the last included, in order.
    pub fn fires_about<'t>(
        &self,
        timetable: &'t Timetable,
        first: UtcDay,
        last: UtcDay,
    ) -> impl Iterator<Item = Fire> + use<'t> {
        let (first, last) = (first.date(), last.date());
        let of = |day: chrono::NaiveDate| match self.date {
            FireDate::FireDay => day,
            FireDate::PreviousDay => day.succ_opt().unwrap_or(day),
        };
        timetable.fires_of_days(of(first), of(last))
    }
}

impl Reader<'_, '_> {
    /// The schedule; its params must be ones that a run could start with.
    pub(crate) fn schedule(&mut self, schedule: &Entry, declared: Declared<'_>) -> Option<ScheduleSpec> {
        let entries = self.map(&schedule.value, "schedule")?;
        self.known_keys(entries, &SCHEDULE_KEYS, "a schedule");
        let zone_node = find(entries, "timezone");
        let zone = zone_node.map_or(Some(DEFAULT_ZONE), |node| self.text(node, "timezone"));
        let cron = match find(entries, "cron") {
            Some(node) => self.text(node, "cron").map(|text| (node, text)),
            None => {
                self.missing(schedule.key_span.clone(), "cron", "a schedule", "cron: \"10 0 * * *\"");
                None
            }
        };
        // one after the other, so that both are told where both are wrong
        if let Some((node, cron)) = cron
            && let Err(error) = Timetable::parse(cron, DEFAULT_ZONE)
        {
            self.bad_timetable(&error, node, cron);
        }
        if let (Some(zone), Some(node)) = (zone, zone_node)
            && let Err(error) = Timetable::parse("@hourly", zone)
        {
            self.bad_timetable(&error, node, zone);
        }
        let date = find(entries, "date").and_then(|node| self.fire_date(node)).unwrap_or_default();
        let missed = find(entries, "missed").and_then(|node| self.missed(node)).unwrap_or_default();
        let given = find(entries, "params").map(|node| self.map(node, "params"));
        if !matches!(given, Some(None)) {
            self.starting_params(given.flatten().unwrap_or_default(), schedule, declared, false);
        }
        Some(ScheduleSpec {
            cron: cron?.1.split_whitespace().collect::<Vec<_>>().join(" "),
            timezone: zone?.to_owned(),
            date,
            missed,
            params: to_json_map(given.flatten().unwrap_or_default()),
        })
    }

    fn bad_timetable(&mut self, error: &TimetableError, node: &Node, text: &str) {
        let mut span = node.span.clone();
        let help = match error {
            TimetableError::Field { range, help, .. } => {
                if let Some(start) = self.problems.written(&span).find(text) {
                    span = span.start + start + range.start..span.start + start + range.end;
                }
                (*help).to_owned()
            }
            TimetableError::Zone { name } => {
                let names = Timetable::zone_names();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                match suggest::nearest(name, names.iter().copied()) {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => "write an IANA name, such as Europe/Berlin or UTC".to_owned(),
                }
            }
            TimetableError::Never { .. } => "write a day that comes".to_owned(),
            TimetableError::Fields { .. } | TimetableError::Expression { .. } => {
                "write minute, hour, day of the month, month and day of the week: \"10 0 * * *\"".to_owned()
            }
        };
        self.problems.add("bad-schedule", span, error.to_string(), help);
    }

    fn fire_date(&mut self, node: &Node) -> Option<FireDate> {
        match self.text(node, "date")? {
            "fire_day" => Some(FireDate::FireDay),
            "previous_day" => Some(FireDate::PreviousDay),
            _ => {
                let help = "write fire_day (the day on which it fires) or previous_day (the day before it)";
                self.wrong_type(node, "date", "fire_day or previous_day", help);
                None
            }
        }
    }

    fn missed(&mut self, node: &Node) -> Option<Missed> {
        let help =
            format!("write skip, latest, or {{ all: n }} for the last n of them, n from 1 to {MISSED_MAX}");
        let expected = "skip, latest or { all: n }";
        match &node.value {
            Yaml::Text(text) if text == "skip" => return Some(Missed::Skip),
            Yaml::Text(text) if text == "latest" => return Some(Missed::Latest),
            Yaml::Map(entries) => {
                self.known_keys(entries, &["all"], "`missed`");
                let count = match find(entries, "all").map(|node| &node.value) {
                    Some(Yaml::Number(number)) => {
                        number.as_u64().filter(|count| (1..=MISSED_MAX).contains(count))
                    }
                    _ => None,
                };
                if let Some(count) = count.and_then(|count| u32::try_from(count).ok()) {
                    return Some(Missed::All(count));
                }
                match find(entries, "all") {
                    Some(node) => self.wrong_type(node, "all", "a number of fires", &help),
                    None => self.wrong_type(node, "missed", expected, &help),
                }
            }
            _ => self.wrong_type(node, "missed", expected, &help),
        }
        None
    }

    /// The params that whatever starts runs by itself gives them: all that have no default, and nothing else.
    ///
    /// Values `with_expressions` are checked where those are.
    pub(crate) fn starting_params(
        &mut self,
        given: &[Entry],
        owner: &Entry,
        declared: Declared<'_>,
        with_expressions: bool,
    ) {
        if !declared.is_whole {
            return;
        }
        let names: Vec<&str> = declared.params.iter().map(|param| param.name.as_str()).collect();
        for entry in given {
            let Some(param) = declared.params.iter().find(|param| param.name.as_str() == entry.key) else {
                let message = format!("there is no param {:?}", params::shortened(&entry.key));
                let help = suggest::help(&entry.key, &names, "params");
                self.problems.add("unknown-param", entry.key_span.clone(), message, Some(help));
                continue;
            };
            if with_expressions && has_expression(&entry.value) {
                continue;
            }
            if has_expression(&entry.value) {
                let help = "write the value itself; steps read run.date and run.fire_time".to_owned();
                let message = format!("the params of `{}` have no expressions", owner.key);
                self.problems.add("out-of-place", entry.value.span.clone(), message, Some(help));
            } else {
                self.conforms(&entry.value, param);
            }
        }
        let lacking = declared.params.iter().filter(|param| {
            param.default.is_none() && !given.iter().any(|entry| entry.key == param.name.as_str())
        });
        for param in lacking {
            let message = format!("its runs would lack the param {}", param.name);
            let help = format!(
                "add params: {{ {}: … }} to `{}`, or give the param a default",
                param.name, owner.key
            );
            self.problems.add("missing-param", owner.key_span.clone(), message, Some(help));
        }
    }
}

/// The params that a pipeline declares.
#[derive(Clone, Copy)]
pub(crate) struct Declared<'d> {
    pub params: &'d [ParamSpec],
    /// Whether all of them could be read; if not, nothing is said of unknown or missing ones.
    pub is_whole: bool,
}

fn has_expression(node: &Node) -> bool {
    match &node.value {
        Yaml::Text(text) => !template::is_plain(text),
        Yaml::List(items) => items.iter().any(has_expression),
        Yaml::Map(entries) => entries.iter().any(|entry| has_expression(&entry.value)),
        _ => false,
    }
}
