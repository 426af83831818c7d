//! `tale staking list`: positions.

use clap::Args;
use tale_primitives::Address;
use tale_treasury::{PositionFilter, PositionState, list_positions};

use crate::{amounts::Tokens, arguments::Global, failure::Failure, installation::Installation, output};

/// Lists positions and what has accrued to them.
#[derive(Debug, Args)]
pub struct List {
    /// Only positions of this owner.
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Only positions in this state: open, matured, exited_early or closed.
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<PositionState>,
}

fn state(text: &str) -> Result<PositionState, &'static str> {
    PositionState::parse(text).ok_or("expected open, matured, exited_early or closed")
}

impl List {
    /// Reads and prints.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let filter = PositionFilter { owner: self.owner, state: self.state };
        let positions = list_positions(&mut *installation.connection().await?, &filter).await?;
        let tokens = Tokens::current()?;
        output::write(global.output, &positions, |positions| {
            let headings =
                ["position", "owner", "state", "TALE", "rate", "accrued", "opened", "locked to", "returned"];
            let mut table = output::table(&headings);
            for position in positions {
                table.add_row([
                    position.id.to_string(),
                    position.owner.to_string(),
                    position.state.to_string(),
                    tokens.write(position.principal),
                    position.rate_ppm.map_or_else(|| "flexible".to_owned(), super::percent),
                    tokens.write(position.accrued),
                    position.opened_day.to_string(),
                    position.matures_day.map(|day| day.to_string()).unwrap_or_default(),
                    tokens.write_known(position.returned),
                ]);
            }
            table
        })
    }
}
