//! Reading logs, wherever their lines are.
//!
//! Every line of an attempt is given once, in its order, and lines of several attempts in the order of their times. What
//! makes that so while attempts print, end and are archived: one process stores an attempt's lines in their order, so that
//! whoever looks sees a beginning of the log; an object holds the whole log; and each look is one statement, which sees
//! either the object or the lines.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tale_primitives::{AttemptId, RunId, TaskId};

use crate::{
    LogLine, QueueError,
    archive::{Archive, Kept},
    log_archive::{Entry, Unpacked},
    retention::{ArchivedLog, archived_logs, find_archived_run},
};

/// How many hot lines of an attempt are read at a time.
const PAGE: i64 = 500;

/// Which lines of a run to read.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// Only those of this step.
    pub step: Option<String>,
    /// Only those of the tasks with this place in their step's fan-out.
    pub index: Option<i32>,
    /// Only those of this attempt at each task, from 1.
    pub attempt_number: Option<u32>,
}

/// A reader's place in the logs of a run and its sub-runs.
#[derive(Debug)]
pub struct LogReader {
    run: RunId,
    filter: LogFilter,
    /// The last line that was given of attempts that have no object yet.
    seen: HashMap<AttemptId, i64>,
    /// Attempts whose whole log was given.
    finished: HashSet<AttemptId>,
}

/// The lines of one attempt that are still to be given.
struct Source {
    line: LogLine,
    kept: Option<Kept>,
    after: i64,
    lines: Lines,
}

enum Lines {
    Unopened,
    Hot(VecDeque<Entry>),
    Archived(Box<Unpacked>),
    Ended,
}

impl LogReader {
    /// A reader that has been given nothing yet.
    pub fn new(run: RunId, filter: LogFilter) -> Self {
        Self { run, filter, seen: HashMap::new(), finished: HashSet::new() }
    }

    /// Gives `each` every line that is there and that it was not given before; returns how many these were.
    ///
    /// When a run has ended, everything that its attempts printed is there, unless a worker was lost.
    pub async fn read<E: From<QueueError>>(
        &mut self,
        connection: &mut PgConnection,
        archive: &dyn Archive,
        mut each: impl FnMut(LogLine) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut sources = self.sources(connection, archive).await?;
        // the source with the earliest line comes first; one that was not opened yet counts by its first
        let mut order: BinaryHeap<Reverse<(DateTime<Utc>, usize)>> = sources
            .iter()
            .enumerate()
            .map(|(place, source)| Reverse((source.line.logged_at, place)))
            .collect();
        let mut given = 0;
        while let Some(Reverse((_, place))) = order.pop() {
            let source = &mut sources[place];
            if !matches!(source.lines, Lines::Unopened) {
                let line = source.line.clone();
                if matches!(source.lines, Lines::Hot(_)) {
                    self.seen.insert(line.attempt, line.seq);
                }
                each(line)?;
                given += 1;
            }
            if source.advance(connection, archive).await? {
                order.push(Reverse((source.line.logged_at, place)));
            } else if source.kept.is_some() {
                self.seen.remove(&source.line.attempt);
                self.finished.insert(source.line.attempt);
            }
        }
        Ok(given)
    }

    async fn sources(
        &self,
        connection: &mut PgConnection,
        archive: &dyn Archive,
    ) -> Result<Vec<Source>, QueueError> {
        if let Some(archived) = find_archived_run(connection, self.run).await? {
            let logs = archived_logs(archive, &archived).await?;
            let wanted = logs.into_iter().filter(|log| self.wants(log));
            let after = |log: &ArchivedLog| self.seen.get(&log.attempt_id).copied().unwrap_or(-1);
            return Ok(wanted.map(|log| Source { after: after(&log), ..Source::from(log) }).collect());
        }
        let (attempts, seen): (Vec<i64>, Vec<i64>) =
            self.seen.iter().map(|(attempt, seq)| (attempt.raw(), *seq)).unzip();
        let finished: Vec<i64> = self.finished.iter().map(|attempt| attempt.raw()).collect();
        let rows = sqlx::query_file!(
            "../../sql/queue/list_logs.sql",
            self.run.raw(),
            &attempts,
            &seen,
            &finished,
            self.filter.step,
            self.filter.index,
            self.filter.attempt_number.map(|number| i16::try_from(number).unwrap_or(i16::MAX))
        )
        .fetch_all(connection)
        .await?;
        rows.into_iter()
            .map(|row| {
                let attempt = AttemptId::from_raw(row.attempt_id);
                let line = LogLine {
                    run: RunId::from_raw(row.run_id),
                    step: row.step,
                    index: row.index,
                    task: TaskId::from_raw(row.task_id),
                    attempt,
                    attempt_number: u32::from(row.attempt_number.unsigned_abs()),
                    seq: -1,
                    logged_at: row.starts_at,
                    line: String::new(),
                };
                let kept = match row.digest.zip(row.size_bytes) {
                    Some((digest, size_bytes)) => Some(Kept::stored(&digest, size_bytes)?),
                    None => None,
                };
                let after = self.seen.get(&attempt).copied().unwrap_or(-1);
                Ok(Source { line, kept, after, lines: Lines::Unopened })
            })
            .collect()
    }
}

impl LogReader {
    /// Whether a log of an archived run is to be given.
    fn wants(&self, log: &ArchivedLog) -> bool {
        let LogFilter { step, index, attempt_number } = &self.filter;
        !self.finished.contains(&log.attempt_id)
            && step.as_ref().is_none_or(|step| *step == log.step)
            && index.is_none_or(|index| index == log.index)
            && attempt_number.is_none_or(|number| i64::from(number) == i64::from(log.attempt_number))
    }
}

impl From<ArchivedLog> for Source {
    fn from(log: ArchivedLog) -> Self {
        let line = LogLine {
            run: log.run_id,
            step: log.step,
            index: log.index,
            task: log.task_id,
            attempt: log.attempt_id,
            attempt_number: u32::from(log.attempt_number.unsigned_abs()),
            seq: -1,
            logged_at: log.first_at,
            line: String::new(),
        };
        let kept = Kept { digest: log.digest, size_bytes: log.size_bytes };
        Self { line, kept: Some(kept), after: -1, lines: Lines::Unopened }
    }
}

impl Source {
    /// Makes the next line the current one; false where there is none now.
    async fn advance(
        &mut self,
        connection: &mut PgConnection,
        archive: &dyn Archive,
    ) -> Result<bool, QueueError> {
        loop {
            let next = match &mut self.lines {
                Lines::Hot(page) if !page.is_empty() => page.pop_front(),
                Lines::Unopened | Lines::Hot(_) => {
                    self.open(connection, archive).await?;
                    continue;
                }
                Lines::Archived(unpacked) => unpacked.next()?,
                Lines::Ended => None,
            };
            match next {
                Some(entry) if entry.seq <= self.after => {}
                Some(Entry { seq, at, line }) => {
                    self.after = seq;
                    (self.line.seq, self.line.logged_at, self.line.line) = (seq, at, line);
                    return Ok(true);
                }
                None => return Ok(false),
            }
        }
    }

    /// Looks where the rest of the attempt's lines is.
    async fn open(&mut self, connection: &mut PgConnection, archive: &dyn Archive) -> Result<(), QueueError> {
        if self.kept.is_none() {
            let rows = sqlx::query_file!(
                "../../sql/queue/read_attempt_log.sql",
                self.line.run.raw(),
                self.line.attempt.raw(),
                self.after,
                PAGE
            )
            .fetch_all(connection)
            .await?;
            let mut page = VecDeque::with_capacity(rows.len());
            for row in rows {
                if let Some((digest, size_bytes)) = row.digest.zip(row.size_bytes) {
                    self.kept = Some(Kept::stored(&digest, size_bytes)?);
                }
                if let Some(((seq, at), line)) = row.seq.zip(row.logged_at).zip(row.line) {
                    page.push_back(Entry { seq, at, line });
                }
            }
            self.lines = if page.is_empty() { Lines::Ended } else { Lines::Hot(page) };
        }
        if let Some(kept) = &self.kept {
            let what = || format!("the log of attempt {}", self.line.attempt);
            let bytes = archive.fetch(kept).await.map_err(|source| QueueError::Fetch {
                what: what(),
                kept: kept.digest,
                source,
            })?;
            self.lines = Lines::Archived(Box::new(Unpacked::open(self.line.attempt, bytes)?));
        }
        Ok(())
    }
}
