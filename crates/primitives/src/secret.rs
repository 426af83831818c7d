//! References to secrets: what stands in stored arguments where a worker puts a secret.
//!
//! A stored text holds `${secrets.NAME}` where the secret NAME belongs. A text that came from elsewhere, a param or
//! another task's output, may look like that by accident or by design and must not become a reference; so every `$`
//! directly before a `{secrets.` is doubled in the stored form: an odd number of them makes a reference, an even number
//! stands for half as many and a text.

use std::{fmt, str::FromStr};

/// The name of a secret: a letter, then up to 62 letters, digits and `_`.
///
/// Safe as a file's name and in that of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

/// A text that is not a [`SecretName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a secret's name: expected a letter, then up to 62 letters, digits and '_'")]
pub struct SecretNameError(String);

/// A part of a text with secrets in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPart {
    /// Text that stands for itself.
    Text(String),
    /// The place of a secret.
    Secret(SecretName),
}

/// What follows the dollar of a reference.
const OPENING: &str = "{secrets.";

impl SecretName {
    /// The most characters in a name.
    pub const LENGTH_MAX: usize = 63;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        let first_is_letter = text.starts_with(|first: char| first.is_ascii_alphabetic());
        let rest_is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if first_is_letter && rest_is_plain && text.len() <= Self::LENGTH_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(SecretNameError(text.chars().take(100).collect()))
        }
    }
}

impl SecretPart {
    /// Whether a text and its stored form are the same, and hold no reference.
    pub fn is_plain(text: &str) -> bool {
        !text.contains(OPENING)
    }

    /// The stored form of parts that follow one another.
    pub fn store(parts: impl IntoIterator<Item = Self>) -> String {
        let (mut stored, mut literal) = (String::new(), String::new());
        for part in parts {
            match part {
                // texts are joined first: a reference must not arise where two of them meet
                Self::Text(text) => literal.push_str(&text),
                Self::Secret(name) => {
                    store_literal(&literal, &mut stored);
                    double_last_dollars(&mut stored);
                    literal.clear();
                    stored.push('$');
                    stored.push_str(OPENING);
                    stored.push_str(name.as_str());
                    stored.push('}');
                }
            }
        }
        store_literal(&literal, &mut stored);
        stored
    }

    /// The parts of a stored form.
    pub fn read(stored: &str) -> Vec<Self> {
        let (mut parts, mut literal, mut rest) = (vec![], String::new(), stored);
        while let Some(at) = rest.find(OPENING) {
            let (before, after) = (&rest[..at], &rest[at + OPENING.len()..]);
            let text = before.trim_end_matches('$');
            let dollars = before.len() - text.len();
            let name = after.split_once('}').and_then(|(name, after)| Some((name.parse().ok()?, after)));
            literal.push_str(text);
            literal.extend(std::iter::repeat_n('$', dollars / 2));
            rest = match name {
                Some((name, after)) if dollars % 2 == 1 => {
                    if !literal.is_empty() {
                        parts.push(Self::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Self::Secret(name));
                    after
                }
                _ => {
                    // an odd one that names nothing was written by nobody; it stays as it is
                    literal.extend(std::iter::repeat_n('$', dollars % 2));
                    literal.push_str(OPENING);
                    after
                }
            };
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Self::Text(literal));
        }
        parts
    }
}

fn store_literal(literal: &str, stored: &mut String) {
    let mut pieces = literal.split(OPENING);
    stored.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        double_last_dollars(stored);
        stored.push_str(OPENING);
        stored.push_str(piece);
    }
}

fn double_last_dollars(stored: &mut String) {
    let dollars = stored.len() - stored.trim_end_matches('$').len();
    stored.extend(std::iter::repeat_n('$', dollars));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> SecretPart {
        SecretPart::Text(text.to_owned())
    }

    fn secret(name: &str) -> SecretPart {
        SecretPart::Secret(name.parse().unwrap())
    }

    #[test]
    fn a_reference_is_stored_as_it_is_written() {
        assert_eq!(SecretPart::store([text("Bearer "), secret("TOKEN")]), "Bearer ${secrets.TOKEN}");
        assert_eq!(
            SecretPart::read("Bearer ${secrets.TOKEN}!"),
            [text("Bearer "), secret("TOKEN"), text("!")]
        );
    }

    #[test]
    fn a_text_that_looks_like_a_reference_never_becomes_one() {
        for texts in
            [&["${secrets.A}"][..], &["$", "{secrets.A}"], &["$${", "secrets.A}"], &["{sec", "rets.A}"]]
        {
            let stored = SecretPart::store(texts.iter().map(|part| text(part)));
            assert_eq!(SecretPart::read(&stored), [text(&texts.concat())]);
        }
    }

    #[test]
    fn names_are_plain() {
        for name in ["A", "db_url", "TOKEN2"] {
            assert!(name.parse::<SecretName>().is_ok(), "{name}");
        }
        for name in ["", "2", "_A", "a-b", "a.b", "../a", "é", &"a".repeat(64)] {
            assert!(name.parse::<SecretName>().is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read(parts in prop::collection::vec(
            prop_oneof!["(\\$|\\{|secrets\\.|A|\\}|é){0,6}".prop_map(|part| text(&part)), Just(secret("A"))], 0..8,
        )) {
            let read = SecretPart::read(&SecretPart::store(parts.clone()));
            let mut expected: Vec<SecretPart> = vec![];
            for part in parts {
                match (expected.last_mut(), part) {
                    (Some(SecretPart::Text(before)), SecretPart::Text(more)) => before.push_str(&more),
                    (_, SecretPart::Text(more)) if more.is_empty() => {}
                    (_, part) => expected.push(part),
                }
            }
            if expected.is_empty() {
                expected.push(text(""));
            }
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn a_plain_text_is_stored_as_it_is(plain in "[${}secrt. é]{0,20}") {
            prop_assume!(SecretPart::is_plain(&plain));
            prop_assert_eq!(SecretPart::store([text(&plain)]), plain.clone());
            prop_assert_eq!(SecretPart::read(&plain), vec![text(&plain)]);
        }
    }
}
