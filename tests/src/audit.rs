//! What must be true of a database after any course of events.

use sqlx::{Connection, PgConnection, Row};

/// What an audit found worth comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Tasks that ended well.
    pub succeeded: i64,
    /// Attempts that were lost with their workers.
    pub lost: i64,
    /// Batches of contributions.
    pub contributions: i64,
}

/// Checks that every effect is there once and nothing is left over.
///
/// # Panics
/// Where that is not so.
///
/// # Errors
/// Where the database does not answer.
pub async fn audit(url: &str) -> Result<Audited, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let none = [
        ("a task was acknowledged twice",
         "select task_id from queue.attempt where outcome = 'succeeded' group by task_id having count(*) > 1"),
        ("a task ended well without an acknowledgement",
         "select t.id from queue.task t where t.state = 'succeeded' and t.index >= 0
          and not exists (select 1 from queue.attempt a where a.task_id = t.id and a.outcome in ('succeeded', 'waiting'))"),
        ("a run goes on", "select id from queue.run where state = 'running'"),
        ("a lease is left", "select task_id from queue.lease"),
        ("a ready task is left", "select task_id from queue.ready"),
        ("a delayed task is left", "select task_id from queue.delayed"),
        ("an artifact was published by an attempt that did not win",
         "select r.id from storage.artifact r where not exists (
             select 1 from queue.attempt a
             where a.task_id = r.task_id and a.attempt_id = r.attempt_id and a.outcome = 'succeeded')"),
        ("an artifact was published twice",
         "select task_id from storage.artifact group by task_id, name having count(*) > 1"),
    ];
    for (what, query) in none {
        let rows = sqlx::query(query).fetch_all(&mut connection).await?;
        assert!(rows.is_empty(), "{what}: {} rows", rows.len());
    }
    let count = async |connection: &mut PgConnection, query: &'static str| -> Result<i64, sqlx::Error> {
        Ok(sqlx::query(query).fetch_one(connection).await?.get(0))
    };
    Ok(Audited {
        succeeded: count(
            &mut connection,
            "select count(*) from queue.task where state = 'succeeded' and index >= 0",
        )
        .await?,
        lost: count(&mut connection, "select count(*) from queue.attempt where outcome = 'lost'").await?,
        contributions: count(&mut connection, "select count(*) from validation.outcome").await?,
    })
}
