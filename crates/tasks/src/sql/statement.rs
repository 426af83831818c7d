//! What a statement for PostgreSQL may be, and where in it an error is.

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use tale_worker::{ErrorClass, TaskError};

/// Statements that may change rows.
const CHANGING: [&str; 6] = ["insert", "update", "delete", "merge", "with", "call"];
/// Statements that read.
const READING: [&str; 4] = ["select", "with", "values", "table"];

/// Whether a statement begins like one that reads, or changes, rows.
///
/// This is no defence: the role is. It keeps statements away that would end the acknowledgement's transaction or change
/// its settings (`commit`, `set role`), and says early what is meant to go elsewhere (`create table`).
pub(super) fn check(statement: &str, changes: bool) -> Result<(), TaskError> {
    let allowed: &[&str] = if changes { &CHANGING } else { &READING };
    let word = first_word(statement).to_ascii_lowercase();
    if allowed.contains(&word.as_str()) {
        return Ok(());
    }
    let argument = if changes { "execute" } else { "query" };
    Err(TaskError::fail(format!(
        "{argument}: it takes one statement of {}, not {word:?}",
        allowed.join(", ")
    )))
}

/// The statement without what ends it, so that it can stand within another one.
pub(super) fn without_end(statement: &str) -> &str {
    statement.trim_end_matches(|character: char| character == ';' || character.is_whitespace())
}

/// The first word after blanks, comments and opening brackets.
fn first_word(statement: &str) -> &str {
    let mut rest = statement;
    loop {
        rest = rest.trim_start_matches(|character: char| character == '(' || character.is_whitespace());
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = after_comment(comment);
        } else {
            let end = rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
            return &rest[..end.unwrap_or(rest.len())];
        }
    }
}

/// What follows a comment, whose inner comments nest.
fn after_comment(inside: &str) -> &str {
    let (mut depth, mut rest) = (1_usize, inside);
    while depth > 0 {
        let Some(at) = rest.find(['/', '*']) else { return "" };
        rest = &rest[at..];
        let step = if rest.starts_with("*/") {
            depth -= 1;
            2
        } else if rest.starts_with("/*") {
            depth += 1;
            2
        } else {
            1
        };
        rest = &rest[step..];
    }
    rest
}

/// The failure that a database's refusal is: what it says with its place in the statement, which begins `offset`
/// characters into what was sent.
pub(super) fn refuse(argument: &str, statement: &str, offset: usize, error: sqlx::Error) -> TaskError {
    let Some(refused) =
        error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
    else {
        return TaskError::retry(error).of_class(ErrorClass::CONNECTION);
    };
    let place = match refused.position() {
        Some(PgErrorPosition::Original(at)) if at > offset => place_of(statement, at - offset),
        _ => String::new(),
    };
    let mut message = format!("{argument}{place}: {}", refused.message());
    for more in [refused.detail(), refused.hint()].into_iter().flatten() {
        message.push_str(&format!("; {more}"));
    }
    // Another attempt may also do better where an object was in use or the statement took too long (classes 55 and 57)
    let is_transient = tale_database::is_transient(&error)
        || ["55", "57"].iter().any(|class| refused.code().starts_with(class));
    let error = if is_transient { TaskError::retry(message) } else { TaskError::fail(message) };
    error.of_class(ErrorClass::new(&format!("sql-{}", refused.code())))
}

/// Line and column of a character, from 1.
fn place_of(statement: &str, character: usize) -> String {
    let before: String = statement.chars().take(character.saturating_sub(1)).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(", line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_found_behind_comments_and_brackets() {
        for (statement, word) in [
            ("select 1", "select"),
            ("  -- what\n/* a /* nested */ one */ ((select 1))", "select"),
            ("insert into t", "insert"),
            ("", ""),
            ("/* open", ""),
            ("commit;", "commit"),
        ] {
            assert_eq!(first_word(statement), word, "{statement}");
        }
    }

    #[test]
    fn what_ends_the_transaction_or_changes_its_settings_is_not_sent() {
        for statement in [
            "commit",
            "rollback",
            "set role none",
            "reset role",
            "do $$ begin end $$",
            "copy t to program 'x'",
        ] {
            assert!(check(statement, true).is_err() && check(statement, false).is_err(), "{statement}");
        }
        assert!(check("INSERT into t values (1)", true).is_ok());
        assert!(check("insert into t values (1)", false).is_err());
    }

    #[test]
    fn places_count_lines_and_characters() {
        assert_eq!(place_of("select é,\n  x", 13), ", line 2, column 3");
    }
}
