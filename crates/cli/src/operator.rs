//! Who works here, and the record of what they do.

use serde_json::Value;
use sqlx::PgConnection;
use tale_queue::record;

use crate::{engine::host_name, failure::Failure};

/// The user of this process and their machine, as the operating system knows them.
pub fn operator() -> String {
    let user = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", host_name())
}

/// Writes to the audit log what an operator does, in the transaction that does it.
pub async fn audit(
    connection: &mut PgConnection,
    action: &str,
    subject: &str,
    details: &Value,
) -> Result<(), Failure> {
    Ok(record(connection, &operator(), action, subject, details).await?)
}
