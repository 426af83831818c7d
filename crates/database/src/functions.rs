use sqlx::{Acquire, Executor, PgConnection, Row};
use tale_primitives::Digest;

/// Functions in their current form, in the order in which they are made: files of sql/functions.
///
/// Unlike migrations these are replaced as a whole, so that a reader finds each function once. They must stay callable
/// by programs of the version before: a change of a signature adds a function, and the old one goes a version later.
const FILES: &[(&str, &str)] = &[
    ("queue/claim.sql", include_str!("../../../sql/functions/queue/claim.sql")),
    ("queue/fit.sql", include_str!("../../../sql/functions/queue/fit.sql")),
    ("queue/admit.sql", include_str!("../../../sql/functions/queue/admit.sql")),
    ("queue/settle.sql", include_str!("../../../sql/functions/queue/settle.sql")),
    ("queue/complete.sql", include_str!("../../../sql/functions/queue/complete.sql")),
    ("queue/fail.sql", include_str!("../../../sql/functions/queue/fail.sql")),
    ("queue/release.sql", include_str!("../../../sql/functions/queue/release.sql")),
    ("queue/reap.sql", include_str!("../../../sql/functions/queue/reap.sql")),
    ("queue/promote.sql", include_str!("../../../sql/functions/queue/promote.sql")),
    ("queue/beat.sql", include_str!("../../../sql/functions/queue/beat.sql")),
    ("queue/expand.sql", include_str!("../../../sql/functions/queue/expand.sql")),
    ("queue/runs.sql", include_str!("../../../sql/functions/queue/runs.sql")),
    ("queue/control.sql", include_str!("../../../sql/functions/queue/control.sql")),
    ("queue/deadlock.sql", include_str!("../../../sql/functions/queue/deadlock.sql")),
    ("queue/deadlines.sql", include_str!("../../../sql/functions/queue/deadlines.sql")),
    ("queue/retry.sql", include_str!("../../../sql/functions/queue/retry.sql")),
    ("queue/news.sql", include_str!("../../../sql/functions/queue/news.sql")),
    ("queue/retention.sql", include_str!("../../../sql/functions/queue/retention.sql")),
];

/// Any number that no other lock of this product uses.
const LOCK: i64 = 0x7461_6c65_6675_6e63;

/// SHA-256 of the names and contents of all files.
pub(crate) fn digest() -> Digest {
    let mut all = String::new();
    for (name, content) in FILES {
        all.push_str(name);
        all.push('\0');
        all.push_str(content);
        all.push('\0');
    }
    Digest::of(&all)
}

/// Replaces the functions where they are others than this program's, unless a newer program made them.
pub(crate) async fn apply(connection: &mut PgConnection, schema_version: i64) -> Result<(), sqlx::Error> {
    let wanted = digest();
    // a look without a lock: nearly always there is nothing to do
    if is_current(connection, &wanted, schema_version).await? {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    if !is_current(&mut transaction, &wanted, schema_version).await? {
        for (_, content) in FILES {
            transaction.execute(sqlx::raw_sql(*content)).await?;
        }
        sqlx::query(
            "insert into database.functions (digest, schema_version) values ($1, $2) \
             on conflict (is_only) do update \
             set digest = excluded.digest, schema_version = excluded.schema_version, applied_at = now()",
        )
        .bind(wanted.as_bytes().as_slice())
        .bind(schema_version)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

async fn is_current(
    connection: &mut PgConnection,
    wanted: &Digest,
    schema_version: i64,
) -> Result<bool, sqlx::Error> {
    // Not checked query files: they are part of bringing the schema up to date, before which there is none.
    let row = sqlx::query("select digest, schema_version from database.functions")
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(false) };
    let digest: Vec<u8> = row.try_get("digest")?;
    let version: i64 = row.try_get("schema_version")?;
    Ok(version > schema_version || digest == wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_functions_is_applied() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql/functions");
        let mut found = Vec::new();
        for schema in std::fs::read_dir(&root).unwrap() {
            let schema = schema.unwrap();
            for file in std::fs::read_dir(schema.path()).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                found.push(format!("{}/{name}", schema.file_name().into_string().unwrap()));
            }
        }
        found.sort();
        let mut applied: Vec<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        applied.sort();
        assert_eq!(found, applied);
    }
}
