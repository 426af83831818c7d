//! Log lines on their way to the database, and whole logs on theirs to the object store.
//!
//! An attempt that prints nothing sends nothing. One that prints ends only when its lines are stored: whoever sees that a
//! task has ended finds everything that it printed.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use sqlx::PgPool;
use tale_primitives::RunId;
use tale_queue::{
    LOG_LINE_LENGTH_MAX, Lease, LoggedAttempt, NewLogLine, QueueError, SharedArchive, append_logs,
    archive_log,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{self, Instant, timeout_at},
};

use crate::outcome::chain;

/// How long lines are gathered before they are stored.
const GATHER: Duration = Duration::from_millis(200);
/// How many lines one transaction stores.
const BATCH: usize = 1000;
/// Bytes that may wait in one worker: tasks that print faster than the database stores have lines left out in the end.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// How long an attempt's end waits for its last lines while the database does not answer.
const LAST_LINES: Duration = Duration::from_secs(2);
/// How long to wait before storing again what the database did not take.
const PAUSE: Duration = Duration::from_millis(200);
/// How many objects are made at the same time.
const ARCHIVING_MAX: usize = 4;

/// Where attempts send their lines.
#[derive(Debug, Clone)]
pub(crate) struct LogSender {
    sender: mpsc::UnboundedSender<Message>,
    waiting: Arc<AtomicUsize>,
    attempt_bytes_max: u64,
}

#[derive(Debug)]
pub(crate) enum Message {
    Line(NewLogLine),
    End(Ending),
}

/// An attempt that prints no more.
#[derive(Debug)]
pub(crate) struct Ending {
    logged: LoggedAttempt,
    left_out_bytes: u64,
    /// Told when all its lines are stored.
    stored: oneshot::Sender<()>,
}

/// One attempt's log.
#[derive(Debug, Clone)]
pub(crate) struct AttemptLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    to: LogSender,
    run: RunId,
    lease: Lease,
    attempt_number: u32,
    printed: Mutex<Printed>,
}

#[derive(Debug, Default)]
struct Printed {
    lines: i64,
    bytes: u64,
    left_out_bytes: u64,
    is_full: bool,
    is_over: bool,
}

/// A way for the lines of attempts, each of which keeps `attempt_bytes_max` bytes of them.
pub(crate) fn channel(attempt_bytes_max: u64) -> (LogSender, LogReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let receiver = LogReceiver { receiver, waiting: Arc::clone(&waiting) };
    (LogSender { sender, waiting, attempt_bytes_max }, receiver)
}

impl LogSender {
    /// The log of an attempt that starts.
    pub fn begin(&self, run: RunId, lease: Lease, attempt_number: u32) -> AttemptLog {
        let printed = Mutex::default();
        AttemptLog(Arc::new(Inner { to: self.clone(), run, lease, attempt_number, printed }))
    }
}

impl AttemptLog {
    /// Keeps a line, or counts it where there is no room for it any more.
    pub fn print(&self, mut line: String) {
        let mut printed = self.lock();
        if printed.is_over {
            return;
        }
        if let Some((cut, _)) = line.char_indices().nth(LOG_LINE_LENGTH_MAX) {
            printed.left_out_bytes += (line.len() - cut) as u64;
            line.truncate(cut);
        }
        // with its end, so that empty lines count too
        let bytes = line.len() as u64 + 1;
        let max = self.0.to.attempt_bytes_max;
        if printed.is_full || printed.bytes + bytes > max {
            printed.left_out_bytes += bytes;
            if !printed.is_full {
                printed.is_full = true;
                let note = format!("… the log's limit of {max} bytes is reached: what follows is left out");
                self.send(&mut printed, note);
            }
        } else if self.0.to.waiting.load(Ordering::Relaxed) > WAITING_BYTES_MAX {
            printed.left_out_bytes += bytes;
        } else {
            printed.bytes += bytes;
            self.send(&mut printed, line);
        }
    }

    /// Ends the log; when this returns, its lines are stored, unless the database does not answer.
    pub async fn end(&self) {
        let stored = {
            let mut printed = self.lock();
            if printed.is_over {
                return;
            }
            printed.is_over = true;
            if printed.left_out_bytes > 0 {
                let note = format!("… {} bytes of log were left out", printed.left_out_bytes);
                self.send(&mut printed, note);
            }
            if printed.lines == 0 {
                return;
            }
            let logged = LoggedAttempt { run: self.0.run, attempt: self.0.lease.attempt };
            let (stored, told) = oneshot::channel();
            let ending = Ending { logged, left_out_bytes: printed.left_out_bytes, stored };
            let _ = self.0.to.sender.send(Message::End(ending));
            told
        };
        // without an answer the lines are stored later: the loop goes on until it has stored them
        let _ = time::timeout(LAST_LINES, stored).await;
    }

    /// Under the lock, so that lines are sent in the order of their numbers.
    fn send(&self, printed: &mut Printed, line: String) {
        let Inner { to, run, lease, attempt_number, .. } = &*self.0;
        to.waiting.fetch_add(line.len(), Ordering::Relaxed);
        let line = NewLogLine {
            run: *run,
            lease: *lease,
            attempt_number: *attempt_number,
            seq: printed.lines,
            logged_at: Utc::now(),
            line,
        };
        printed.lines += 1;
        let _ = to.sender.send(Message::Line(line));
    }

    fn lock(&self) -> MutexGuard<'_, Printed> {
        // no code panics while it holds the lock
        self.0.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the lines of all attempts arrive.
#[derive(Debug)]
pub(crate) struct LogReceiver {
    receiver: mpsc::UnboundedReceiver<Message>,
    waiting: Arc<AtomicUsize>,
}

/// Stores the lines of all attempts until the last sender is gone, and makes objects of the logs of those that end.
pub(crate) async fn store_logs(pool: PgPool, archive: SharedArchive, mut from: LogReceiver) {
    let mut archiving = JoinSet::new();
    let mut lines = Vec::new();
    let mut endings = Vec::new();
    while let Some(first) = from.receiver.recv().await {
        sort(first, &mut lines, &mut endings);
        let until = Instant::now() + GATHER;
        while lines.len() < BATCH {
            // an attempt that has ended waits for nothing but what is here already
            let next = match endings.is_empty() {
                true => timeout_at(until, from.receiver.recv()).await.ok().flatten(),
                false => from.receiver.try_recv().ok(),
            };
            match next {
                Some(message) => sort(message, &mut lines, &mut endings),
                None => break,
            }
        }
        store(&pool, &lines).await;
        from.waiting.fetch_sub(lines.drain(..).map(|line| line.line.len()).sum(), Ordering::Relaxed);
        for Ending { logged, left_out_bytes, stored } in endings.drain(..) {
            let _ = stored.send(());
            while archiving.len() >= ARCHIVING_MAX {
                archiving.join_next().await;
            }
            archiving.spawn(make_object(pool.clone(), archive.clone(), logged, left_out_bytes));
        }
        while archiving.try_join_next().is_some() {}
    }
    archiving.join_all().await;
}

fn sort(message: Message, lines: &mut Vec<NewLogLine>, endings: &mut Vec<Ending>) {
    match message {
        Message::Line(line) => lines.push(line),
        Message::End(ending) => endings.push(ending),
    }
}

/// Stores lines, again and again while the database does not answer.
async fn store(pool: &PgPool, lines: &[NewLogLine]) {
    if lines.is_empty() {
        return;
    }
    loop {
        let stored = async { append_logs(&mut *pool.acquire().await?, lines).await };
        match stored.await {
            Ok(()) => return,
            Err(error) if error.is_transient() => {
                tracing::debug!(error = chain(&error), "log lines wait for the database");
                time::sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), lines = lines.len(), "log lines were lost");
                return;
            }
        }
    }
}

/// What fails here a scheduler does later: the lines stay where they are.
async fn make_object(pool: PgPool, archive: SharedArchive, logged: LoggedAttempt, left_out_bytes: u64) {
    let made = async {
        let mut connection = pool.acquire().await?;
        archive_log(&mut connection, &*archive, logged, Some(left_out_bytes)).await
    };
    if let Err(error) = made.await {
        let error: QueueError = error;
        tracing::debug!(error = chain(&error), attempt = %logged.attempt, "a log was not archived yet");
    }
}
