//! Logs of attempts that have ended: one object each.
//!
//! An object is zstd over lines of JSON. The first names the attempt, so that no two attempts share an object; each other
//! is a line of the log.

use std::io::{BufRead, BufReader, Cursor, Write};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tale_primitives::{AttemptId, RunId, TaskId};

use crate::{QueueError, archive::Archive};

/// The first line of an object.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    run: RunId,
    task: TaskId,
    attempt: AttemptId,
}

/// Any other line of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub line: String,
}

/// An attempt with lines and without an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoggedAttempt {
    /// Its run.
    pub run: RunId,
    /// The attempt.
    pub attempt: AttemptId,
}

/// A log on its way into an object.
struct Packed {
    encoder: zstd::Encoder<'static, Vec<u8>>,
    task: TaskId,
    attempt_number: i16,
    lines: i64,
    text_bytes: i64,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
}

/// Makes one object of an attempt's whole log, and has readers look there from now on; says whether it did.
///
/// To be called when the attempt prints no more. `left_out_bytes` is what it printed beyond its limit, where that is
/// known. The object is kept before the row that names it commits, and the row commits only while the attempt's lines are
/// those of the object; so whoever dies in between, the lines are there once. Without lines nothing is written.
pub async fn archive_log(
    connection: &mut PgConnection,
    archive: &dyn Archive,
    logged: LoggedAttempt,
    left_out_bytes: Option<u64>,
) -> Result<bool, QueueError> {
    let Some(packed) = pack(connection, logged).await? else { return Ok(false) };
    let Packed { encoder, task, attempt_number, lines, text_bytes, first_at, last_at } = packed;
    let refused =
        |source| QueueError::Keep { what: format!("the log of attempt {}", logged.attempt), source };
    let bytes = encoder.finish().map_err(|error| refused(error.into()))?;
    let kept = archive.keep(bytes).await.map_err(refused)?;
    let inserted = sqlx::query_file!(
        "../../sql/queue/insert_attempt_log.sql",
        logged.attempt.raw(),
        attempt_number,
        logged.run.raw(),
        task.raw(),
        kept.digest.as_bytes().as_slice(),
        kept.size_bytes as i64,
        lines,
        text_bytes,
        left_out_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        first_at,
        last_at
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Reads the hot lines into an encoder, a few at a time; nothing where there are none.
async fn pack(connection: &mut PgConnection, logged: LoggedAttempt) -> Result<Option<Packed>, QueueError> {
    let refused = |source: std::io::Error| QueueError::Keep {
        what: format!("the log of attempt {}", logged.attempt),
        source: source.into(),
    };
    let mut rows =
        sqlx::query_file!("../../sql/queue/stream_hot_log.sql", logged.run.raw(), logged.attempt.raw())
            .fetch(connection);
    let mut packed: Option<Packed> = None;
    while let Some(row) = rows.try_next().await? {
        let packed = match &mut packed {
            Some(packed) => packed,
            None => {
                let task = TaskId::from_raw(row.task_id);
                let mut encoder = zstd::Encoder::new(Vec::new(), 0).map_err(refused)?;
                let header = Header { run: logged.run, task, attempt: logged.attempt };
                write(&mut encoder, &header).map_err(refused)?;
                packed.insert(Packed {
                    encoder,
                    task,
                    attempt_number: row.attempt_number,
                    lines: 0,
                    text_bytes: 0,
                    first_at: row.logged_at,
                    last_at: row.logged_at,
                })
            }
        };
        packed.lines += 1;
        packed.text_bytes += row.line.len() as i64;
        packed.last_at = packed.last_at.max(row.logged_at);
        let entry = Entry { seq: row.seq, at: row.logged_at, line: row.line };
        write(&mut packed.encoder, &entry).map_err(refused)?;
    }
    Ok(packed)
}

/// Writes one line of JSON.
pub(crate) fn write<T: Serialize>(to: &mut impl Write, value: &T) -> std::io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

/// Up to `limit` attempts that ended `settled_seconds` ago or longer and left lines that nobody made an object of: their
/// worker died, or the store did not answer it.
pub async fn unarchived_logs(
    connection: &mut PgConnection,
    settled_seconds: f64,
    limit: u32,
) -> Result<Vec<LoggedAttempt>, QueueError> {
    let rows =
        sqlx::query_file!("../../sql/queue/list_unarchived_logs.sql", settled_seconds, i64::from(limit))
            .fetch_all(connection)
            .await?;
    Ok(rows
        .into_iter()
        .map(|row| LoggedAttempt {
            run: RunId::from_raw(row.run_id),
            attempt: AttemptId::from_raw(row.attempt_id),
        })
        .collect())
}

/// Drops up to `limit` hot lines of attempts whose log is an object; returns how many.
pub async fn clear_archived_logs(connection: &mut PgConnection, limit: u32) -> Result<u64, QueueError> {
    let cleared = sqlx::query_file!("../../sql/queue/clear_archived_logs.sql", i64::from(limit))
        .execute(connection)
        .await?;
    Ok(cleared.rows_affected())
}

/// The lines of an object, unpacked as they are asked for.
pub(crate) struct Unpacked {
    attempt: AttemptId,
    lines: BufReader<zstd::Decoder<'static, BufReader<Cursor<Vec<u8>>>>>,
    text: String,
}

impl Unpacked {
    /// The log of this attempt in these bytes.
    pub fn open(attempt: AttemptId, bytes: Vec<u8>) -> Result<Self, QueueError> {
        let damaged = |source| QueueError::Damaged { what: format!("the log of attempt {attempt}"), source };
        let decoder = zstd::Decoder::new(Cursor::new(bytes)).map_err(damaged)?;
        let mut unpacked = Self { attempt, lines: BufReader::new(decoder), text: String::new() };
        let header: Option<Header> = unpacked.read().map_err(damaged)?;
        match header {
            Some(header) if header.attempt == attempt => Ok(unpacked),
            _ => Err(damaged(std::io::Error::other("it is the log of another attempt"))),
        }
    }

    /// The next line.
    pub fn next(&mut self) -> Result<Option<Entry>, QueueError> {
        let what = || format!("the log of attempt {}", self.attempt);
        let (attempt, read) = (what(), self.read());
        read.map_err(|source| QueueError::Damaged { what: attempt, source })
    }

    fn read<T: for<'de> Deserialize<'de>>(&mut self) -> std::io::Result<Option<T>> {
        self.text.clear();
        if self.lines.read_line(&mut self.text)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&self.text)?))
    }
}
