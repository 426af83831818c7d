//! `tale withdrawals payable`: what a distributor owes.

use chrono::Days;
use clap::Args;
use tale_primitives::UtcDay;
use tale_treasury::{payable_claims, today};

use super::explain;
use crate::{arguments::Global, failure::Failure, installation::Installation, output};

/// Writes what each account may claim on the chain, as the lines that `tale claims tree` reads.
#[derive(Debug, Args)]
pub struct Payable {
    /// Payments up to and including this day, YYYY-MM-DD, which must be over; yesterday unless given.
    #[arg(long, value_name = "DAY")]
    at: Option<UtcDay>,
}

impl Payable {
    /// Reads and prints.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let day = match self.at {
            Some(day) => day,
            None => UtcDay::from_date(today(&mut connection).await?.date() - Days::new(1)),
        };
        let leaves = payable_claims(&mut connection, day).await.map_err(explain)?;
        if global.output == output::Format::Json {
            return output::json(&leaves);
        }
        let lines =
            leaves.iter().map(|leaf| format!("\n{},{},{}", leaf.account, leaf.token, leaf.cumulative));
        output::line(&format!("account,token,cumulative{}", lines.collect::<String>()))
    }
}
