//! Reading values of the sorts that a pipeline has, with a problem for each that is of another sort.

use std::ops::Range;

use tale_primitives::Name;

use crate::{
    expression::RESERVED,
    params,
    problem::Problems,
    quantity, suggest,
    yaml::{Entry, Node, Yaml},
};

/// The value of a key.
pub(crate) fn find<'n>(entries: &'n [Entry], key: &str) -> Option<&'n Node> {
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

/// Reads values; what is wrong with them is added to the problems.
pub(crate) struct Reader<'p, 's> {
    pub problems: &'p mut Problems<'s>,
}

impl Reader<'_, '_> {
    /// The name of a param or a step, which expressions must be able to write.
    pub(crate) fn member_name(&mut self, entry: &Entry, noun: &str) -> Option<Name> {
        let name = self.checked_name(&entry.key, &entry.key_span, &format!("a {noun}'s name"))?;
        if RESERVED.binary_search(&name.as_str()).is_ok() {
            let message = format!(
                "{name:?} cannot name a {noun}: it is a word of the expression language",
                name = name.as_str()
            );
            let help = Some(format!("call it {name}_{noun}"));
            self.problems.add("reserved-name", entry.key_span.clone(), message, help);
            return None;
        }
        Some(name)
    }

    pub(crate) fn name(&mut self, node: &Node, what: &str) -> Option<Name> {
        let text = self.text(node, what)?;
        self.checked_name(text, &node.span, what)
    }

    fn checked_name(&mut self, text: &str, span: &Range<usize>, what: &str) -> Option<Name> {
        let name = text.parse().ok();
        if name.is_none() {
            let message = format!("{:?} cannot be {what}", params::shortened(text));
            let help = "a name is a lower-case letter, then up to 62 of a-z, 0-9, '-' and '_'";
            self.problems.add("bad-name", span.clone(), message, Some(help.to_owned()));
        }
        name
    }

    pub(crate) fn duration(&mut self, node: &Node, key: &str) -> Option<u64> {
        let read = match &node.value {
            Yaml::Text(text) => quantity::milliseconds(text).filter(|duration| *duration > 0),
            _ => None,
        };
        if read.is_none() {
            self.wrong_type(
                node,
                key,
                "a duration",
                "write a number and its unit: 500ms, 30s, 10m or 1h30m, at most 366d",
            );
        }
        read
    }

    pub(crate) fn percentage(&mut self, node: &Node) -> Option<u32> {
        let read = match &node.value {
            Yaml::Text(text) => quantity::parts_per_million(text),
            _ => None,
        };
        if read.is_none() {
            self.wrong_type(
                node,
                "tolerate",
                "a percentage",
                "write a number from 0 to 100 and a percent sign: 25% or 0.5%",
            );
        }
        read
    }

    pub(crate) fn boolean(&mut self, node: &Node, key: &str) -> Option<bool> {
        match node.value {
            Yaml::Boolean(boolean) => Some(boolean),
            _ => {
                self.wrong_type(node, key, "a boolean", "write true or false");
                None
            }
        }
    }

    pub(crate) fn text<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n str> {
        match &node.value {
            Yaml::Text(text) => Some(text),
            Yaml::Boolean(_) | Yaml::Number(_) => {
                self.wrong_type(node, key, "a text", "put it in quotes");
                None
            }
            _ => {
                self.wrong_type(node, key, "a text", "write one word or line");
                None
            }
        }
    }

    pub(crate) fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        match &node.value {
            Yaml::Map(entries) => Some(entries),
            _ => {
                self.wrong_type(node, what, "a map", "write `key: value` lines, indented below it");
                None
            }
        }
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, what: &str, expected: &str, help: &str) {
        let found = match &node.value {
            Yaml::Text(text) => format!("{:?}", params::shortened(text)),
            Yaml::Boolean(_) | Yaml::Number(_) => node.to_json().to_string(),
            other => other.article().to_owned(),
        };
        let what = if what.contains(' ') { what.to_owned() } else { format!("`{what}`") };
        let message = format!("{what} must be {expected}, not {found}");
        self.problems.add("wrong-type", node.span.clone(), message, Some(help.to_owned()));
    }

    pub(crate) fn missing(&mut self, span: Range<usize>, key: &str, owner: &str, example: &str) {
        let help = Some(format!("add it, for example `{example}`"));
        self.problems.add("missing-key", span, format!("{owner} must have `{key}`"), help);
    }

    pub(crate) fn known_keys(&mut self, entries: &[Entry], known: &[&str], owner: &str) {
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("{owner} has no key {:?}", params::shortened(&entry.key));
                let help = suggest::help(&entry.key, known, "keys");
                self.problems.add("unknown-key", entry.key_span.clone(), message, Some(help));
            }
        }
    }
}
