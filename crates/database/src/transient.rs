use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// Whether trying the same again can help: the connection broke, the server is restarting or short of something, or two
/// transactions met in a deadlock.
pub fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| {
            passes(error.code()) || ends_session(error.severity()) && !keeps_out(error.code())
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Tls(_) => true,
        _ => false,
    }
}

/// Connection exceptions, rolled back transactions, want of resources, interventions of an operator or a restart,
/// failures of the server's own files (the classes of PostgreSQL's appendix A).
fn passes(code: &str) -> bool {
    ["08", "40", "53", "57P", "58"].iter().any(|class| code.starts_with(class))
}

/// An error that ends the session says nothing about the statement: a backend that starts while the disk is full, say,
/// gives up with an internal error.
fn ends_session(severity: PgSeverity) -> bool {
    matches!(severity, PgSeverity::Fatal | PgSeverity::Panic)
}

/// A password that is wrong, or a database that is not there, will be so the next time too.
fn keeps_out(code: &str) -> bool {
    code.starts_with("28") || code.starts_with("3D")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_ends_a_session_passes_but_a_closed_door_does_not() {
        assert!(ends_session(PgSeverity::Fatal) && !keeps_out("XX000"));
        assert!(!ends_session(PgSeverity::Error));
        assert!(keeps_out("28P01") && keeps_out("3D000") && !passes("28P01"));
        assert!(passes("53100") && passes("40P01") && passes("57P03") && passes("58030"));
        assert!(!passes("57014"), "a statement that was stopped for its length is too slow again");
        assert!(is_transient(&sqlx::Error::PoolTimedOut) && !is_transient(&sqlx::Error::RowNotFound));
    }
}
