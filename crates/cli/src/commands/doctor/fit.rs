//! Resources: whether every open step has a worker that it fits.

use sqlx::PgConnection;
use tale_database::{DataDirectory, EmbeddedCluster, connect};
use tale_queue::{Unfit, unfit_steps};

use super::{Check, PATIENCE};
use crate::{arguments::Global, installation::data_directory};

const NAME: &str = "resources";

/// How many steps are named.
const NAMED: usize = 3;

/// Looks at a database that runs already; nothing where there is none, or one without a schema.
pub(super) async fn check(global: &Global) -> Option<Check> {
    let url = match &global.database_url {
        Some(url) => url.clone(),
        None => {
            let path = data_directory(global).ok().filter(|path| path.is_dir())?;
            EmbeddedCluster::find_running(&DataDirectory::open(&path).ok()?)?
        }
    };
    let unfit = tokio::time::timeout(PATIENCE, look(&url)).await.ok()??;
    if unfit.is_empty() {
        return Some(Check::ok(NAME, "every open step fits some live worker"));
    }
    let mut found: Vec<String> = unfit.iter().take(NAMED).map(Unfit::to_string).collect();
    if unfit.len() > NAMED {
        found.push(format!("and {} more", unfit.len() - NAMED));
    }
    let help = "start a worker that has it (`tale worker --pool … --cpu … --memory … --gpu … --label …`), or ask for less";
    Some(Check::warn(NAME, found.join("; "), help))
}

async fn look(url: &str) -> Option<Vec<Unfit>> {
    let pool = connect(url, 1).await.ok()?;
    let mut connection: PgConnection = pool.acquire().await.ok()?.detach();
    let unfit = unfit_steps(&mut connection, None).await.ok();
    pool.close().await;
    unfit
}
