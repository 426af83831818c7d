//! The evidence of decisions, kept in schema `validation`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use tale_primitives::Digest;

use crate::{
    Decision, DecisionRules, Memory, Outcome, Panelist, ValidationError, ValidatorReport, Verdict, decide,
};

/// Everything that one decision was made from, and the decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoundEvidence {
    /// The training that the round belongs to: a key that its rounds share and no other training has.
    pub lineage: String,
    /// Number of the round, from 1.
    pub round: u32,
    /// Digest of the model that the updates change.
    pub base: Digest,
    /// What was handed to [`decide`].
    pub inputs: DecisionInputs,
    /// What it answered.
    pub decision: Decision,
}

/// The arguments of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionInputs {
    /// The thresholds.
    pub rules: DecisionRules,
    /// Who could vote.
    pub panel: Vec<Panelist>,
    /// What they found.
    pub reports: Vec<ValidatorReport>,
    /// What earlier rounds had left.
    pub memory: Memory,
}

/// A round as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRound {
    /// The evidence.
    pub evidence: RoundEvidence,
    /// When the transaction that recorded it began.
    pub recorded_at: DateTime<Utc>,
}

/// A recorded round in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoundSummary {
    /// The training.
    pub lineage: String,
    /// The round, from 1.
    pub round: u32,
    /// When it was decided.
    pub recorded_at: DateTime<Utc>,
    /// Updates accepted.
    pub accepted: u64,
    /// Updates rejected.
    pub rejected: u64,
    /// Updates deferred.
    pub deferred: u64,
    /// The fall of the mean held-out loss, in nano-nats, once the round is published.
    pub loss_drop: Option<i64>,
}

impl RoundEvidence {
    /// Decides a round and keeps the inputs beside the answer.
    pub fn decide(
        lineage: String,
        round: u32,
        base: Digest,
        inputs: DecisionInputs,
    ) -> Result<Self, ValidationError> {
        let decision = inputs.decide()?;
        Ok(Self { lineage, round, base, inputs, decision })
    }

    /// Whether deciding again from the recorded inputs gives the recorded decision.
    pub fn replays(&self) -> Result<bool, ValidationError> {
        Ok(self.inputs.decide()? == self.decision)
    }

    fn unreadable(&self, source: serde_json::Error) -> ValidationError {
        unreadable(&self.lineage, self.round)(source)
    }
}

impl DecisionInputs {
    fn decide(&self) -> Result<Decision, ValidationError> {
        decide(&self.rules, &self.panel, &self.reports, &self.memory)
    }
}

/// A round's number as the tables keep it; one beyond their range is refused by their checks.
pub(crate) fn number(round: u32) -> i32 {
    i32::try_from(round).unwrap_or(0)
}

/// A digest as the tables keep it.
pub(crate) fn stored_digest(bytes: Vec<u8>) -> Result<Digest, ValidationError> {
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|bytes| ValidationError::DigestLength(bytes.len()))?;
    Ok(Digest::from_bytes(bytes))
}

fn unreadable(lineage: &str, round: u32) -> impl Fn(serde_json::Error) -> ValidationError {
    move |source| ValidationError::Unreadable { lineage: lineage.to_owned(), round, source }
}

/// Records a round. Recording the same evidence again changes nothing; other evidence for a recorded
/// round is [`ValidationError::RoundDiffers`].
pub async fn record_round(conn: &mut PgConnection, evidence: &RoundEvidence) -> Result<(), ValidationError> {
    let encoded = |value: serde_json::Result<Value>| value.map_err(|source| evidence.unreadable(source));
    let inputs = encoded(serde_json::to_value(&evidence.inputs))?;
    let memory = encoded(serde_json::to_value(&evidence.decision.memory))?;
    let whole = serde_json::to_vec(evidence).map_err(|source| evidence.unreadable(source))?;
    let digest = Digest::of(whole);
    let round = number(evidence.round);
    let inserted = sqlx::query_file!(
        "../../sql/validation/insert_round.sql",
        evidence.lineage,
        round,
        evidence.base.as_bytes().as_slice(),
        digest.as_bytes().as_slice(),
        inputs,
        memory
    )
    .execute(&mut *conn)
    .await?;
    if inserted.rows_affected() == 0 {
        let recorded = sqlx::query_file_scalar!(
            "../../sql/validation/find_evidence_digest.sql",
            evidence.lineage,
            round
        )
        .fetch_one(conn)
        .await?;
        return if recorded == digest.as_bytes() {
            Ok(())
        } else {
            Err(ValidationError::RoundDiffers { lineage: evidence.lineage.clone(), round: evidence.round })
        };
    }
    insert_verdicts(conn, evidence, round).await
}

async fn insert_verdicts(
    conn: &mut PgConnection,
    evidence: &RoundEvidence,
    round: i32,
) -> Result<(), ValidationError> {
    let verdicts = &evidence.decision.verdicts;
    let generators: Vec<_> = verdicts.iter().map(|verdict| verdict.generator.raw()).collect();
    let outcomes: Vec<String> = verdicts.iter().map(|verdict| verdict.outcome.name().to_owned()).collect();
    let reasons: Vec<Option<String>> = verdicts.iter().map(|verdict| verdict.outcome.reason()).collect();
    let details: Vec<Value> = verdicts
        .iter()
        .map(|verdict| serde_json::to_value(verdict).map_err(|source| evidence.unreadable(source)))
        .collect::<Result<_, _>>()?;
    sqlx::query_file!(
        "../../sql/validation/insert_verdicts.sql",
        evidence.lineage,
        round,
        &generators,
        &outcomes,
        &reasons as &[Option<String>],
        &details
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The recorded evidence of one round.
pub async fn show_round(
    conn: &mut PgConnection,
    lineage: &str,
    round: u32,
) -> Result<RecordedRound, ValidationError> {
    let stored = number(round);
    let row = sqlx::query_file!("../../sql/validation/find_round.sql", lineage, stored)
        .fetch_optional(&mut *conn)
        .await?
        .ok_or_else(|| ValidationError::NoSuchRound { lineage: lineage.to_owned(), round })?;
    let verdicts = sqlx::query_file_scalar!("../../sql/validation/list_verdicts.sql", lineage, stored)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|details| serde_json::from_value::<Verdict>(details).map_err(unreadable(lineage, round)))
        .collect::<Result<_, _>>()?;
    let inputs: DecisionInputs = serde_json::from_value(row.evidence).map_err(unreadable(lineage, round))?;
    let memory: Memory = serde_json::from_value(row.memory).map_err(unreadable(lineage, round))?;
    let decision = Decision { verdicts, memory };
    let base = stored_digest(row.base_digest)?;
    let evidence = RoundEvidence { lineage: lineage.to_owned(), round, base, inputs, decision };
    Ok(RecordedRound { evidence, recorded_at: row.recorded_at })
}

/// The latest `limit` rounds, of one training or of all, the last decided first.
pub async fn list_rounds(
    conn: &mut PgConnection,
    lineage: Option<&str>,
    limit: u32,
) -> Result<Vec<RoundSummary>, ValidationError> {
    let rows = sqlx::query_file!("../../sql/validation/list_rounds.sql", lineage, i64::from(limit))
        .fetch_all(conn)
        .await?;
    let summaries = rows.into_iter().map(|row| RoundSummary {
        lineage: row.lineage,
        round: row.round.unsigned_abs(),
        recorded_at: row.recorded_at,
        accepted: row.accepted.unsigned_abs(),
        rejected: row.rejected.unsigned_abs(),
        deferred: row.deferred.unsigned_abs(),
        loss_drop: row.loss_drop,
    });
    Ok(summaries.collect())
}

impl Outcome {
    /// The word for it in tables and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected { .. } => "rejected",
            Self::Deferred { .. } => "deferred",
        }
    }

    /// Why the update is not in the next model; nothing for an accepted one.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Accepted => None,
            Self::Rejected { reason } => Some(reason.to_string()),
            Self::Deferred { voted, panel } => Some(format!("{voted} of {panel} validators voted")),
        }
    }
}
