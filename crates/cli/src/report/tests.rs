//! Laws of the page, whatever the report says.

use super::layering::{NODE_HEIGHT, lay_out};
use super::{DemoReport, RoundLine, decimal_amount, render, sample};

/// Elements without content or end tag.
const VOID: [&str; 3] = ["meta", "br", "link"];

/// Reads the page as strictly as XML: every tag closed in order, every attribute quoted and said once, no id twice.
fn check_well_formed(html: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a document type");
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a stray > in {:?}", &rest[..start]);
        let end = start + rest[start..].find('>').expect("an end of the tag");
        let tag = &rest[start + 1..end];
        assert!(!tag.contains('<'), "a stray < in {tag:?}");
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "an odd element {name:?}");
        check_attributes(attributes, &mut ids);
        match name {
            "style" => rest = &rest[rest.find("</style>").expect("an end of the style")..],
            _ if closed || VOID.contains(&name) => continue,
            _ => {}
        }
        open.push(name.to_owned());
    }
    assert!(open.is_empty(), "left open: {open:?}");
    for reference in html.split("href=\"#").skip(1).chain(html.split("labelledby=\"").skip(1)) {
        for id in reference.split('"').next().unwrap_or_default().split(' ') {
            assert!(ids.iter().any(|known| known == id), "nothing has the id {id:?}");
        }
    }
}

fn check_attributes(mut text: &str, ids: &mut Vec<String>) {
    let mut seen: Vec<&str> = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return;
        }
        let (name, after) = text.split_once("=\"").expect("a quoted attribute");
        assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || "-:".contains(c)),
            "an odd attribute {name:?}"
        );
        assert!(!seen.contains(&name), "{name} twice");
        seen.push(name);
        let (value, after) = after.split_once('"').expect("an end of the value");
        if name == "id" {
            assert!(!ids.iter().any(|known| known == value), "the id {value} twice");
            ids.push(value.to_owned());
        }
        text = after;
    }
}

fn check(report: &DemoReport) -> String {
    let html = render(report);
    check_well_formed(&html);
    for forbidden in ["NaN", "inf ", "inf\"", "<script", "http://", "https://", "url(", "@import"] {
        assert!(!html.contains(forbidden), "{forbidden:?} in the page");
    }
    html
}

fn round(number: u32, loss: f64, accuracy: f64) -> RoundLine {
    RoundLine {
        round: number,
        participants: 0,
        accepted: Vec::new(),
        rejected: Vec::new(),
        heldout_loss: loss,
        heldout_accuracy: accuracy,
        test_accuracy: accuracy,
    }
}

#[test]
fn the_page_is_well_formed_and_says_the_answer() {
    let html = check(&sample::report());
    assert!(html.contains(
        "content=\"79.9\u{a0}% test accuracy after five\u{a0}rounds. Both attackers were stopped every time. 1,000\u{a0}xTALE paid."
    ));
    for text in [
        "10 of 10",
        "0 of 50",
        "changed nothing",
        "cosine 0.9987",
        "0xd4dee0beab2d53f2cc83e5",
        "tale demo --data-dir",
    ] {
        assert!(html.contains(text), "{text:?} is missing");
    }
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    assert_eq!(render(&sample::report()), render(&sample::report()));
}

#[test]
fn every_text_is_escaped() {
    const HOSTILE: &str = "<b title='x\">&\u{1b}";
    let hostile = || HOSTILE.to_owned();
    let mut report = sample::report();
    report.variant = hostile();
    report.command = hostile();
    report.dataset.name = hostile();
    report.dataset.shape = hostile();
    report.participants[0].name = hostile();
    report.participants[3].name = format!("{HOSTILE}2");
    report.participants[3].role = hostile();
    report.rounds[0].accepted = vec![hostile()];
    report.rounds[0].rejected = vec![(format!("{HOSTILE}2"), hostile())];
    report.rewards[0].names = vec![hostile()];
    report.rewards[0].owner = hostile();
    report.rewards[1].names.clear();
    report.rewards[0].amount = hostile();
    let settlement = &mut report.settlement;
    for text in [
        &mut settlement.epoch,
        &mut settlement.pool,
        &mut settlement.paid,
        &mut settlement.carried,
        &mut settlement.asset,
    ] {
        *text = hostile();
    }
    settlement.root = Some(hostile());
    report.graphs[0].title = hostile();
    report.graphs[0].steps[0].name = hostile();
    report.graphs[0].steps[0].kind = hostile();
    report.graphs[0].steps[0].state = hostile();
    let html = check(&report);
    assert!(!html.contains("<b title") && !html.contains('\u{1b}'));
}

#[test]
fn nothing_at_all_is_a_page_too() {
    let mut report = sample::report();
    report.rounds.clear();
    report.participants.clear();
    report.rewards.clear();
    report.graphs.clear();
    report.settlement.paid = "0".to_owned();
    report.settlement.accounts = 0;
    report.settlement.root = None;
    let html = check(&report);
    assert!(html.contains("content=\"No rounds were run. No attackers took part. Nothing was paid."));
}

#[test]
fn one_round_and_equal_values_and_missing_numbers_are_drawn() {
    let mut report = sample::report();
    for rounds in [
        vec![round(1, 0.7, 0.5)],
        vec![round(1, 0.0, 0.0)],
        (1..=5).map(|number| round(number, 0.7, 1.0)).collect(),
        vec![round(1, f64::NAN, f64::NAN), round(2, f64::INFINITY, 0.1), round(3, 0.4, 0.2)],
        vec![round(1, 1e-7, 0.1), round(2, 3e9, 0.2)],
        (1..=1000).map(|number| round(number, 1.0 / f64::from(number), 0.5)).collect(),
    ] {
        report.rounds = rounds;
        check(&report);
    }
}

#[test]
fn a_very_long_reason_and_a_changed_rerun_are_said_in_full() {
    let mut report = sample::report();
    let reason = "because".repeat(400);
    report.rounds[1].rejected.push(("participant-01".to_owned(), reason.clone()));
    report.settlement.rerun_changed = true;
    let html = check(&report);
    // In the sign's title, in the list of reasons and in the round's line.
    assert_eq!(html.matches(&reason).count(), 3);
    assert!(html.contains("changed something"));
}

#[test]
fn without_validation_the_headline_says_that_nobody_was_stopped() {
    let mut report = sample::report();
    report.variant = "without PoV".to_owned();
    for round in &mut report.rounds {
        round.accepted.extend(round.rejected.drain(..).map(|(name, _)| name));
    }
    let html = check(&report);
    assert!(html.contains("None of the attackers’ 10\u{a0}updates was stopped."));
    assert!(html.contains("No update was rejected."));
    assert!(html.contains("was switched off") && html.contains("Updates averaged, by round"));
    report.participants.retain(|one| one.role == "honest");
    report.variant = "honest participants only".to_owned();
    assert!(check(&report).contains("No attackers took part."));
}

#[test]
fn an_amount_is_written_exactly() {
    for (base_units, decimals, written) in [
        ("0", 18, "0"),
        ("1", 18, "0.000000000000000001"),
        ("1000000000000000000", 18, "1"),
        ("1234500000000000000000", 18, "1,234.5"),
        ("83333333333333333333", 18, "83.333333333333333333"),
        ("0001234567", 0, "1,234,567"),
        ("12", 2, "0.12"),
        (
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
            77,
            "1.15792089237316195423570985008687907853269984665640564039457584007913129639935",
        ),
        ("", 18, ""),
        ("-5", 18, "-5"),
        ("1.5", 18, "1.5"),
    ] {
        assert_eq!(decimal_amount(base_units, decimals), written, "{base_units} with {decimals} decimals");
    }
}

/// Every small graph on twelve steps from a walk of seeds: boxes keep clear of each other, arrows of boxes.
#[test]
fn steps_and_arrows_of_a_graph_keep_clear_of_each_other() {
    for seed in 0..500u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let nodes = 1 + draw(12) as usize;
        let widths: Vec<f64> = (0..nodes).map(|_| 90.0 + draw(80) as f64).collect();
        // One in four graphs has arrows back, to itself, and out of range, which must do no harm.
        let unchecked = seed % 4 == 0;
        let dependents: Vec<Vec<usize>> = (0..nodes)
            .map(|node| {
                let first = if unchecked { 0 } else { node + 1 };
                let end = if unchecked { nodes + 2 } else { nodes };
                (first..end).filter(|_| draw(10) < 3).collect()
            })
            .collect();
        let layout = lay_out(&widths, &dependents);
        for (index, one) in layout.places.iter().enumerate() {
            assert!(one.x >= 0.0 && one.x + one.width <= layout.width + 0.01, "seed {seed}");
            assert!(one.y >= 0.0 && one.y + NODE_HEIGHT <= layout.height + 0.01, "seed {seed}");
            assert!(one.width >= widths[index], "seed {seed}");
            for other in &layout.places[index + 1..] {
                let apart_in_x = one.x + one.width < other.x || other.x + other.width < one.x;
                let apart_in_y = one.y + NODE_HEIGHT < other.y || other.y + NODE_HEIGHT < one.y;
                assert!(apart_in_x || apart_in_y, "seed {seed}: two steps overlap");
            }
        }
        for arrow in &layout.arrows {
            for pair in arrow.points.windows(2) {
                assert!(pair[0].0 < pair[1].0, "seed {seed}: an arrow runs back");
                let (left, right) = (pair[0].0, pair[1].0);
                for place in &layout.places {
                    let (upper, lower) = (pair[0].1.min(pair[1].1), pair[0].1.max(pair[1].1));
                    let crosses_x = right > place.x && left < place.x + place.width;
                    let crosses_y = lower >= place.y && upper <= place.y + NODE_HEIGHT;
                    assert!(!(crosses_x && crosses_y), "seed {seed}: an arrow crosses a step");
                }
            }
        }
    }
}
