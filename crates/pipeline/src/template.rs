//! Texts with expressions in them: `a ${b} c`.

use std::ops::Range;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    /// Text that stands for itself.
    Text(String),
    /// What stands between `${` and `}`, and the bytes of the text where it stands.
    Expression { text: &'t str, range: Range<usize> },
}

/// A `${` that is never closed, at this byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unclosed {
    pub at: usize,
}

/// Whether any part of the text is more than itself.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.contains("${")
}

/// The parts of a text; `$${` stands for `${`.
pub(crate) fn parts(text: &str) -> Result<Vec<Part<'_>>, Unclosed> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = 0;
    while let Some(found) = text[rest..].find("${") {
        let at = rest + found;
        // The `$` before belongs to the escape only if it has not been read yet.
        if found > 0 && text[rest..at].ends_with('$') {
            plain.push_str(&text[rest..at - 1]);
            plain.push_str("${");
            rest = at + 2;
            continue;
        }
        plain.push_str(&text[rest..at]);
        let start = at + 2;
        let end = start + closing_brace(&text[start..]).ok_or(Unclosed { at })?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Expression { text: &text[start..end], range: start..end });
        rest = end + 1;
    }
    plain.push_str(&text[rest..]);
    if !plain.is_empty() || parts.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// Where the brace is that closes an expression: braces of maps nest, and those in CEL's string literals
/// (`'…'`, `"…"`, tripled, raw) do not count.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut place = 0;
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(place),
            b'}' => depth -= 1,
            b'\'' | b'"' => place = end_of_literal(bytes, place)?,
            _ => {}
        }
        place += 1;
    }
    None
}

/// The last byte of the string literal whose opening quote is at `open`.
pub(crate) fn end_of_literal(bytes: &[u8], open: usize) -> Option<usize> {
    let quote = bytes[open];
    let raw = open > 0 && matches!(bytes[open - 1], b'r' | b'R') && !after_word(bytes, open - 1);
    let tripled = bytes[open..].starts_with(&[quote; 3]);
    let width = if tripled { 3 } else { 1 };
    let mut place = open + width;
    loop {
        match bytes.get(place)? {
            b'\\' if !raw => place += 2,
            _ if bytes[place..].starts_with(&[quote; 3][..width]) => return Some(place + width - 1),
            _ => place += 1,
        }
    }
}

/// Whether the letter at `place` ends a longer word, and so is no `r` prefix (`br` is one).
fn after_word(bytes: &[u8], place: usize) -> bool {
    let word = bytes[..place].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    match word.clone().count() {
        0 => false,
        1 => !word.clone().all(|byte| matches!(byte, b'b' | b'B')),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let parts = parts(text).map(|parts| {
            parts.into_iter().map(|part| match part {
                Part::Text(text) => format!("[{text}]"),
                Part::Expression { text, .. } => format!("<{text}>"),
            })
        });
        parts.map_or_else(|unclosed| format!("unclosed at {}", unclosed.at), Iterator::collect)
    }

    #[test]
    fn a_text_is_split_into_its_parts() {
        for (text, parts) in [
            ("", "[]"),
            ("plain $ {text}", "[plain $ {text}]"),
            ("${a}", "<a>"),
            ("a${b}c${d}", "[a]<b>[c]<d>"),
            ("$${a} $$ ${b}", "[${a} $$ ]<b>"),
            ("$$${a}", "[$${a}]"),
            ("${a}$${b}", "<a>[${b}]"),
            ("${{'a': {'b': 1}}}", "<{'a': {'b': 1}}>"),
            ("${'}' + \"}\\\"}\"}", "<'}' + \"}\\\"}\">"),
            ("${'''}'}'''}", "<'''}'}'''>"),
            ("${r'\\'}", "<r'\\'>"),
            ("${br'\\'}", "<br'\\'>"),
            ("${a", "unclosed at 0"),
            ("é${'a}", "unclosed at 2"),
            ("${}", "<>"),
        ] {
            assert_eq!(shown(text), parts, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_or_refused(text in "[${}'\"\\\\rabé ]{0,40}") {
            let Ok(parts) = parts(&text) else { return Ok(()) };
            for part in parts {
                if let Part::Expression { text: expression, range } = part {
                    prop_assert_eq!(&text[range], expression);
                }
            }
        }

        #[test]
        fn a_text_without_a_dollar_and_brace_stands_for_itself(text in "[^$]{0,40}") {
            prop_assert_eq!(parts(&text), Ok(vec![Part::Text(text.clone())]));
        }
    }
}
