//! Laws of the protocol: they hold for all inputs, whatever the thresholds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::{collection::vec, prelude::*, sample::Index};
use tale_primitives::{Digest, GeneratorId};
use tale_validation::*;

fn generator(number: usize) -> GeneratorId {
    GeneratorId::derive("laws", &number.to_string())
}

fn fixed(nats: f64) -> Fixed {
    Fixed::round(nats)
}

fn any_score() -> impl Strategy<Value = MarginalScore> {
    vec((0u32..4, -0.5f64..0.5), 1..40).prop_map(|rows| {
        let labels: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let without: Vec<Fixed> = rows.iter().map(|row| fixed(1.0 + row.1)).collect();
        MarginalScore::measure(&labels, &without, &vec![fixed(1.0); rows.len()]).unwrap()
    })
}

fn any_assessment() -> impl Strategy<Value = Assessment> {
    prop_oneof![
        1 => Just(Assessment::Gated { failure: GateFailure::NotFinite }),
        5 => (1u64..200_000_000, any_score())
            .prop_map(|(weight_ppb, score)| Assessment::Scored { weight_ppb, score }),
    ]
}

/// A panel of up to five and the reports of some of them on up to eight updates.
fn any_round() -> impl Strategy<Value = (Vec<Panelist>, Vec<ValidatorReport>)> {
    (vec(1u32..=1_000_000, 1..6), 1usize..9)
        .prop_flat_map(|(credibilities, updates)| {
            let panel: Vec<Panelist> = (100..)
                .zip(credibilities)
                .map(|(number, credibility_ppm)| Panelist { validator: generator(number), credibility_ppm })
                .collect();
            let reports = vec(proptest::option::of(vec(any_assessment(), updates)), panel.len());
            (Just(panel), reports)
        })
        .prop_map(|(panel, reports)| {
            let reports = panel.iter().zip(reports).filter_map(|(panelist, assessments)| {
                let findings = assessments?.into_iter().enumerate().map(|(number, assessment)| Finding {
                    generator: generator(number),
                    update: Digest::of(number.to_string()),
                    assessment,
                });
                let validator = panelist.validator;
                let (base, rows) = (Digest::of("base"), Digest::of(validator.to_string()));
                Some(ValidatorReport { validator, base, rows, findings: findings.collect() })
            });
            let reports = reports.collect();
            (panel, reports)
        })
}

fn any_slope() -> impl Strategy<Value = (f64, [f64; PATH_NODES])> {
    (0.0f64..0.5, proptest::array::uniform5(-2.0f64..2.0))
}

fn slopes(of: &[(f64, [f64; PATH_NODES])]) -> Vec<Slope> {
    of.iter()
        .enumerate()
        .map(|(number, &(weight, dots))| Slope { generator: generator(number), weight, dots })
        .collect()
}

fn change(before: f64, after: f64) -> LossChange {
    LossChange::measure(&[fixed(before); 3], &[fixed(after); 3]).unwrap()
}

proptest! {
    #[test]
    fn a_decision_does_not_depend_on_the_order_of_reports_and_findings(
        (panel, reports) in any_round(),
        swaps in vec((any::<Index>(), any::<Index>()), 0..20),
    ) {
        let rules = DecisionRules::default();
        let decision = decide(&rules, &panel, &reports, &Memory::default()).unwrap();
        let (mut panel, mut reports) = (panel, reports);
        for (a, b) in swaps {
            let length = panel.len();
            panel.swap(a.index(length), b.index(length));
            if reports.is_empty() { continue; }
            let length = reports.len();
            reports.swap(a.index(length), b.index(length));
            for report in &mut reports {
                let length = report.findings.len();
                report.findings.swap(b.index(length), a.index(length));
            }
        }
        prop_assert_eq!(decide(&rules, &panel, &reports, &Memory::default()).unwrap(), decision);
    }

    #[test]
    fn without_a_quorum_of_heads_and_of_weight_nothing_is_accepted_or_rejected(
        (panel, reports) in any_round(),
    ) {
        let rules = DecisionRules::default();
        let decision = decide(&rules, &panel, &reports, &Memory::default()).unwrap();
        let weight = |panelist: &Panelist| u128::from(panelist.credibility_ppm);
        let whole: u128 = panel.iter().map(weight).sum();
        let revealed = panel.iter().filter(|p| reports.iter().any(|r| r.validator == p.validator));
        let (heads, voted) = (reports.len(), revealed.map(weight).sum::<u128>());
        let quorum = heads * 1_000_000 >= panel.len() * 666_666 && voted * 1_000_000 >= whole * 666_666;
        for verdict in &decision.verdicts {
            prop_assert_eq!(!matches!(verdict.outcome, Outcome::Deferred { .. }), quorum);
        }
        if !quorum {
            prop_assert_eq!(decision.memory, Memory::default());
        }
    }

    #[test]
    fn an_update_is_accepted_only_by_more_than_half_of_the_weight_that_voted(
        (panel, reports) in any_round(),
    ) {
        let decision = decide(&DecisionRules::default(), &panel, &reports, &Memory::default()).unwrap();
        for verdict in &decision.verdicts {
            let sum = |votes: &mut dyn Iterator<Item = &Vote>| -> u64 {
                votes.map(|vote| u64::from(vote.credibility_ppm)).sum()
            };
            let voted = sum(&mut verdict.votes.iter());
            let in_favour = sum(&mut verdict.votes.iter().filter(|vote| vote.objection.is_none()));
            if verdict.outcome == Outcome::Accepted {
                prop_assert!(2 * in_favour > voted);
            }
            if 10 * in_favour > 6 * voted {
                let rejected = matches!(verdict.outcome, Outcome::Rejected { .. });
                prop_assert!(!rejected);
            }
        }
    }

    #[test]
    fn what_a_majority_found_gated_is_never_accepted((panel, mut reports) in any_round()) {
        for report in &mut reports {
            report.findings[0].assessment = Assessment::Gated { failure: GateFailure::NotFinite };
        }
        let decision = decide(&DecisionRules::default(), &panel, &reports, &Memory::default()).unwrap();
        prop_assert!(!decision.accepted().contains(&generator(0)));
    }

    #[test]
    fn a_decision_survives_json((panel, reports) in any_round()) {
        let decision = decide(&DecisionRules::default(), &panel, &reports, &Memory::default()).unwrap();
        let text = serde_json::to_string(&(&decision, &reports)).unwrap();
        prop_assert_eq!(serde_json::from_str::<(Decision, Vec<ValidatorReport>)>(&text).unwrap(), (decision, reports));
    }

    #[test]
    fn a_score_does_not_depend_on_the_order_of_rows(
        rows in vec((0u32..3, 0.0f64..9.0, 0.0f64..9.0), 1..50),
        swaps in vec((any::<Index>(), any::<Index>()), 0..50),
    ) {
        let score = |rows: &[(u32, f64, f64)]| {
            let labels: Vec<u32> = rows.iter().map(|row| row.0).collect();
            let without: Vec<Fixed> = rows.iter().map(|row| fixed(row.1)).collect();
            let with: Vec<Fixed> = rows.iter().map(|row| fixed(row.2)).collect();
            MarginalScore::measure(&labels, &without, &with).unwrap()
        };
        let mut shuffled = rows.clone();
        for (a, b) in swaps {
            shuffled.swap(a.index(rows.len()), b.index(rows.len()));
        }
        prop_assert_eq!(score(&shuffled), score(&rows));
    }

    #[test]
    fn an_update_that_changes_no_loss_is_never_found_harmful(
        losses in vec(0.0f64..9.0, 2..50),
        others in vec(any_score(), 0..8),
    ) {
        let same: Vec<Fixed> = losses.iter().map(|&loss| fixed(loss)).collect();
        let score = MarginalScore::measure(&vec![0; same.len()], &same, &same).unwrap();
        prop_assert_eq!(score.total.z(), Fixed::ZERO);
        let scores = std::iter::once(score).chain(others);
        let findings = scores.enumerate().map(|(number, score)| Finding {
            generator: generator(number),
            update: Digest::of(number.to_string()),
            assessment: Assessment::Scored { weight_ppb: 100_000_000, score },
        });
        let panel = [Panelist { validator: generator(100), credibility_ppm: 1_000_000 }];
        let (base, rows) = (Digest::of("base"), Digest::of("rows"));
        let report =
            ValidatorReport { validator: generator(100), base, rows, findings: findings.collect() };
        let decision = decide(&DecisionRules::default(), &panel, &[report], &Memory::default()).unwrap();
        let zero = decision.verdicts.iter().find(|verdict| verdict.generator == generator(0)).unwrap();
        let harmful = matches!(zero.outcome, Outcome::Rejected { reason: Objection::Harmful(_) });
        prop_assert!(!harmful);
    }

    #[test]
    fn points_and_residual_are_exactly_the_loss_drop(
        of in vec(any_slope(), 0..12), before in 0.0f64..9.0, after in 0.0f64..9.0,
    ) {
        let points = aumann_shapley(&slopes(&of), &change(before, after));
        let sum: i64 = points.contributions.iter().map(|one| one.points).sum();
        prop_assert_eq!(sum + points.residual, points.loss_drop);
        let nats = (fixed(before).units() - fixed(after).units()) as f64 / f64::from(1 << 20);
        prop_assert!((points.loss_drop as f64 - nats * 1e9).abs() <= 0.500_001);
    }

    #[test]
    fn a_zero_update_earns_exactly_nothing(of in vec(any_slope(), 0..12), weight in 0.0f64..1.0) {
        let mut slopes = slopes(&of);
        slopes.push(Slope { generator: generator(99), weight, dots: [0.0; PATH_NODES] });
        let points = aumann_shapley(&slopes, &change(2.0, 1.0));
        let zero = points.contributions.iter().find(|one| one.generator == generator(99)).unwrap();
        prop_assert_eq!(zero.points, 0);
    }

    #[test]
    fn points_do_not_depend_on_order(of in vec(any_slope(), 0..12), seed: usize) {
        let mut slopes = slopes(&of);
        let points = aumann_shapley(&slopes, &change(2.0, 1.0));
        if !slopes.is_empty() {
            let middle = seed % slopes.len();
            slopes.rotate_left(middle);
        }
        prop_assert_eq!(aumann_shapley(&slopes, &change(2.0, 1.0)), points);
    }

    #[test]
    fn splitting_an_identity_changes_nobody_elses_points_and_its_own_by_rounding_alone(
        of in vec(any_slope(), 1..12), part in 0.0f64..1.0,
    ) {
        let whole = slopes(&of);
        let mut split = whole.clone();
        let second = Slope { generator: generator(99), weight: split[0].weight * (1.0 - part), ..split[0] };
        split[0].weight *= part;
        split.push(second);
        let points = |slopes: &[Slope], who: usize| {
            let points = aumann_shapley(slopes, &change(2.0, 1.0)).contributions;
            points.iter().find(|one| one.generator == generator(who)).unwrap().points
        };
        for other in 1..of.len() {
            prop_assert_eq!(points(&split, other), points(&whole, other));
        }
        prop_assert!((points(&split, 0) + points(&split, 99) - points(&whole, 0)).abs() <= 2);
    }

    #[test]
    fn what_is_not_a_number_is_always_gated(
        norms in vec(0.1f64..10.0, 1..12), at: Index, unreadable: bool,
    ) {
        let mut candidates: Vec<Candidate> = norms.iter().enumerate().map(|(number, &norm)| Candidate {
            generator: generator(number),
            commitment: 0,
            base: Digest::of("base"),
            content: UpdateContent::Finite { norm },
        }).collect();
        let at = at.index(norms.len());
        candidates[at].content = if unreadable { UpdateContent::Unreadable } else { UpdateContent::NotFinite };
        let gates = gate(&GateRules::default(), Digest::of("base"), &candidates, |_, _| 0.0);
        prop_assert_eq!(gates[at], Some(if unreadable { GateFailure::Unreadable } else { GateFailure::NotFinite }));
    }

    #[test]
    fn of_two_equal_updates_only_the_later_commitment_is_out(first in 0u32..5, second in 0u32..5) {
        let candidate = |number: usize, commitment| Candidate {
            generator: generator(number), commitment, base: Digest::of("base"),
            content: UpdateContent::Finite { norm: 1.0 },
        };
        let candidates = [candidate(0, first), candidate(1, second)];
        let gates = gate(&GateRules::default(), Digest::of("base"), &candidates, |_, _| 1.0);
        prop_assert_eq!(gates[0].is_some(), first > second);
        prop_assert_eq!(gates[1].is_some(), second > first);
    }
}

#[test]
fn a_report_from_outside_the_panel_or_twice_is_refused() {
    let panel = [Panelist { validator: generator(0), credibility_ppm: 1 }];
    let report = |number| ValidatorReport {
        validator: generator(number),
        base: Digest::of("base"),
        rows: Digest::of("rows"),
        findings: Vec::new(),
    };
    let decide =
        |reports: &[ValidatorReport]| decide(&DecisionRules::default(), &panel, reports, &Memory::default());
    assert!(matches!(decide(&[report(1)]), Err(ValidationError::StrangeValidator(_))));
    assert!(matches!(decide(&[report(0), report(0)]), Err(ValidationError::RepeatedValidator(_))));
    assert!(decide(&[report(0)]).is_ok());
}

#[test]
fn an_update_of_no_length_from_another_base_or_far_out_of_the_band_is_gated() {
    let candidate = |number, base: &str, norm| Candidate {
        generator: generator(number),
        commitment: 0,
        base: Digest::of(base),
        content: UpdateContent::Finite { norm },
    };
    let candidates = [
        candidate(0, "base", 1.0),
        candidate(1, "base", 1.2),
        candidate(2, "base", 0.9),
        candidate(3, "base", 0.0),
        candidate(4, "other", 1.0),
        candidate(5, "base", 1e6),
    ];
    let gates = gate(&GateRules::default(), Digest::of("base"), &candidates, |_, _| 0.0);
    assert_eq!(&gates[..3], &[None, None, None]);
    assert!(matches!(gates[3], Some(GateFailure::TooShort { .. })));
    assert!(matches!(gates[4], Some(GateFailure::WrongBase { .. })));
    assert!(matches!(gates[5], Some(GateFailure::TooLong { .. })));
}

#[test]
fn an_unmeasurable_loss_is_the_worst_loss() {
    assert_eq!(Fixed::round(f64::NAN), Fixed::LIMIT);
    assert_eq!(Fixed::round(f64::INFINITY), Fixed::LIMIT);
    assert!(Fixed::round(-1e300) < Fixed::ZERO);
}
