//! What a program prints: every line to the log, the end of it to the outputs.

use std::sync::{Mutex, PoisonError};

use tale_worker::TaskContext;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Bytes of standard output that are returned to the steps after it.
pub(crate) const TAIL_BYTES: usize = 4096;
/// Bytes of one line that are read at a time; what is beyond becomes a line of its own. Far more than a secret has, so
/// that none is cut in two and missed; the log cuts its lines after that.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Bytes of the last line of standard output, which may be a value.
pub(crate) const VALUE_BYTES_MAX: usize = 256 << 10;
/// Characters of a line of standard error that go into an error.
const COMPLAINT_CHARACTERS_MAX: usize = 300;

/// What both streams of a program have printed so far.
///
/// Those who read share it, so that it is still there when one of them has to be given up.
pub(crate) struct Printed {
    context: TaskContext,
    state: Mutex<State>,
}

struct State {
    /// Bytes that the log still takes.
    log_bytes_left: u64,
    is_cut: bool,
    tail: Vec<u8>,
    /// The line that is being printed, and the last one before it that is not empty.
    line: Line,
    last: Line,
    /// The last line of standard error that is not empty, which often says what went wrong.
    complaint: String,
}

#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    is_too_long: bool,
}

/// The end of what was printed on standard output.
pub(crate) struct End {
    /// The last bytes.
    pub tail: String,
    /// The last line that is not empty; nothing where it is longer than [`VALUE_BYTES_MAX`].
    pub last_line: Option<String>,
    /// The last line of standard error that is not empty, cut where it is long.
    pub complaint: String,
}

impl Printed {
    pub(crate) fn new(context: TaskContext, log_bytes_max: u64) -> Self {
        let state = State {
            log_bytes_left: log_bytes_max,
            is_cut: false,
            tail: vec![],
            line: Line::default(),
            last: Line::default(),
            complaint: String::new(),
        };
        Self { context, state: Mutex::new(state) }
    }

    /// Reads standard output to its end.
    pub(crate) async fn read_stdout(&self, stream: impl AsyncRead + Unpin) {
        self.read(stream, State::keep).await;
    }

    /// Reads standard error to its end.
    pub(crate) async fn read_stderr(&self, stream: impl AsyncRead + Unpin) {
        self.read(stream, |state, piece| {
            let text = String::from_utf8_lossy(piece);
            if !text.trim().is_empty() {
                // cut after it is redacted: half a secret is not recognised any more
                let text = self.context.redacted(text.trim());
                state.complaint = text.chars().take(COMPLAINT_CHARACTERS_MAX).collect();
            }
        })
        .await;
    }

    async fn read(&self, stream: impl AsyncRead + Unpin, keep: impl Fn(&mut State, &[u8])) {
        let mut reader = BufReader::new(stream);
        let mut piece = Vec::new();
        loop {
            piece.clear();
            let read = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut piece).await;
            // a pipe has no errors beside its end
            if !matches!(read, Ok(1..)) {
                return;
            }
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            keep(&mut state, &piece);
            let size = piece.len() as u64;
            if size <= state.log_bytes_left {
                state.log_bytes_left -= size;
                let text = String::from_utf8_lossy(&piece);
                self.context.log(text.trim_end_matches(['\n', '\r']));
            } else if !state.is_cut {
                state.is_cut = true;
                state.log_bytes_left = 0;
                self.context.log("(the output is longer than log_bytes_max; the rest of it is not kept)");
            }
        }
    }

    /// What is there of standard output.
    pub(crate) fn end(&self) -> End {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.finish_line();
        let tail = self.context.redacted(text(&state.tail));
        let start = (tail.len().saturating_sub(TAIL_BYTES)..tail.len()).find(|at| tail.is_char_boundary(*at));
        let tail = tail[start.unwrap_or_default()..].to_owned();
        let last = &state.last;
        let last_line =
            (!last.is_too_long).then(|| text(&last.bytes).trim_end_matches(['\n', '\r']).to_owned());
        End { tail, last_line, complaint: std::mem::take(&mut state.complaint) }
    }
}

/// Text for a row of the database, which takes neither other bytes nor zero bytes.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

impl State {
    fn keep(&mut self, piece: &[u8]) {
        self.tail.extend_from_slice(piece);
        if self.tail.len() > 4 * TAIL_BYTES {
            self.tail.drain(..self.tail.len() - TAIL_BYTES);
        }
        let room = VALUE_BYTES_MAX.saturating_sub(self.line.bytes.len());
        self.line.is_too_long |= piece.len() > room;
        self.line.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.ends_with(b"\n") {
            self.finish_line();
        }
    }

    fn finish_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.bytes.trim_ascii().is_empty() {
            self.last = line;
        }
    }
}
