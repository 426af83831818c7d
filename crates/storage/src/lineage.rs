//! Lineage: which attempt made which object from which others.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::{AttemptId, Digest, RunId, TaskId};

use crate::{ObjectRole, StorageError, Touches, artifacts::stored_size};

/// How many attempts one step of a walk follows.
const PRODUCTIONS_MAX: i64 = 1000;
/// How many attempts a walk finds in all.
const LINEAGE_MAX: usize = 10_000;

/// Who touched objects: an attempt whose acknowledgement wins.
#[derive(Debug, Clone)]
pub struct NewProduction {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptId,
    /// The run's pipeline.
    pub pipeline: String,
    /// The step's name.
    pub step: String,
    /// The task's place in the step's fan-out.
    pub index: i32,
    /// The task kind.
    pub kind: String,
    /// How long the attempt has taken, in seconds.
    pub took_seconds: f64,
    /// What it touched.
    pub touches: Touches,
}

/// An attempt in a lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Production {
    /// The attempt.
    pub attempt: AttemptId,
    /// The task.
    pub task: TaskId,
    /// The run, which may be archived.
    pub run: RunId,
    /// The run's pipeline.
    pub pipeline: String,
    /// The step's name.
    pub step: String,
    /// The task's place in the step's fan-out.
    pub index: i32,
    /// The task kind.
    pub kind: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was acknowledged.
    pub produced_at: DateTime<Utc>,
    /// Whether it touched more objects than are listed.
    pub is_cut: bool,
    /// What it was given and read.
    pub inputs: Vec<LineageObject>,
    /// What it wrote.
    pub outputs: Vec<LineageObject>,
}

/// An object in a lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineageObject {
    /// Its digest; `None` for what was read by its place alone.
    pub digest: Option<Digest>,
    /// The data set, the artifact or the path.
    pub name: Option<String>,
    /// The newest artifact with these bytes.
    pub artifact: Option<i64>,
    /// How to read its bytes.
    pub media_type: Option<String>,
    /// The pipeline and the step that published that artifact, as `pipeline.step`.
    pub source: Option<String>,
    /// How many bytes it has.
    pub size_bytes: Option<i64>,
    /// How the attempt has to do with it.
    pub role: ObjectRole,
}

/// Which way to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From an object to what made it.
    Up,
    /// From an object to what was made of it.
    Down,
}

/// Objects and attempts that lead to an object, or from it.
#[derive(Debug, Clone, Serialize)]
pub struct Lineage {
    /// Where the walk began.
    pub object: Digest,
    /// Which way it went.
    pub direction: Direction,
    /// The attempts that it found, the nearest first.
    pub productions: Vec<Production>,
    /// Whether there are more beyond the depth or the number that it was allowed.
    pub is_cut: bool,
}

/// Records what an attempt touched; to be called in the transaction of its winning acknowledgement alone.
pub async fn record_production(
    conn: &mut PgConnection,
    production: &NewProduction,
) -> Result<(), StorageError> {
    let (mut roles, mut digests, mut names, mut sizes) = (vec![], vec![], vec![], vec![]);
    for touched in &production.touches.objects {
        roles.push(touched.role.as_str().to_owned());
        digests.push(touched.digest.map(|digest| digest.as_bytes().to_vec()));
        names.push(touched.name.clone());
        sizes.push(touched.size_bytes.map(stored_size).transpose()?);
    }
    sqlx::query_file!(
        "../../sql/storage/insert_production.sql",
        production.attempt.raw(),
        production.task.raw(),
        production.run.raw(),
        production.pipeline,
        production.step,
        production.index,
        production.kind,
        production.touches.is_cut,
        production.took_seconds,
        &roles,
        &digests as &[Option<Vec<u8>>],
        &names as &[Option<String>],
        &sizes as &[Option<i64>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a person may mean by `text`, the likeliest first: an artifact's number, the beginning of a digest (at least six
/// digits), a data set, or the newest artifact of that name. With each object, what it is.
pub async fn find_objects(
    conn: &mut PgConnection,
    text: &str,
) -> Result<Vec<(Digest, String)>, StorageError> {
    let bounds = digest_bounds(text);
    let (first, last) = bounds.unzip();
    let rows = sqlx::query_file!("../../sql/storage/find_lineage_roots.sql", text, first, last)
        .fetch_all(conn)
        .await?;
    let mut found: Vec<(Digest, String)> = vec![];
    for row in rows {
        let digest = stored_digest(&row.digest)?;
        if found.iter().all(|(known, _)| *known != digest) {
            found.push((digest, row.what));
        }
    }
    Ok(found)
}

/// The least and the greatest digest that begin like this.
fn digest_bounds(text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let is_prefix = (6..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bound = |filler: char| {
        let digits: String = text.chars().chain(std::iter::repeat(filler)).take(64).collect();
        digits.to_ascii_lowercase().parse::<Digest>().ok().map(|digest| digest.as_bytes().to_vec())
    };
    is_prefix.then(|| bound('0').zip(bound('f'))).flatten()
}

/// Walks from an object over at most `depth` attempts in a row.
pub async fn walk_lineage(
    conn: &mut PgConnection,
    object: Digest,
    direction: Direction,
    depth: u32,
) -> Result<Lineage, StorageError> {
    let mut lineage = Lineage { object, direction, productions: vec![], is_cut: false };
    let mut seen = BTreeSet::from([object]);
    let mut known = BTreeSet::new();
    let mut frontier = vec![object];
    for _ in 0..depth {
        if frontier.is_empty() {
            return Ok(lineage);
        }
        let found = productions(conn, &frontier, direction).await?;
        lineage.is_cut |= found.len() as i64 == PRODUCTIONS_MAX;
        frontier.clear();
        for production in found {
            if !known.insert(production.attempt) {
                continue;
            }
            if lineage.productions.len() == LINEAGE_MAX {
                lineage.is_cut = true;
                return Ok(lineage);
            }
            let next = match direction {
                Direction::Up => &production.inputs,
                Direction::Down => &production.outputs,
            };
            frontier
                .extend(next.iter().filter_map(|object| object.digest).filter(|digest| seen.insert(*digest)));
            lineage.productions.push(production);
        }
    }
    lineage.is_cut |= !frontier.is_empty() && !productions(conn, &frontier, direction).await?.is_empty();
    Ok(lineage)
}

/// The attempts of a run that touched objects, in the order of their ends; `limit` of them at most.
pub async fn run_productions(
    conn: &mut PgConnection,
    run: RunId,
    limit: u32,
) -> Result<Vec<Production>, StorageError> {
    let rows = sqlx::query_file_as!(
        ProductionRow,
        "../../sql/storage/list_run_productions.sql",
        run.raw(),
        i64::from(limit)
    )
    .fetch_all(&mut *conn)
    .await?;
    with_objects(conn, rows).await
}

/// The attempts that wrote these objects, or used them.
async fn productions(
    conn: &mut PgConnection,
    objects: &[Digest],
    direction: Direction,
) -> Result<Vec<Production>, StorageError> {
    let digests: Vec<Vec<u8>> = objects.iter().map(|digest| digest.as_bytes().to_vec()).collect();
    let is_writer = direction == Direction::Up;
    let rows = sqlx::query_file_as!(
        ProductionRow,
        "../../sql/storage/list_productions.sql",
        &digests,
        is_writer,
        PRODUCTIONS_MAX
    )
    .fetch_all(&mut *conn)
    .await?;
    with_objects(conn, rows).await
}

struct ProductionRow {
    attempt_id: i64,
    task_id: i64,
    run_id: sqlx::types::Uuid,
    pipeline: String,
    step: String,
    index: i32,
    kind: String,
    is_cut: bool,
    started_at: DateTime<Utc>,
    produced_at: DateTime<Utc>,
}

async fn with_objects(
    conn: &mut PgConnection,
    rows: Vec<ProductionRow>,
) -> Result<Vec<Production>, StorageError> {
    let attempts: Vec<i64> = rows.iter().map(|row| row.attempt_id).collect();
    let objects =
        sqlx::query_file!("../../sql/storage/list_touched_objects.sql", &attempts).fetch_all(conn).await?;
    let mut by_attempt: BTreeMap<i64, (Vec<LineageObject>, Vec<LineageObject>)> = BTreeMap::new();
    for row in objects {
        let object = LineageObject {
            digest: row.digest.as_deref().map(stored_digest).transpose()?,
            name: row.name,
            artifact: row.artifact,
            media_type: row.media_type,
            source: row.source,
            size_bytes: row.size_bytes,
            role: row.role.parse()?,
        };
        let (inputs, outputs) = by_attempt.entry(row.attempt_id).or_default();
        match object.role {
            ObjectRole::Written => outputs.push(object),
            // what is named and read is listed once, as read
            ObjectRole::Read => {
                match inputs.iter_mut().find(|input| input.digest == object.digest && object.digest.is_some())
                {
                    Some(input) => *input = object,
                    None => inputs.push(object),
                }
            }
            ObjectRole::Argument => inputs.push(object),
        }
    }
    Ok(rows
        .into_iter()
        .map(|row| {
            let (inputs, outputs) = by_attempt.remove(&row.attempt_id).unwrap_or_default();
            Production {
                attempt: AttemptId::from_raw(row.attempt_id),
                task: TaskId::from_raw(row.task_id),
                run: RunId::from_raw(row.run_id),
                pipeline: row.pipeline,
                step: row.step,
                index: row.index,
                kind: row.kind,
                started_at: row.started_at,
                produced_at: row.produced_at,
                is_cut: row.is_cut,
                inputs,
                outputs,
            }
        })
        .collect())
}

fn stored_digest(bytes: &[u8]) -> Result<Digest, StorageError> {
    let digest = <[u8; 32]>::try_from(bytes);
    digest
        .map(Digest::from_bytes)
        .map_err(|_| StorageError::UnreadableRow { what: "digest", value: format!("{} bytes", bytes.len()) })
}

impl ObjectRole {
    /// The word that the database has.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Read => "read",
            Self::Written => "written",
        }
    }
}

impl std::str::FromStr for ObjectRole {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<Self, StorageError> {
        match text {
            "argument" => Ok(Self::Argument),
            "read" => Ok(Self::Read),
            "written" => Ok(Self::Written),
            _ => Err(StorageError::UnreadableRow { what: "role", value: text.to_owned() }),
        }
    }
}
