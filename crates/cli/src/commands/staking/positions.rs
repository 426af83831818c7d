//! `tale staking stake` and `unstake`: a position begins and ends.

use clap::Args;
use serde_json::json;
use sqlx::Connection;
use tale_primitives::{Address, Amount, UtcDay};
use tale_treasury::{Leaving, NewStake, Position, PositionId, PositionState, stake, today, unstake};

use super::{explain, key};
use crate::{
    amounts::{self, Tokens},
    arguments::Global,
    failure::Failure,
    installation::Installation,
    operator::audit,
    output,
};

/// Opens a position: so much of an owner's TALE is staked, flexible or locked.
#[derive(Debug, Args)]
pub struct Stake {
    /// How much, in whole tokens.
    #[arg(value_parser = amounts::parse)]
    amount: Amount,
    /// Whose TALE it is.
    #[arg(long, value_name = "ADDRESS")]
    owner: Address,
    /// For how many days it is locked, at that lock's fixed rate; without, it may be taken out at any time.
    #[arg(long, value_name = "DAYS")]
    lock: Option<u32>,
    /// A name for it: the same key never stakes twice.
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: String,
    /// The UTC day on which it is opened, YYYY-MM-DD; today unless given.
    #[arg(long, value_name = "DAY")]
    on: Option<UtcDay>,
}

/// Takes a position out, with its rewards; before the end of its lock only with --early, at a price.
#[derive(Debug, Args)]
pub struct Unstake {
    /// The position's number.
    position: PositionId,
    /// Leaves before the end of the lock: its rewards are forfeited, and a part of the principal is lost.
    #[arg(long)]
    early: bool,
    /// The UTC day on which it is left, YYYY-MM-DD; today unless given.
    #[arg(long, value_name = "DAY")]
    on: Option<UtcDay>,
}

impl Stake {
    /// Stakes, once, and says which position it is.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let day = match self.on {
            Some(day) => day,
            None => today(&mut transaction).await?,
        };
        let new = NewStake {
            key: self.key.clone(),
            owner: self.owner,
            amount: self.amount,
            term_days: self.lock,
            day,
        };
        let staked = stake(&mut transaction, &new).await.map_err(explain)?;
        let position = &staked.position;
        if staked.changed {
            let details = json!({ "owner": self.owner, "amount": self.amount, "lock": self.lock });
            audit(&mut transaction, "staking.stake", &position.id.to_string(), &details).await?;
        }
        transaction.commit().await?;
        if global.output == output::Format::Json {
            return output::json(&json!({ "position": position, "changed": staked.changed }));
        }
        let until = match position.matures_day {
            Some(day) => format!("locked up to and including {day}"),
            None => "flexible".to_owned(),
        };
        let amount = Tokens::current()?.write(position.principal);
        let again = if staked.changed { "" } else { ", as it was before" };
        output::line(&format!("position {}: {amount} TALE staked, {until}{again}", position.id))
    }
}

impl Unstake {
    /// Ends the position, once, and says what came back.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        let day = match self.on {
            Some(day) => day,
            None => today(&mut transaction).await?,
        };
        let leaving = Leaving { position: self.position, day, early: self.early };
        let left = unstake(&mut transaction, &leaving).await.map_err(explain)?;
        if left.changed {
            let details = json!({ "early": left.position.state == PositionState::ExitedEarly });
            audit(&mut transaction, "staking.unstake", &self.position.to_string(), &details).await?;
        }
        transaction.commit().await?;
        if global.output == output::Format::Json {
            return output::json(&json!({ "position": left.position, "changed": left.changed }));
        }
        print(&left.position, left.changed)
    }
}

fn print(position: &Position, changed: bool) -> Result<(), Failure> {
    let tokens = Tokens::current()?;
    let Position { id, state, returned, penalty, forfeited, .. } = position;
    let price = match state {
        PositionState::ExitedEarly => format!(
            "; leaving early cost {} TALE of the principal and {} TALE of rewards",
            tokens.write_known(*penalty),
            tokens.write_known(*forfeited)
        ),
        _ => String::new(),
    };
    let again = if changed { "" } else { ", as it had been before" };
    output::line(&format!("position {id}: {} TALE returned{price}{again}", tokens.write_known(*returned)))
}
