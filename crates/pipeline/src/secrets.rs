//! Secrets in expressions: a worker puts them in, so that an expression can only name them.

use std::ops::Range;

use tale_primitives::SecretName;

use crate::{
    expression::{Body, Expression, Reference},
    params::shortened,
    problem::Problems,
    yaml::{Node, Yaml},
};

/// The variable below which the secrets are.
pub(crate) const SECRETS: &str = "secrets";

impl Expression {
    /// Whether it refers to secrets in any way.
    pub(crate) fn mentions_secrets(&self) -> bool {
        self.references.iter().any(|reference| reference.root == SECRETS)
    }

    /// The secret that it is, where it is `secrets.NAME` and nothing else.
    pub(crate) fn secret(&self) -> Option<SecretName> {
        match (&self.body, self.references.as_slice()) {
            (Body::Path, [Reference { root, path, .. }]) if root == SECRETS => match path.as_slice() {
                [name] => name.name.parse().ok(),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Checks an expression that mentions secrets: in a place for them, by a name that can be one, and alone.
pub(crate) fn check(
    expression: &Expression,
    place: Result<(), &'static str>,
    at: &dyn Fn(Range<usize>) -> Range<usize>,
    problems: &mut Problems<'_>,
) {
    let named = expression.references.iter().find(|reference| reference.root == SECRETS);
    let Some(reference) = named.filter(|_| expression.secret().is_none() || place.is_err()) else { return };
    let span = at(reference.range.clone());
    if let Err(help) = place {
        problems.add("out-of-place", span, "there are no secrets here", Some(help.to_owned()));
        return;
    }
    let is_alone = expression.calls.is_empty() && expression.text.trim().starts_with(SECRETS);
    match reference.path.as_slice() {
        [name] if is_alone && name.name.parse::<SecretName>().is_err() => {
            let message = format!("{:?} cannot be a secret's name", shortened(&name.name));
            let help = "a letter, then up to 62 letters, digits and '_'".to_owned();
            problems.add("bad-name", at(name.range.clone()), message, Some(help));
        }
        _ => {
            let message = "a secret cannot be computed with: its value is not known here";
            let help = "write ${secrets.NAME}, with any text before and after it".to_owned();
            problems.add("bad-expression", span, message, Some(help));
        }
    }
}

/// Refuses the name of a secret where a param's value is declared: nobody would resolve it.
pub(crate) fn refuse_in_param(node: &Node, problems: &mut Problems<'_>) {
    match &node.value {
        Yaml::Text(text) if text.contains("${secrets.") => {
            let help = "params are stored and shown; write ${secrets.NAME} in the `with` of a task";
            let message = "a param cannot be a secret";
            problems.add("out-of-place", node.span.clone(), message, Some(help.to_owned()));
        }
        Yaml::List(items) => items.iter().for_each(|item| refuse_in_param(item, problems)),
        Yaml::Map(entries) => entries.iter().for_each(|entry| refuse_in_param(&entry.value, problems)),
        _ => {}
    }
}
