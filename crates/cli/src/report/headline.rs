//! The answer, before anything else: what was trained, how good it is, who was stopped, what was paid.

use super::figures::{brief_amount, count, counted, decimal_amount, duration, in_words, percent};
use super::markup::{each, escape};
use super::{DemoReport, ParticipantLine};

/// What became of the updates of honest participants and of the others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    attackers: u64,
    attacks: u64,
    attacks_rejected: u64,
    honest: u64,
    honest_rejected: u64,
}

impl Tally {
    fn of(report: &DemoReport) -> Self {
        let attacks = |name: &str| report.participants.iter().any(|one| one.name == name && is_attacker(one));
        let attackers = report.participants.iter().filter(|one| is_attacker(one)).count() as u64;
        let mut tally = Self { attackers, ..Self::default() };
        for round in &report.rounds {
            let accepted = round.accepted.iter().map(|name| (name, false));
            let rejected = round.rejected.iter().map(|(name, _)| (name, true));
            for (name, rejected) in accepted.chain(rejected) {
                let (updates, stopped) = if attacks(name) {
                    (&mut tally.attacks, &mut tally.attacks_rejected)
                } else {
                    (&mut tally.honest, &mut tally.honest_rejected)
                };
                *updates += 1;
                *stopped += u64::from(rejected);
            }
        }
        tally
    }

    fn sentence(&self) -> String {
        let Self { attackers, attacks, attacks_rejected, .. } = *self;
        match (attackers, attacks, attacks_rejected) {
            (0, ..) => "No attackers took part.".to_owned(),
            (_, 0, _) => "The attackers sent no update.".to_owned(),
            (_, all, stopped) if all == stopped => match attackers {
                1 => "The one attacker was stopped every time.".to_owned(),
                2 => "Both attackers were stopped every time.".to_owned(),
                many => format!("All {} attackers were stopped every time.", in_words(many)),
            },
            (_, all, 0) => {
                format!("None of the attackers’ {} was stopped.", counted(all, "update", "updates"))
            }
            (_, all, stopped) => {
                format!(
                    "{} of the attackers’ {} were stopped.",
                    count(stopped),
                    counted(all, "update", "updates")
                )
            }
        }
    }
}

/// Whether it does anything but take part honestly.
pub fn is_attacker(participant: &ParticipantLine) -> bool {
    participant.role != "honest"
}

/// Whether updates were validated before they entered the model.
pub fn is_validated(report: &DemoReport) -> bool {
    !report.variant.ends_with("without PoV")
}

/// The top of the page.
pub fn render(report: &DemoReport) -> String {
    let tally = Tally::of(report);
    format!(
        r#"<header>
<p class="kicker"><strong>Taleworks</strong> <span>Demo report</span> <span>{variant}</span> <span>seed&nbsp;{seed}</span></p>
<h1>{headline}</h1>
<p class="lede">{lede}</p>
<dl class="facts">{facts}</dl>
</header>
"#,
        variant = escape(&report.variant),
        seed = report.seed,
        headline = each(headline(report, &tally), |sentence| format!("<span>{}</span> ", escape(&sentence))),
        lede = lede(report),
        facts = each(facts(report, &tally), |(term, figure, note)| {
            format!(
                "<div><dt>{}</dt><dd>{} <small>{}</small></dd></div>",
                escape(term),
                escape(&figure),
                escape(&note)
            )
        }),
    )
}

/// The same in one line of plain text, for the document's description.
pub fn headline_text(report: &DemoReport) -> String {
    headline(report, &Tally::of(report)).join(" ")
}

fn headline(report: &DemoReport, tally: &Tally) -> [String; 3] {
    let accuracy = match report.rounds.last() {
        Some(last) => {
            let rounds = report.rounds.len() as u64;
            format!(
                "{} test accuracy after {}\u{a0}{}.",
                percent(last.test_accuracy),
                in_words(rounds),
                if rounds == 1 { "round" } else { "rounds" }
            )
        }
        None => "No rounds were run.".to_owned(),
    };
    let settlement = &report.settlement;
    let paid = match decimal_amount(&settlement.paid, settlement.decimals).as_str() {
        "0" => "Nothing was paid.".to_owned(),
        _ => format!("{} paid.", with_asset(report, &settlement.paid)),
    };
    [accuracy, tally.sentence(), paid]
}

fn with_asset(report: &DemoReport, base_units: &str) -> String {
    let settlement = &report.settlement;
    format!("{}\u{a0}{}", brief_amount(base_units, settlement.decimals), settlement.asset)
}

fn lede(report: &DemoReport) -> String {
    let dataset = &report.dataset;
    let people = report.participants.len() as u64;
    let learned = escape(&format!(
        "An image classifier learned {} ({}, {}, {}) from {}, each with its own uneven share of the images.",
        dataset.name,
        counted(dataset.rows, "image", "images"),
        dataset.shape,
        counted(u64::from(dataset.classes), "class", "classes"),
        counted(people, "participant", "participants"),
    ));
    let attackers: Vec<String> = report
        .participants
        .iter()
        .filter(|one| is_attacker(one))
        .map(|one| format!(r#"<span class="whole">{}</span> {}"#, escape(&one.name), escape(&one.role)))
        .collect();
    let simulated = match attackers.split_last() {
        Some((last, [])) => format!(" In this simulation {last}."),
        Some((last, others)) => format!(" In this simulation {} and {last}.", others.join(", ")),
        None => String::new(),
    };
    let validated = if is_validated(report) {
        " Proof of Validation measured every update on held-out images before it could enter the model."
    } else {
        " Proof of Validation was switched off: every update was averaged into the model."
    };
    format!("{learned}{simulated}{validated}")
}

/// Figures in a row: what, how much, and a word about it.
fn facts(report: &DemoReport, tally: &Tally) -> Vec<(&'static str, String, String)> {
    let (last, first) = (report.rounds.last(), report.rounds.first());
    let settlement = &report.settlement;
    let rejected = |rejected: u64, all: u64| {
        if all == 0 { "–".to_owned() } else { format!("{} of {}", count(rejected), count(all)) }
    };
    let share = |part: u64, all: u64, nobody: &str| {
        if all == 0 {
            nobody.to_owned()
        } else {
            format!("{} of their updates", percent(part as f64 / all as f64))
        }
    };
    vec![
        (
            "Test accuracy",
            last.map_or_else(|| "–".to_owned(), |round| percent(round.test_accuracy)),
            match (first, report.rounds.len()) {
                (Some(first), 2..) => {
                    format!("from {} after round {}", percent(first.test_accuracy), first.round)
                }
                _ => "on images that nothing else read".to_owned(),
            },
        ),
        (
            "Attackers rejected",
            rejected(tally.attacks_rejected, tally.attacks),
            share(tally.attacks_rejected, tally.attacks, "none took part"),
        ),
        (
            "Honest rejected",
            rejected(tally.honest_rejected, tally.honest),
            share(tally.honest_rejected, tally.honest, "none took part"),
        ),
        (
            "Paid",
            with_asset(report, &settlement.paid),
            format!("{} in the tree", counted(settlement.accounts, "account", "accounts")),
        ),
        ("Time", duration(report.seconds), "from nothing to a settled epoch".to_owned()),
    ]
}
