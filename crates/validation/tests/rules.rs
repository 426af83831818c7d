//! The rule of rejection, example by example.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use tale_primitives::{Digest, GeneratorId};
use tale_validation::*;

fn generator(number: usize) -> GeneratorId {
    GeneratorId::derive("rules", &number.to_string())
}

/// The score of an update that gains so much on rows of class 0 and of class 1, with a little noise.
fn score([first, second]: [f64; 2]) -> MarginalScore {
    let labels: Vec<u32> = (0..200).map(|row| row % 2).collect();
    let gain = |row: u32| if row.is_multiple_of(2) { first } else { second };
    let without: Vec<Fixed> =
        (0..200).map(|row| Fixed::round(3.0 + gain(row) + 0.001 * f64::from(row % 7) - 0.003)).collect();
    MarginalScore::measure(&labels, &without, &[Fixed::round(3.0); 200]).unwrap()
}

/// One validator's decision on updates with these gains, and what is remembered afterwards.
fn decide_on(gains: &[[f64; 2]], memory: &Memory) -> Decision {
    let findings = gains.iter().enumerate().map(|(number, &gains)| Finding {
        generator: generator(number),
        update: Digest::of(number.to_string()),
        assessment: Assessment::Scored { weight_ppb: weight_ppb(0.2), score: score(gains) },
    });
    let validator = generator(100);
    let (base, rows) = (Digest::of("base"), Digest::of("rows"));
    let report = ValidatorReport { validator, base, rows, findings: findings.collect() };
    let panel = [Panelist { validator, credibility_ppm: 1 }];
    decide(&DecisionRules::default(), &panel, &[report], memory).unwrap()
}

fn outcome(decision: &Decision, number: usize) -> Outcome {
    decision.verdicts.iter().find(|verdict| verdict.generator == generator(number)).unwrap().outcome
}

const USUAL: [[f64; 2]; 5] = [[0.010; 2], [0.012; 2], [0.011; 2], [0.013; 2], [0.009; 2]];

fn with_sixth(gains: [f64; 2]) -> Vec<[f64; 2]> {
    USUAL.into_iter().chain([gains]).collect()
}

#[test]
fn an_update_that_makes_the_aggregate_worse_than_all_others_do_is_rejected() {
    let decision = decide_on(&with_sixth([-0.05; 2]), &Memory::default());
    assert!(matches!(outcome(&decision, 5), Outcome::Rejected { reason: Objection::Harmful(_) }));
    assert_eq!(decision.accepted().len(), 5);
}

#[test]
fn the_worst_of_a_good_round_is_accepted() {
    let decision = decide_on(&with_sixth([0.001; 2]), &Memory::default());
    assert_eq!(decision.accepted().len(), 6);
}

#[test]
fn an_update_that_ruins_one_class_is_rejected_though_it_helps_on_the_whole() {
    let decision = decide_on(&with_sixth([0.5, -0.2]), &Memory::default());
    let Outcome::Rejected { reason: Objection::RuinsClass(measure) } = outcome(&decision, 5) else {
        panic!("{:?}", outcome(&decision, 5));
    };
    assert!(measure.z > Fixed::ZERO);
}

#[test]
fn a_good_past_outweighs_one_bad_round_but_not_two() {
    let good = decide_on(&with_sixth([0.05; 2]), &Memory::default());
    // Bad enough for the memory, not so bad that any class is ruined by itself.
    let bad = with_sixth([-0.003; 2]);
    let once = decide_on(&bad, &good.memory);
    assert_eq!(outcome(&once, 5), Outcome::Accepted);
    let twice = decide_on(&bad, &once.memory);
    assert!(matches!(outcome(&twice, 5), Outcome::Rejected { reason: Objection::Harmful(_) }));
    assert_eq!(outcome(&twice, 0), Outcome::Accepted);
}

#[test]
fn among_too_few_to_compare_the_noise_of_the_rows_decides() {
    let decision = decide_on(&[[0.01; 2], [-0.01; 2]], &Memory::default());
    assert_eq!(outcome(&decision, 0), Outcome::Accepted);
    assert!(matches!(outcome(&decision, 1), Outcome::Rejected { .. }));
}

#[test]
fn people_are_told_why() {
    let decision = decide_on(&with_sixth([-0.05; 2]), &Memory::default());
    let reason = outcome(&decision, 5).to_string();
    assert!(reason.starts_with("rejected: makes the aggregate worse on held-out rows (z -"), "{reason}");
    assert!(!reason.contains("--"), "{reason}");
}
