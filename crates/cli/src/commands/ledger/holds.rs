use clap::{Args, value_parser};
use serde::Serialize;
use tale_ledger::{AccountKey, HoldFilter, HoldState, expire_holds, list_holds};

use super::{Units, account_key};
use crate::{arguments::Global, failure::Failure, installation::Installation, output, progress::Progress};

/// Lists the holds that are open: what is reserved and waits to be posted or voided.
#[derive(Debug, Args)]
pub struct Holds {
    /// Those that have ended, too.
    #[arg(long)]
    all: bool,
    /// Only those out of or into this account.
    #[arg(long, value_parser = account_key)]
    account: Option<AccountKey>,
    /// No more than this many, the oldest first.
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

impl Holds {
    /// Prints them.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let installation = Installation::look(global, "tale ledger holds").await?;
        let mut connection = installation.connection().await?;
        let filter = HoldFilter { with_ended: self.all, account: self.account.clone(), limit: self.limit };
        let holds = list_holds(&mut connection, &filter).await;
        let units = Units::load(&mut connection).await;
        drop(connection);
        installation.close().await?;
        let units = units?;
        output::write(global.output, &holds?, |holds| {
            let headings = ["hold", "key", "from", "to", "amount", "state", "expires", "description"];
            let mut table = output::table(&headings);
            for hold in holds {
                table.add_row([
                    hold.id.to_string(),
                    hold.key.clone(),
                    hold.debit.to_string(),
                    hold.credit.to_string(),
                    units.write(hold.amount, hold.debit.asset()),
                    state(&hold.state, |amount| units.write(amount, hold.debit.asset())),
                    hold.expires_at
                        .map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string())
                        .unwrap_or_default(),
                    hold.description.clone(),
                ]);
            }
            table
        })
    }
}

fn state(state: &HoldState, write: impl Fn(tale_primitives::Amount) -> String) -> String {
    match state {
        HoldState::Open => "open".to_owned(),
        HoldState::Overdue => "overdue".to_owned(),
        HoldState::Posted { amount, by } => format!("posted {} by {by}", write(*amount)),
        HoldState::Voided { by } => format!("voided by {by}"),
        HoldState::Expired { by } => format!("expired by {by}"),
    }
}

/// How many holds are ended between two words on how far it is.
const EXPIRED_AT_ONCE: u32 = 500;

#[derive(Serialize)]
struct Expired {
    expired: u64,
}

/// Ends what is overdue.
pub async fn expire(global: &Global) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale ledger expire").await?;
    let mut connection = installation.connection().await?;
    let progress = Progress::start();
    let mut expired = 0;
    loop {
        let ended = expire_holds(&mut connection, EXPIRED_AT_ONCE).await?;
        expired += ended;
        progress.update(&format!("{expired} holds expired"));
        if ended == 0 {
            break;
        }
    }
    progress.finish();
    drop(connection);
    installation.close().await?;
    output::write(global.output, &Expired { expired }, |expired| {
        let mut table = output::table(&["expired holds"]);
        table.add_row([expired.expired.to_string()]);
        table
    })
}
