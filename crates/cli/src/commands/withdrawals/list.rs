//! `tale withdrawals list` and `show`.

use clap::Args;
use tale_primitives::Address;
use tale_treasury::{
    Withdrawal, WithdrawalError, WithdrawalFilter, WithdrawalId, WithdrawalState, find_withdrawal,
    list_withdrawals,
};

use super::explain;
use crate::{amounts::Tokens, arguments::Global, failure::Failure, installation::Installation, output};

/// Lists withdrawals.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this account.
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
    /// Only those in this state: requested, matured, paid or cancelled.
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<WithdrawalState>,
}

/// Shows one withdrawal.
#[derive(Debug, Args)]
pub struct Show {
    /// Its number.
    withdrawal: WithdrawalId,
}

fn state(text: &str) -> Result<WithdrawalState, &'static str> {
    WithdrawalState::parse(text).ok_or("expected requested, matured, paid or cancelled")
}

impl List {
    /// Reads and prints.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let filter = WithdrawalFilter { account: self.account, state: self.state };
        let withdrawals = list_withdrawals(&mut *installation.connection().await?, &filter).await?;
        let tokens = Tokens::current()?;
        output::write(global.output, &withdrawals, |withdrawals| {
            let headings =
                ["withdrawal", "account", "state", "amount", "asset", "TALE", "to", "requested", "from"];
            let mut table = output::table(&headings);
            for withdrawal in withdrawals {
                table.add_row([
                    withdrawal.id.to_string(),
                    withdrawal.account.to_string(),
                    withdrawal.state.to_string(),
                    tokens.write(withdrawal.gross),
                    withdrawal.asset.to_string(),
                    tokens.write(withdrawal.net),
                    withdrawal.destination.to_string(),
                    withdrawal.requested_day.to_string(),
                    withdrawal.matures_day.to_string(),
                ]);
            }
            table
        })
    }
}

impl Show {
    /// Reads and prints.
    pub async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let found = find_withdrawal(&mut *installation.connection().await?, self.withdrawal).await?;
        let Some(withdrawal) = found else {
            return Err(explain(WithdrawalError::UnknownWithdrawal(self.withdrawal).into()));
        };
        match global.output {
            output::Format::Json => output::json(&withdrawal),
            output::Format::Table => print(&withdrawal),
        }
    }
}

fn print(withdrawal: &Withdrawal) -> Result<(), Failure> {
    let tokens = Tokens::current()?;
    let asset = &withdrawal.asset;
    let mut table = output::table(&["", ""]);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("withdrawal", withdrawal.id.to_string());
    row("state", withdrawal.state.to_string());
    row("account", withdrawal.account.to_string());
    row("taken", format!("{} {asset}", tokens.write(withdrawal.gross)));
    row("fee", format!("{} {asset}", tokens.write(withdrawal.fee)));
    row("given up", format!("{} {asset}", tokens.write(withdrawal.haircut)));
    row("paid", format!("{} TALE to the {}", tokens.write(withdrawal.net), withdrawal.destination));
    row("requested", withdrawal.requested_day.to_string());
    row("paid from", withdrawal.matures_day.to_string());
    if let Some((day, journal)) = withdrawal.ended_day.zip(withdrawal.journal_id) {
        row("ended", format!("{day}, by journal {journal}"));
    }
    row("country", withdrawal.country.to_string());
    row("ruleset", withdrawal.ruleset.to_string());
    row("key", withdrawal.key.clone());
    output::line(&table.to_string())
}
