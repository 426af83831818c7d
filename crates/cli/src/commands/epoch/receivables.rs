//! `tale epoch receivables`: over-payments and what is left of them.

use tale_primitives::Address;
use tale_treasury::{Receivable, list_receivables};

use crate::{amounts::Tokens, arguments::Global, failure::Failure, installation::Installation, output};

/// Lists over-payments, of one account or of all.
pub async fn list(global: &Global, account: Option<Address>) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale epoch receivables").await?;
    let listed = list_receivables(&mut *installation.connection().await?, account).await;
    installation.close().await?;
    print(global, &listed?)
}

/// Prints over-payments.
pub fn print(global: &Global, receivables: &[Receivable]) -> Result<(), Failure> {
    let tokens = Tokens::current()?;
    output::write(global.output, &receivables, |receivables| {
        let mut table =
            output::table(&["correction", "account", "of epoch", "paid too much", "repaid", "left", "why"]);
        for one in *receivables {
            table.add_row([
                one.correction.clone(),
                one.owner.to_string(),
                one.origin.to_string(),
                tokens.write(one.amount),
                tokens.write(one.repaid),
                tokens.write(one.outstanding),
                one.reason.clone(),
            ]);
        }
        table
    })
}
