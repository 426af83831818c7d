use std::fmt;

use sqlx::PgConnection;
use tale_primitives::Address;

use super::WithdrawalError;
use crate::TreasuryError;

/// By what a token of the claims tree is paid out. A token has one route, for good: with two, somebody could be paid
/// twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutRoute {
    /// Withdrawals turn it into another asset; its leaves are a statement of account.
    Withdrawals,
    /// A distributor on a chain pays its leaves.
    Distributor,
}

/// Takes a route for a token, before the first payment by it. Taking it again changes nothing; where the token has
/// the other one it is [`WithdrawalError::TwoRoutes`].
pub async fn take_route(
    conn: &mut PgConnection,
    token: Address,
    given: PayoutRoute,
) -> Result<(), TreasuryError> {
    let bytes = token.as_bytes().as_slice();
    sqlx::query_file!("../../sql/treasury/insert_payout_route.sql", bytes, given.as_str())
        .execute(&mut *conn)
        .await?;
    let route =
        sqlx::query_file_scalar!("../../sql/treasury/find_payout_route.sql", bytes).fetch_one(conn).await?;
    let taken = PayoutRoute::parse(&route)
        .ok_or_else(|| TreasuryError::CorruptRow { table: "payout_route", row: token.to_string() })?;
    if taken == given { Ok(()) } else { Err(WithdrawalError::TwoRoutes { token, taken, given }.into()) }
}

impl PayoutRoute {
    /// The route as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Withdrawals => "withdrawals",
            Self::Distributor => "distributor",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Withdrawals, Self::Distributor].into_iter().find(|route| route.as_str() == text)
    }
}

impl fmt::Display for PayoutRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
