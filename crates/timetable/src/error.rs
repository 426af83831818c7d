use std::ops::Range;

/// Why a text is no timetable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimetableError {
    /// The cron expression has the wrong number of fields.
    #[error("a cron expression has 5 fields, or 6 with seconds first, not {found}")]
    Fields {
        /// How many it has.
        found: usize,
    },
    /// A field of the cron expression cannot be read.
    #[error("{field:?} cannot be the {noun} of a cron expression")]
    Field {
        /// The field as it is written.
        field: String,
        /// What the field stands for.
        noun: &'static str,
        /// The bytes of the expression that it takes.
        range: Range<usize>,
        /// What would be right.
        help: &'static str,
    },
    /// The cron expression as a whole cannot be read.
    #[error("{expression:?} is not a cron expression")]
    Expression {
        /// The expression.
        expression: String,
    },
    /// The cron expression never matches any day.
    #[error("{expression:?} is never due")]
    Never {
        /// The expression.
        expression: String,
    },
    /// There is no such zone.
    #[error("there is no time zone {name:?}")]
    Zone {
        /// The name.
        name: String,
    },
}
