//! Tenants: whose runs share pools, and by what weights.

use serde::Serialize;
use sqlx::PgConnection;

use crate::QueueError;

/// The most that a tenant may weigh.
pub const WEIGHT_MAX: u32 = 1000;

/// A tenant, for listings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tenant {
    /// Its name, as pipelines write it.
    pub name: String,
    /// How many of its tasks come for one of a tenant of weight 1.
    pub weight: i32,
    /// How many of its tasks are ready.
    pub ready: i64,
}

/// Gives a tenant a weight, from 1 to [`WEIGHT_MAX`]: it holds for tasks that become ready from now on.
pub async fn set_tenant_weight(
    connection: &mut PgConnection,
    tenant: &str,
    weight: u32,
) -> Result<(), QueueError> {
    let weight = i32::try_from(weight.clamp(1, WEIGHT_MAX)).unwrap_or(1);
    sqlx::query_file!("../../sql/queue/set_tenant_weight.sql", tenant, weight).execute(connection).await?;
    Ok(())
}

/// Every tenant that has a weight or has had tasks, by name.
pub async fn list_tenants(connection: &mut PgConnection) -> Result<Vec<Tenant>, QueueError> {
    Ok(sqlx::query_file_as!(Tenant, "../../sql/queue/list_tenants.sql").fetch_all(connection).await?)
}
