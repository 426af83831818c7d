//! `tale epoch hold` and `tale epoch release`: the brake.

use clap::Args;
use serde::Serialize;
use serde_json::json;
use sqlx::Connection;
use tale_primitives::UtcDay;
use tale_treasury::{claimable_epoch, hold_epoch, release_epoch};

use crate::{
    arguments::Global,
    failure::Failure,
    installation::Installation,
    operator::{audit, operator},
    output,
};

/// Keeps a day, and all after it, from being published and from becoming final.
#[derive(Debug, Args)]
pub struct Hold {
    /// The UTC day, YYYY-MM-DD; it may be held before it is settled.
    day: UtcDay,
    /// Why; the brake and the audit log keep it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Lets a day go on that was held.
#[derive(Debug, Args)]
pub struct Release {
    /// The UTC day, YYYY-MM-DD.
    day: UtcDay,
    /// Why; the brake and the audit log keep it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Serialize)]
struct Braked {
    day: UtcDay,
    held: bool,
    changed: bool,
    claimable: Option<UtcDay>,
}

impl Hold {
    /// Holds, and says against which root may be claimed meanwhile.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let installation = Installation::look(global, "tale epoch hold").await?;
        let done = self.hold(&installation).await;
        installation.close().await?;
        print(global, &done?)
    }

    async fn hold(&self, installation: &Installation) -> Result<Braked, Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let changed = hold_epoch(&mut transaction, self.day, &self.reason, &operator()).await?;
        if changed {
            let details = json!({ "reason": self.reason });
            audit(&mut transaction, "epoch.hold", &self.day.to_string(), &details).await?;
        }
        let claimable = claimable_epoch(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Braked { day: self.day, held: true, changed, claimable })
    }
}

impl Release {
    /// Releases.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let installation = Installation::look(global, "tale epoch release").await?;
        let done = self.release(&installation).await;
        installation.close().await?;
        print(global, &done?)
    }

    async fn release(&self, installation: &Installation) -> Result<Braked, Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        release_epoch(&mut transaction, self.day, &self.reason, &operator()).await?;
        let details = json!({ "reason": self.reason });
        audit(&mut transaction, "epoch.release", &self.day.to_string(), &details).await?;
        let claimable = claimable_epoch(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Braked { day: self.day, held: false, changed: true, claimable })
    }
}

fn print(global: &Global, braked: &Braked) -> Result<(), Failure> {
    if global.output == output::Format::Json {
        return output::json(braked);
    }
    let state = match (braked.held, braked.changed) {
        (true, true) => "held",
        (true, false) => "held already",
        (false, _) => "released",
    };
    let claims = match braked.claimable {
        Some(day) => format!("claims are against the root of {day}"),
        None => "there is no root to claim against".to_owned(),
    };
    output::line(&format!("epoch {} is {state}; {claims}", braked.day))
}
