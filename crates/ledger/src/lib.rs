//! Accounts, journals, balances: double entry.
