//! Who was accepted in which round, and the reasons in words.

use super::figures::{count, loss, percent};
use super::headline::{is_attacker, is_validated};
use super::markup::{each, escape, mark};
use super::{DemoReport, RoundLine};

/// With more rounds than this the matrix takes the whole width of the page.
const ROUNDS_BESIDE_CHARTS: usize = 8;

/// What became of one participant's update in one round.
enum Verdict<'a> {
    Accepted,
    Rejected(&'a str),
    /// It sent none: it was not selected, or its training failed.
    Absent,
}

fn verdict<'a>(round: &'a RoundLine, name: &str) -> Verdict<'a> {
    if let Some((_, reason)) = round.rejected.iter().find(|(rejected, _)| rejected == name) {
        return Verdict::Rejected(reason);
    }
    if round.accepted.iter().any(|accepted| accepted == name) { Verdict::Accepted } else { Verdict::Absent }
}

/// A row: a participant, how many images it has, and what it does if it is not honest.
struct Row<'a> {
    name: &'a str,
    images: Option<u64>,
    misdeed: Option<&'a str>,
}

/// The participants as they are listed, then whoever else the rounds name.
fn rows(report: &DemoReport) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = report
        .participants
        .iter()
        .map(|one| Row {
            name: &one.name,
            images: Some(one.rows),
            misdeed: is_attacker(one).then_some(one.role.as_str()),
        })
        .collect();
    for round in &report.rounds {
        for name in round.accepted.iter().chain(round.rejected.iter().map(|(name, _)| name)) {
            if !rows.iter().any(|row| row.name == name) {
                rows.push(Row { name, images: None, misdeed: None });
            }
        }
    }
    rows
}

/// The matrix with its heading and key.
pub fn render(report: &DemoReport) -> String {
    let wide = if report.rounds.len() > ROUNDS_BESIDE_CHARTS { " wide" } else { "" };
    let body = if report.rounds.is_empty() {
        r#"<p class="empty">There was nothing to validate.</p>"#.to_owned()
    } else {
        table(report)
    };
    format!(
        r#"<figure class="matrix{wide}"><figcaption><h3>{title}</h3><p class="key">{} accepted {} rejected {} no update</p></figcaption>
{body}</figure>
"#,
        mark("yes", "Sign for"),
        mark("no", "Sign for"),
        mark("idle", "Sign for"),
        title =
            if is_validated(report) { "Proof of Validation, by round" } else { "Updates averaged, by round" },
    )
}

fn table(report: &DemoReport) -> String {
    let head = each(&report.rounds, |round| {
        format!(r#"<th scope="col"><span class="unseen">round</span> {}</th>"#, round.round)
    });
    let body = each(rows(report), |row| {
        let misdeed = row.misdeed.map(|role| format!(r#" <em>{}</em>"#, escape(role))).unwrap_or_default();
        let cells = each(&report.rounds, |round| cell(round, row.name));
        format!(
            "<tr><th scope=\"row\">{}{misdeed}</th><td class=\"images\">{}</td>{cells}</tr>\n",
            escape(row.name),
            row.images.map(count).unwrap_or_default()
        )
    });
    format!(
        r#"<div class="scroll" tabindex="0" role="group" aria-label="Updates accepted and rejected"><table>
<caption class="unseen">Updates accepted and rejected, by participant and round</caption>
<thead><tr><th scope="col">participant</th><th scope="col" class="images">images</th>{head}</tr></thead>
<tbody>
{body}</tbody></table></div>
"#
    )
}

fn cell(round: &RoundLine, name: &str) -> String {
    let who = format!("{name}, round {}", round.round);
    let sign = match verdict(round, name) {
        Verdict::Accepted => mark("yes", &format!("{who}: accepted")),
        Verdict::Rejected(reason) => mark("no", &format!("{who}: rejected: {reason}")),
        Verdict::Absent => mark("idle", &format!("{who}: no update")),
    };
    format!("<td>{sign}</td>")
}

/// Every rejection in words, by participant; rounds with the same reason together.
pub fn reasons(report: &DemoReport) -> String {
    let entries = each(rows(report), |row| {
        let mut grouped: Vec<(&str, Vec<u32>)> = Vec::new();
        for round in &report.rounds {
            let Verdict::Rejected(reason) = verdict(round, row.name) else { continue };
            match grouped.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, rounds)) => rounds.push(round.round),
                None => grouped.push((reason, vec![round.round])),
            }
        }
        if grouped.is_empty() {
            return String::new();
        }
        let misdeed = row.misdeed.map(|role| format!(r#"<em>{}</em>"#, escape(role))).unwrap_or_default();
        let items = each(grouped, |(reason, rounds)| {
            let noun = if rounds.len() == 1 { "Round" } else { "Rounds" };
            format!("<li><b>{noun}&nbsp;{}</b> <span>{}</span></li>\n", ranges(&rounds), escape(reason))
        });
        format!("<div><dt>{}{misdeed}</dt><dd><ul>\n{items}</ul></dd></div>\n", escape(row.name))
    });
    if entries.is_empty() {
        return r#"<p class="empty">No update was rejected.</p>"#.to_owned();
    }
    format!(r#"<dl class="reasons">{entries}</dl>"#)
}

/// Numbers in order, neighbours drawn together: `1–3, 5`. A range does not break at the end of a line.
fn ranges(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(number) => *end = number,
            _ => runs.push((number, number)),
        }
    }
    let written: Vec<String> = runs
        .into_iter()
        .map(
            |(start, end)| {
                if start == end { start.to_string() } else { format!("{start}\u{2060}–\u{2060}{end}") }
            },
        )
        .collect();
    written.join(", ")
}

/// A line per round. A reason's figures, which `reasons` gives, are left out here.
pub fn rounds(report: &DemoReport) -> String {
    let body = each(&report.rounds, |round| {
        let rejected = if round.rejected.is_empty() {
            r#"<p class="faint">none</p>"#.to_owned()
        } else {
            each(&round.rejected, |(name, reason)| {
                format!("<p><b>{}</b> {}</p>", escape(name), escape(without_figures(reason)))
            })
        };
        format!(
            r#"<tr role="row"><th scope="row" role="rowheader"><span class="narrow">Round </span>{}</th><td role="cell" data-label="Participants" class="number">{}</td><td role="cell" data-label="Accepted" class="number">{}</td><td role="cell" data-label="Rejected, and why" class="text">{rejected}</td><td role="cell" data-label="Held-out loss" class="number">{}</td><td role="cell" data-label="Held-out accuracy" class="number">{}</td><td role="cell" data-label="Test accuracy" class="number"><b>{}</b></td></tr>
"#,
            round.round,
            count(u64::from(round.participants)),
            count(round.accepted.len() as u64),
            loss(round.heldout_loss),
            percent(round.heldout_accuracy),
            percent(round.test_accuracy),
        )
    });
    format!(
        r#"<table class="records" role="table" aria-labelledby="rounds"><thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Round</th><th scope="col" role="columnheader" class="number">Participants</th><th scope="col" role="columnheader" class="number">Accepted</th><th scope="col" role="columnheader">Rejected, and why</th><th scope="col" role="columnheader" class="number">Held-out loss</th><th scope="col" role="columnheader" class="number">Held-out accuracy</th><th scope="col" role="columnheader" class="number">Test accuracy</th></tr></thead>
<tbody role="rowgroup">
{body}</tbody></table>
"#
    )
}

/// A reason up to the measurements in brackets that end it.
fn without_figures(reason: &str) -> &str {
    match reason.split_once(" (") {
        Some((words, _)) if reason.ends_with(')') => words,
        _ => reason,
    }
}
