//! `tale epoch verify`: an epoch, derived again.

use std::process::ExitCode;

use tale_primitives::UtcDay;
use tale_treasury::{Outcome, TreasuryError, verify_epoch};

use super::unsettled;
use crate::{
    arguments::Global,
    failure::{FAILED, Failure},
    installation::Installation,
    output,
};

/// Derives an epoch again and prints what came of each check.
pub async fn verify(global: &Global, day: UtcDay) -> Result<ExitCode, Failure> {
    let installation = Installation::look(global, "tale epoch verify").await?;
    let verified = verify_epoch(&mut *installation.connection().await?, day).await;
    installation.close().await?;
    let verification = match verified {
        Err(TreasuryError::NotSealed(day)) => return Err(unsettled(day)),
        verified => verified?,
    };
    output::write(global.output, &verification, |verification| {
        let mut table = output::table(&["check", "outcome", ""]);
        for check in &verification.checks {
            let (outcome, detail) = match &check.outcome {
                Outcome::Agrees(detail) => ("agrees", detail),
                Outcome::Differs(detail) => ("differs", detail),
                Outcome::Absent(detail) => ("–", detail),
            };
            table.add_row([check.what, outcome, detail]);
        }
        table
    })?;
    match verification.discrepancy() {
        None => Ok(ExitCode::SUCCESS),
        Some(check) => {
            eprintln!("epoch {day}: the {} differs", check.what);
            Ok(ExitCode::from(FAILED))
        }
    }
}
