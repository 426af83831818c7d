//! Where in a query an error is.

use datafusion::error::DataFusionError;

/// Line and column, from 1, where the engine's error has them.
pub(crate) fn place_of(error: &DataFusionError) -> Option<(u64, u64)> {
    if let Some(span) = error.diagnostic().and_then(|diagnostic| diagnostic.span) {
        return Some((span.start.line, span.start.column));
    }
    match error.find_root() {
        DataFusionError::SQL(source, _) => place_in(&source.to_string()),
        _ => None,
    }
}

/// The place that the parser writes at the end of its message.
fn place_in(message: &str) -> Option<(u64, u64)> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let digits = column.bytes().take_while(u8::is_ascii_digit).count();
    Some((line.parse().ok()?, column.get(..digits)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parsers_place_is_read() {
        assert_eq!(place_in("sql parser error: Expected: x, found: y at Line: 12, Column: 7"), Some((12, 7)));
        assert_eq!(place_in("sql parser error: something"), None);
    }
}
