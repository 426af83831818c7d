//! Stored values and what they stand for. What the constraints should have made impossible is an error with its row.

use std::{fmt, str::FromStr};

use tale_primitives::{Address, Digest};

use crate::MonetizationError;

pub(crate) fn corrupt(table: &'static str, row: impl fmt::Display) -> MonetizationError {
    MonetizationError::CorruptRow { table, row: row.to_string() }
}

pub(crate) fn address(
    bytes: &[u8],
    table: &'static str,
    row: impl fmt::Display,
) -> Result<Address, MonetizationError> {
    bytes.try_into().map(Address::from_bytes).map_err(|_| corrupt(table, row))
}

pub(crate) fn digest(
    bytes: &[u8],
    table: &'static str,
    row: impl fmt::Display,
) -> Result<Digest, MonetizationError> {
    bytes.try_into().map(Digest::from_bytes).map_err(|_| corrupt(table, row))
}

pub(crate) fn parse<T: FromStr>(
    text: &str,
    table: &'static str,
    row: impl fmt::Display,
) -> Result<T, MonetizationError> {
    text.parse().map_err(|_| corrupt(table, row))
}

pub(crate) fn count(
    number: i64,
    table: &'static str,
    row: impl fmt::Display,
) -> Result<u64, MonetizationError> {
    number.try_into().map_err(|_| corrupt(table, row))
}
