//! The key `retry`: how often and when a failed task is tried again, in general and by class of error.

use std::collections::BTreeMap;

use crate::{
    params::shortened,
    reader::{Reader, find},
    spec::RetryPolicy,
    yaml::{Entry, Node, Yaml},
};

const RETRY_KEYS: [&str; 3] = ["attempts", "backoff", "on"];
const CLASS_KEYS: [&str; 2] = ["attempts", "backoff"];
const BACKOFF_KEYS: [&str; 2] = ["base", "cap"];

/// No task is worth more attempts than this.
const ATTEMPTS_MAX: u64 = 100;

/// The most classes with a policy of their own.
const CLASSES_MAX: usize = 20;

/// The class of lost leases, which the queue itself tells.
const CRASHED: &str = "crashed";

/// `retry` as it was read.
pub(crate) struct Retries {
    pub policy: RetryPolicy,
    pub classes: BTreeMap<String, RetryPolicy>,
}

impl Retries {
    /// What a step without `retry` has.
    pub(crate) fn none() -> Self {
        Self { policy: RetryPolicy::NONE, classes: BTreeMap::new() }
    }
}

impl Reader<'_, '_> {
    pub(crate) fn retry(&mut self, node: &Node) -> Retries {
        let mut retries = Retries { policy: RetryPolicy::DEFAULT, classes: BTreeMap::new() };
        let Some(entries) = self.map(node, "retry") else { return retries };
        self.known_keys(entries, &RETRY_KEYS, "`retry`");
        retries.policy = self.policy_over(entries, RetryPolicy::DEFAULT);
        let Some(classes) = find(entries, "on").and_then(|node| self.map(node, "on")) else { return retries };
        if let Some(first_too_many) = classes.get(CLASSES_MAX) {
            let message = format!("there are {} classes, more than {CLASSES_MAX}", classes.len());
            let help = "a name that ends in * stands for all classes that begin so: http-5*".to_owned();
            self.problems.add("too-many-classes", first_too_many.key_span.clone(), message, help);
        }
        for class in classes {
            if let Some(policy) = self.class(class, retries.policy) {
                retries.classes.insert(class.key.clone(), policy);
            }
        }
        retries
    }

    fn class(&mut self, class: &Entry, usual: RetryPolicy) -> Option<RetryPolicy> {
        if !is_class(&class.key) {
            let message = format!("{:?} cannot be a class of errors", shortened(&class.key));
            let help = "classes are timeout, connection, throttled, panic, crashed, exit-75, signal, http-503, \
                        sql-40001 and what kinds tell; a name that ends in * stands for all that begin so: http-5*";
            self.problems.add("bad-class", class.key_span.clone(), message, help.to_owned());
        }
        let entries = self.map(&class.value, "a class of errors")?;
        if class.key == CRASHED
            && let Some(backoff) = entries.iter().find(|entry| entry.key == "backoff")
        {
            let message = "a task that lost its worker is tried again at once";
            let help = "take `backoff` out; `attempts` says how many workers it may lose".to_owned();
            self.problems.add("needless-backoff", backoff.key_span.clone(), message, help);
        }
        self.known_keys(entries, &CLASS_KEYS, "a class of errors");
        Some(self.policy_over(entries, usual))
    }

    /// The policy that is written, with the rest as in `usual`.
    fn policy_over(&mut self, entries: &[Entry], usual: RetryPolicy) -> RetryPolicy {
        let mut retry = usual;
        if let Some(node) = find(entries, "attempts") {
            let attempts = match &node.value {
                Yaml::Number(number) => number.as_u64().filter(|count| (1..=ATTEMPTS_MAX).contains(count)),
                _ => None,
            };
            match attempts.and_then(|count| u32::try_from(count).ok()) {
                Some(attempts) => retry.attempts = attempts,
                None => {
                    let help = format!("write a whole number from 1 (no retry) to {ATTEMPTS_MAX}");
                    self.wrong_type(node, "attempts", "a number of attempts", &help);
                }
            }
        }
        let Some(entries) = find(entries, "backoff").and_then(|node| self.map(node, "backoff")) else {
            return retry;
        };
        self.known_keys(entries, &BACKOFF_KEYS, "`backoff`");
        let base = find(entries, "base").and_then(|node| self.duration(node, "base"));
        retry.backoff_base_ms = base.unwrap_or(retry.backoff_base_ms);
        let cap = find(entries, "cap").and_then(|node| self.duration(node, "cap"));
        retry.backoff_cap_ms = cap.unwrap_or(retry.backoff_cap_ms.max(retry.backoff_base_ms));
        if let (Some(node), true) = (find(entries, "cap"), retry.backoff_cap_ms < retry.backoff_base_ms) {
            let help = "a pause grows from `base` up to `cap`: make `cap` the longer one";
            self.problems.add(
                "bad-backoff",
                node.span.clone(),
                "`cap` is shorter than `base`",
                Some(help.to_owned()),
            );
        }
        retry
    }
}

/// Whether this names a class of errors, or all that begin so.
fn is_class(name: &str) -> bool {
    let stem = name.strip_suffix('*').unwrap_or(name);
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    stem.len() < 63
        && stem.bytes().all(is_plain)
        && stem.starts_with(|first: char| first.is_ascii_alphanumeric())
}
