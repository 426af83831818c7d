//! `tale staking status`: the figures that the network publishes.

use tale_treasury::{StakingStatus, staking_status};

use super::percent;
use crate::{amounts::Tokens, arguments::Global, failure::Failure, installation::Installation, output};

const SECONDS_PER_DAY: u64 = 86_400;

/// Reads and prints.
pub async fn run(global: &Global, installation: &Installation) -> Result<(), Failure> {
    let status = staking_status(&mut *installation.connection().await?).await?;
    if global.output == output::Format::Json {
        return output::json(&status);
    }
    print(&status)
}

fn print(status: &StakingStatus) -> Result<(), Failure> {
    let tokens = Tokens::current()?;
    let tale = |amount| format!("{} TALE", tokens.write(amount));
    let mut table = output::table(&["", ""]);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("open positions", status.positions.to_string());
    row("total locked", tale(status.total_locked));
    row("of it flexible", tale(status.flexible));
    row("of the circulating supply", percent(status.locked_ppm));
    row("circulating supply", tale(status.circulating));
    row("total ve", format!("{} veTALE", tokens.write(status.total_ve)));
    row("average lock", format!("{} days", status.average_lock_seconds / SECONDS_PER_DAY));
    row("flexible rate", percent(status.flexible_rate_ppm));
    row("over, not taken out", tale(status.matured));
    row("accrued, not paid out", tale(status.accrued));
    row("left in the budget", tale(status.budget));
    row("last day accrued", status.last_accrued.map(|day| day.to_string()).unwrap_or_default());
    output::line(&table.to_string())
}
