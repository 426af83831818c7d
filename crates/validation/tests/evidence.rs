//! The evidence tables: what is recorded comes back, once, and cannot be replaced.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use chrono::NaiveDate;
use sqlx::PgConnection;
use tale_primitives::{Digest, GeneratorId, UtcDay};
use tale_testkit::TestDatabase;
use tale_validation::*;

fn generator(number: usize) -> GeneratorId {
    GeneratorId::derive("evidence", &number.to_string())
}

/// A round of five updates: the first is gated, the second harmful, the rest good.
fn inputs() -> DecisionInputs {
    let score = |gain: f64| {
        let without: Vec<Fixed> =
            (0..100).map(|row| Fixed::round(1.0 + gain + 0.001 * f64::from(row % 7))).collect();
        let labels: Vec<u32> = (0..100).map(|row| row % 2).collect();
        MarginalScore::measure(&labels, &without, &[Fixed::round(1.0); 100]).expect("same rows")
    };
    let finding = |(number, gain): (usize, f64)| Finding {
        generator: generator(number),
        update: Digest::of(number.to_string()),
        assessment: match number {
            0 => Assessment::Gated { failure: GateFailure::Copy { of: generator(2), cosine_ppm: 998_700 } },
            _ => Assessment::Scored { weight_ppb: 200_000_000, score: score(gain) },
        },
    };
    let gains = [0.0, -0.3, 0.010, 0.012, 0.011];
    let report = |number| ValidatorReport {
        validator: generator(number),
        base: Digest::of("base"),
        rows: Digest::of(number.to_string()),
        findings: gains.into_iter().enumerate().map(finding).collect(),
    };
    let panelist = |number| Panelist { validator: generator(number), credibility_ppm: 900_000 };
    DecisionInputs {
        rules: DecisionRules::default(),
        panel: [10, 11, 12].map(panelist).to_vec(),
        reports: [10, 11].map(report).to_vec(),
        memory: Memory::default(),
    }
}

fn evidence(lineage: &str, round: u32) -> RoundEvidence {
    RoundEvidence::decide(lineage.to_owned(), round, Digest::of("base"), inputs()).expect("a decision")
}

fn outcome(lineage: &str, round: u32, day: u32, points: &[(usize, i64)]) -> RoundOutcome {
    let contributions =
        points.iter().map(|&(number, points)| Contribution { generator: generator(number), points });
    let mut contributions: Vec<_> = contributions.collect();
    contributions.sort_by_key(|one| one.generator);
    let change = LossChange { rows: 10, before: 20 << 20, after: 10 << 20 };
    RoundOutcome {
        lineage: lineage.to_owned(),
        round,
        epoch: UtcDay::from_date(NaiveDate::from_ymd_opt(2026, 11, day).expect("a date")),
        result: Digest::of("result"),
        change,
        points: RoundPoints { contributions, loss_drop: 1_000_000_000, residual: 7 },
    }
}

async fn connection(database: &TestDatabase) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
    database.pool().acquire().await.expect("a connection")
}

async fn rounds(conn: &mut PgConnection, lineage: Option<&str>) -> Vec<(String, u32, u64, u64, Option<i64>)> {
    let rounds = list_rounds(conn, lineage, 10).await.expect("rounds");
    rounds.into_iter().map(|r| (r.lineage, r.round, r.accepted, r.rejected, r.loss_drop)).collect()
}

#[tokio::test]
async fn a_recorded_round_comes_back_whole_and_replays() {
    let database = TestDatabase::create().await;
    let mut conn = connection(&database).await;
    let evidence = evidence("training", 1);
    assert_eq!(evidence.decision.accepted().len(), 3);
    record_round(&mut conn, &evidence).await.expect("recorded");
    let shown = show_round(&mut conn, "training", 1).await.expect("shown");
    assert_eq!(shown.evidence, evidence);
    assert!(shown.evidence.replays().expect("a decision"));
    let reasons: Vec<String> =
        shown.evidence.decision.verdicts.iter().filter_map(|verdict| verdict.outcome.reason()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("copy of the earlier update")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("makes the aggregate worse")), "{reasons:?}");
    let missing = show_round(&mut conn, "training", 2).await;
    assert!(matches!(missing, Err(ValidationError::NoSuchRound { round: 2, .. })));
}

#[tokio::test]
async fn recording_a_round_again_changes_nothing_and_other_evidence_is_refused() {
    let database = TestDatabase::create().await;
    let mut conn = connection(&database).await;
    let first = evidence("training", 1);
    for _ in 0..2 {
        record_round(&mut conn, &first).await.expect("recorded");
    }
    let mut other = inputs();
    other.reports.pop();
    let other =
        RoundEvidence::decide("training".to_owned(), 1, Digest::of("base"), other).expect("a decision");
    let refused = record_round(&mut conn, &other).await;
    assert!(matches!(refused, Err(ValidationError::RoundDiffers { round: 1, .. })), "{refused:?}");
    assert_eq!(show_round(&mut conn, "training", 1).await.expect("shown").evidence, first);
}

#[tokio::test]
async fn tampered_evidence_does_not_replay() {
    let database = TestDatabase::create().await;
    let mut conn = connection(&database).await;
    record_round(&mut conn, &evidence("training", 1)).await.expect("recorded");
    sqlx::query(
        "update validation.verdict set details = jsonb_set(details, '{outcome}', '\"accepted\"'), \
         outcome = 'accepted', reason = null where outcome = 'rejected'",
    )
    .execute(&mut *conn)
    .await
    .expect("tampered");
    let shown = show_round(&mut conn, "training", 1).await.expect("shown");
    assert!(!shown.evidence.replays().expect("a decision"));
}

#[tokio::test]
async fn rounds_are_listed_with_their_verdicts_and_effects() {
    let database = TestDatabase::create().await;
    let mut conn = connection(&database).await;
    for (lineage, round) in [("a", 1), ("a", 2), ("b", 1)] {
        record_round(&mut conn, &evidence(lineage, round)).await.expect("recorded");
    }
    record_contributions(&mut conn, &outcome("a", 1, 23, &[(2, 5), (3, -3)])).await.expect("recorded");
    let of_a = rounds(&mut conn, Some("a")).await;
    assert_eq!(of_a, [("a".into(), 2, 3, 2, None), ("a".into(), 1, 3, 2, Some(1_000_000_000))]);
    assert_eq!(rounds(&mut conn, None).await.len(), 3);
}

#[tokio::test]
async fn points_are_summed_per_generator_and_day_and_count_once() {
    let database = TestDatabase::create().await;
    let mut conn = connection(&database).await;
    let first = outcome("a", 1, 23, &[(1, 5), (2, -3)]);
    for recorded in [
        &first,
        &first,
        &outcome("a", 2, 23, &[(1, 7)]),
        &outcome("b", 1, 23, &[(2, 1)]),
        &outcome("b", 2, 24, &[(1, 9)]),
    ] {
        record_contributions(&mut conn, recorded).await.expect("recorded");
    }
    // The same round published again after midnight still belongs to the day of the first time.
    record_contributions(&mut conn, &outcome("a", 1, 24, &[(1, 5), (2, -3)])).await.expect("nothing to do");
    let mut expected = [(generator(1), 12), (generator(2), -2)];
    expected.sort();
    let points = contributions_of(&mut conn, first.epoch).await.expect("points");
    assert_eq!(points.iter().map(|one| (one.generator, one.points)).collect::<Vec<_>>(), expected);
    let refused = record_contributions(&mut conn, &outcome("a", 1, 23, &[(1, 6)])).await;
    assert!(matches!(refused, Err(ValidationError::ContributionsDiffer { round: 1, .. })));
    assert_eq!(find_outcome(&mut conn, "a", 1).await.expect("an answer"), Some(first));
    assert_eq!(find_outcome(&mut conn, "a", 9).await.expect("an answer"), None);
}

#[tokio::test]
async fn the_database_refuses_a_rejection_without_a_reason() {
    let database = TestDatabase::create().await;
    let mut conn = connection(&database).await;
    record_round(&mut conn, &evidence("training", 1)).await.expect("recorded");
    let silenced = sqlx::query("update validation.verdict set reason = null where outcome = 'rejected'")
        .execute(&mut *conn)
        .await;
    let message = silenced.expect_err("refused").to_string();
    assert!(message.contains("verdict_reason_iff_not_accepted"), "{message}");
}
