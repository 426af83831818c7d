//! The document: its sections, in the order in which they are read.

use super::chart::Chart;
use super::figures::{duration, hundredths, loss};
use super::markup::{SYMBOLS, each, escape};
use super::{DemoReport, graph, headline, matrix, rewards};

const STYLE: &str = include_str!("style.css");

/// The whole page: HTML that needs nothing else, and may load nothing else.
pub fn render(report: &DemoReport) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="description" content="{description}">
<title>Taleworks demo: {variant}, seed {seed}</title>
<style>
{STYLE}</style>
</head>
<body>
{SYMBOLS}
<main>
{head}{course}{reasons}{rounds}{runs}{rewards}{settlement}{again}</main>
</body>
</html>
"#,
        description = escape(&headline::headline_text(report)),
        variant = escape(&report.variant),
        seed = report.seed,
        head = headline::render(report),
        course = section("course", "How it went", "", &course(report)),
        reasons = section(
            "reasons",
            "Why updates were rejected",
            "The reason that carried the vote of the validators, with what they measured.",
            &matrix::reasons(report),
        ),
        rounds = section(
            "rounds",
            "Round by round",
            "Losses and accuracies are those of the model that the round made.",
            &rounds(report),
        ),
        runs = section(
            "runs",
            "What ran",
            "Each box is a step of a pipeline. A step starts when those that point to it have ended; an arrow that others imply is not drawn.",
            &runs(report),
        ),
        rewards = section(
            "rewards",
            "Rewards",
            "A point is a billionth of a nat by which an accepted update lowered the held-out loss. The pool is divided by points, to the base unit.",
            &rewards::rewards(report),
        ),
        settlement = section("settlement", "Settlement", "", &rewards::settlement(&report.settlement)),
        again = section("again", "Run it again", "", &again(report)),
    )
}

fn section(id: &str, title: &str, lead: &str, body: &str) -> String {
    let lead = if lead.is_empty() { String::new() } else { format!("<p>{}</p>", escape(lead)) };
    format!(
        r#"<section aria-labelledby="{id}"><div class="title"><h2 id="{id}">{}</h2>{lead}</div>
{body}</section>
"#,
        escape(title)
    )
}

/// The curves and the matrix, side by side where there is room.
fn course(report: &DemoReport) -> String {
    let curve = |value: fn(&super::RoundLine) -> f64| -> Vec<(u32, f64)> {
        report.rounds.iter().map(|round| (round.round, value(round))).collect()
    };
    let losses = curve(|round| round.heldout_loss);
    let accuracies = curve(|round| round.test_accuracy * 100.0);
    let charts = [
        (
            "nats per image, lower is better",
            Chart {
                id: "loss",
                title: "Held-out loss",
                points: &losses,
                bounds: (0.0, f64::INFINITY),
                label: loss,
            },
        ),
        (
            "%, higher is better",
            Chart {
                id: "accuracy",
                title: "Test accuracy",
                points: &accuracies,
                bounds: (0.0, 100.0),
                label: hundredths,
            },
        ),
    ];
    let charts = each(charts, |(unit, chart)| {
        format!(
            r#"<figure><figcaption><h3>{}</h3><p>{}</p></figcaption>
{}</figure>
"#,
            escape(chart.title),
            escape(unit),
            chart.render()
        )
    });
    format!(r#"<div class="course">{charts}{}</div>"#, matrix::render(report))
}

fn rounds(report: &DemoReport) -> String {
    if report.rounds.is_empty() {
        return r#"<p class="empty">No rounds were run.</p>"#.to_owned();
    }
    matrix::rounds(report)
}

fn runs(report: &DemoReport) -> String {
    if report.graphs.is_empty() {
        return r#"<p class="empty">No run was recorded.</p>"#.to_owned();
    }
    each(report.graphs.iter().enumerate(), |(index, run)| graph::render(run, index))
}

fn again(report: &DemoReport) -> String {
    format!(
        r#"<pre tabindex="0"><code>{}</code></pre>
<p class="note">Seed {} gives the same model bytes and the same Merkle root on any run and any number of workers. It took {} here.</p>
"#,
        escape(&report.command),
        report.seed,
        duration(report.seconds)
    )
}
