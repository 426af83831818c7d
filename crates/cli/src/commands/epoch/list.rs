//! `tale epoch list`: every epoch in a line.

use tale_treasury::list_epochs;

use crate::{amounts::Tokens, arguments::Global, failure::Failure, installation::Installation, output};

/// Lists the epochs.
pub async fn list(global: &Global) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale epoch list").await?;
    let epochs = list_epochs(&mut *installation.connection().await?).await;
    installation.close().await?;
    let tokens = Tokens::current()?;
    output::write(global.output, &epochs?, |epochs| {
        let mut table =
            output::table(&["epoch", "state", "pool", "paid", "repaid", "carried over", "accounts", "root"]);
        for epoch in epochs {
            let held = if epoch.held.is_some() { " (held)" } else { "" };
            table.add_row([
                epoch.day.to_string(),
                format!("{}{held}", epoch.state),
                tokens.write_known(epoch.pool),
                tokens.write_known(epoch.paid),
                tokens.write(epoch.repaid),
                tokens.write_known(epoch.carried),
                epoch.leaf_count.map(|count| count.to_string()).unwrap_or_default(),
                epoch.root.map(|root| root.to_string()).unwrap_or_default(),
            ]);
        }
        table
    })
}
