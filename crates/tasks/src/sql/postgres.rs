//! `sql.postgres`: one statement in Taleworks' own database.

use std::sync::Arc;

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Either, Executor, PgConnection, SqlSafeStr, Statement,
    postgres::{PgArguments, PgTypeInfo},
};
use tale_worker::{Completion, Kind, TaskContext, TaskError};

use super::{bound::bind, statement};

/// Reads rows, or changes them in the transaction of the task's acknowledgement: the change and the task's success
/// commit together or not at all.
///
/// The statement runs under a role (`tale_sql` unless given) that has no right to Taleworks' own schemas and whatever
/// rights an operator gives it to others. That keeps pipelines from touching the product's tables by accident; who may
/// write pipelines is trusted, as with `shell`.
pub struct SqlPostgres;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// A statement that reads: its rows are handed on.
    query: Option<String>,
    /// A statement that changes rows: it commits with the acknowledgement. It is rehearsed first, in a transaction that
    /// is rolled back, to learn how many rows it affects; where the number is another one in the end, the attempt fails
    /// and is made again.
    execute: Option<String>,
    /// The values of `$1`, `$2` …, as JSON. They are bound, never part of the text; their types are those that the
    /// database expects in their places.
    #[serde(default)]
    params: Vec<Value>,
    /// The schema in which tables without one are looked for.
    #[serde(default = "usual_schema")]
    schema: String,
    /// The role under which it runs.
    #[serde(default = "usual_role")]
    role: String,
    /// The most rows that a query may give.
    #[serde(default = "usual_rows_max")]
    #[schemars(range(min = 1, max = 100_000))]
    rows_max: u32,
    /// How long it may take, in seconds; the acknowledgement waits for it.
    #[serde(default = "usual_timeout_seconds")]
    #[schemars(range(min = 0.001, max = 3600.0))]
    timeout_seconds: f64,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// How many rows it gave, or affected.
    row_count: u64,
    /// The rows of a query, as objects.
    rows: Vec<Value>,
}

fn usual_schema() -> String {
    "public".to_owned()
}

fn usual_role() -> String {
    "tale_sql".to_owned()
}

fn usual_rows_max() -> u32 {
    1000
}

fn usual_timeout_seconds() -> f64 {
    10.0
}

impl Kind for SqlPostgres {
    const NAME: &'static str = "sql.postgres";
    const SUMMARY: &'static str =
        "Runs a SQL statement in PostgreSQL, changes committing with the acknowledgement.";
    type Arguments = Arguments;
    type Outputs = Outputs;

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        match (arguments.query.clone(), arguments.execute.clone()) {
            (Some(query), None) => read(&context, &arguments, &query).await.map(Completion::of),
            (None, Some(execute)) => change(&context, arguments, execute).await,
            _ => Err(TaskError::fail("give either `query`, which reads, or `execute`, which changes")),
        }
    }
}

/// What comes before a query where it is sent, and after it.
const BEFORE: &str = "select to_jsonb(tale_row) from (";
const AFTER: &str = "\n) tale_row limit ";

async fn read(context: &TaskContext, arguments: &Arguments, query: &str) -> Result<Outputs, TaskError> {
    statement::check(query, false)?;
    let mut transaction = context.database.begin().await.map_err(TaskError::retry)?;
    sqlx::raw_sql("set transaction read only").execute(&mut *transaction).await.map_err(TaskError::retry)?;
    Surroundings::of(arguments).enter(&mut transaction).await?;
    let limit = u64::from(arguments.rows_max) + 1;
    let text = format!("{BEFORE}{}{AFTER}{limit}", statement::without_end(query));
    let refuse = |error| statement::refuse("query", query, BEFORE.len(), error);
    let types = types(&mut transaction, &text).await.map_err(refuse)?;
    let bound = bind(&types, &arguments.params)?;
    let rows: Vec<Value> = sqlx::query_scalar_with(AssertSqlSafe(text), bound)
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await
        .map_err(refuse)?;
    transaction.rollback().await.map_err(TaskError::retry)?;
    if rows.len() as u64 >= limit {
        let message =
            format!("query: it gives more than {} rows: add a limit, or raise rows_max", arguments.rows_max);
        return Err(TaskError::fail(message));
    }
    Ok(Outputs { row_count: rows.len() as u64, rows })
}

async fn change(
    context: &TaskContext,
    arguments: Arguments,
    text: String,
) -> Result<Completion<Outputs>, TaskError> {
    statement::check(&text, true)?;
    let change =
        Arc::new(Change { surroundings: Surroundings::of(&arguments), text, params: arguments.params });
    let mut rehearsal = context.database.begin().await.map_err(TaskError::retry)?;
    let expected = change.apply(&mut rehearsal).await?;
    rehearsal.rollback().await.map_err(TaskError::retry)?;
    context.log(format!("{expected} rows are affected"));
    let outputs = Outputs { row_count: expected, rows: vec![] };
    Ok(Completion::of(outputs).effect(move |connection| {
        let change = Arc::clone(&change);
        async move {
            let affected = change.apply(connection).await?;
            if affected == expected {
                return Ok(());
            }
            let message = format!(
                "execute: it affects {affected} rows now and affected {expected} when it was rehearsed: \
                 the tables have changed in between"
            );
            Err(TaskError::Retry { message, after: None })
        }
        .boxed()
    }))
}

/// A statement that changes rows.
struct Change {
    surroundings: Surroundings,
    text: String,
    params: Vec<Value>,
}

impl Change {
    /// Applies it in the connection's transaction, and leaves the transaction's settings as they were.
    async fn apply(&self, connection: &mut PgConnection) -> Result<u64, TaskError> {
        let before = Surroundings::found(connection).await?;
        self.surroundings.enter(connection).await?;
        let refuse = |error| statement::refuse("execute", &self.text, 0, error);
        let types = types(connection, &self.text).await.map_err(refuse)?;
        let bound: PgArguments = bind(&types, &self.params)?;
        let result = sqlx::query_with(AssertSqlSafe(self.text.clone()), bound)
            .persistent(false)
            .execute(&mut *connection)
            .await
            .map_err(refuse)?;
        before.enter(connection).await?;
        Ok(result.rows_affected())
    }
}

/// The settings of a transaction under which a statement runs.
struct Surroundings {
    role: String,
    search_path: String,
    statement_timeout: String,
}

impl Surroundings {
    fn of(arguments: &Arguments) -> Self {
        Self {
            role: arguments.role.clone(),
            // quoted as a name, so that it is one
            search_path: format!("\"{}\"", arguments.schema.replace('"', "\"\"")),
            statement_timeout: format!("{}ms", (arguments.timeout_seconds * 1000.0).ceil().max(1.0) as u64),
        }
    }

    /// Those of the connection now.
    async fn found(connection: &mut PgConnection) -> Result<Self, TaskError> {
        let row = sqlx::query_file!("../../sql/tasks/read_settings.sql")
            .fetch_one(connection)
            .await
            .map_err(TaskError::retry)?;
        let (role, search_path, statement_timeout) = (row.role, row.search_path, row.statement_timeout);
        Ok(Self { role, search_path, statement_timeout })
    }

    /// Makes them those of the transaction.
    async fn enter(&self, connection: &mut PgConnection) -> Result<(), TaskError> {
        let Self { role, search_path, statement_timeout } = self;
        let written =
            sqlx::query_file!("../../sql/tasks/write_settings.sql", role, search_path, statement_timeout)
                .fetch_one(connection)
                .await;
        match written {
            Ok(_) => Ok(()),
            // no such role (22023), or not one that this user may take on (42501)
            Err(sqlx::Error::Database(error))
                if matches!(error.code().as_deref(), Some("22023" | "42501")) =>
            {
                Err(TaskError::fail(format!(
                    "role: {}; as the database's owner: create role {role} nologin; grant {role} to current_user; \
                     and then grant it what pipelines need",
                    error.message()
                )))
            }
            Err(error) => Err(TaskError::retry(error)),
        }
    }
}

/// The types that the database expects for the parameters of a statement.
async fn types(connection: &mut PgConnection, text: &str) -> Result<Vec<PgTypeInfo>, sqlx::Error> {
    let prepared = connection.prepare(AssertSqlSafe(text.to_owned()).into_sql_str()).await?;
    Ok(match prepared.parameters() {
        Some(Either::Left(types)) => types.to_vec(),
        _ => vec![],
    })
}
