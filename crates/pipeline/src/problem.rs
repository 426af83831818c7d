//! Problems: what is wrong with a source, where, and what would be right.

use std::{fmt, ops::Range};

/// The text of a pipeline and the name that messages give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name, or another name that tells the reader where the text came from.
    pub name: String,
    /// The text.
    pub text: String,
}

/// One thing that is wrong in a source.
///
/// [`fmt::Display`] gives `file:line:column: message`; a terminal shows more with `span` and `help`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What sort of problem this is, such as `unknown-step`: stable, for programs.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The name of the source.
    pub file: String,
    /// The bytes of the source that are wrong.
    pub span: Range<usize>,
    /// The line of the first byte, from 1.
    pub line: usize,
    /// The character of the line at the first byte, from 1.
    pub column: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for Problem {}

/// The most problems that are reported: nobody reads more, and looking for near names takes time.
const PROBLEMS_MAX: usize = 200;

/// The problems found so far, in any order.
pub(crate) struct Problems<'s> {
    source: &'s Source,
    found: Vec<Problem>,
    line_starts: Vec<usize>,
}

impl<'s> Problems<'s> {
    pub(crate) fn new(source: &'s Source) -> Self {
        let newlines = source.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(place, _)| place + 1)).collect();
        Self { source, found: Vec::new(), line_starts }
    }

    /// Adds a problem at these bytes, which are moved onto character boundaries inside the text.
    pub(crate) fn add(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        if self.is_full() {
            return;
        }
        let text = &self.source.text;
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        let line = self.line_starts.partition_point(|line_start| *line_start <= start);
        let line_start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        self.found.push(Problem {
            code,
            message: message.into(),
            help: help.into(),
            file: self.source.name.clone(),
            span: start..end,
            line,
            column: text.get(line_start..start).unwrap_or_default().chars().count() + 1,
        });
    }

    /// The bytes of the source as they are written.
    pub(crate) fn written(&self, span: &Range<usize>) -> &'s str {
        self.source.text.get(span.clone()).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether further problems would not be reported.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= PROBLEMS_MAX
    }

    /// The problems by place, each once.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.found
            .sort_by(|a, b| (a.span.start, a.span.end, a.code).cmp(&(b.span.start, b.span.end, b.code)));
        self.found.dedup();
        self.found
    }
}
