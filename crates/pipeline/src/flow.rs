//! How a step joins what it needs, and what limits its tasks.

use crate::{
    reader::{Reader, find},
    spec::{JoinRule, LimitSpec, RateSpec},
    suggest,
    yaml::{Node, Yaml},
};

const LIMIT_KEYS: [&str; 3] = ["key", "concurrency", "rate"];
const RATE_KEYS: [&str; 2] = ["count", "per"];

/// No limit is above this.
const COUNT_MAX: u64 = 1_000_000;

impl Reader<'_, '_> {
    pub(crate) fn join(&mut self, node: &Node) -> JoinRule {
        let Some(written) = self.text(node, "join") else { return JoinRule::default() };
        JoinRule::from_name(written).unwrap_or_else(|| {
            let help = suggest::help(written, &JoinRule::NAMES, "rules");
            let message = format!("there is no join rule {written:?}");
            self.problems.add("unknown-join", node.span.clone(), message, Some(help));
            JoinRule::default()
        })
    }

    pub(crate) fn count(&mut self, node: &Node, key: &str) -> Option<u32> {
        let read = match &node.value {
            Yaml::Number(number) => number.as_u64().filter(|count| (1..=COUNT_MAX).contains(count)),
            _ => None,
        };
        if read.is_none() {
            let help = format!("write a whole number from 1 to {COUNT_MAX}");
            self.wrong_type(node, key, "a count", &help);
        }
        read.and_then(|count| u32::try_from(count).ok())
    }

    pub(crate) fn limit(&mut self, node: &Node) -> Option<LimitSpec> {
        let entries = self.map(node, "limit")?;
        self.known_keys(entries, &LIMIT_KEYS, "`limit`");
        let concurrency = find(entries, "concurrency").and_then(|node| self.count(node, "concurrency"));
        let rate = find(entries, "rate").and_then(|node| self.rate(node));
        let Some(key) = find(entries, "key") else {
            self.missing(node.span.clone(), "key", "a limit", "key: \"${item.owner}\"");
            return None;
        };
        let text = self.text(key, "key")?;
        if find(entries, "concurrency").is_none() && find(entries, "rate").is_none() {
            self.missing(node.span.clone(), "concurrency` or `rate", "a limit", "concurrency: 2");
            return None;
        }
        Some(LimitSpec { key: text.into(), concurrency, rate })
    }

    fn rate(&mut self, node: &Node) -> Option<RateSpec> {
        let entries = self.map(node, "rate")?;
        self.known_keys(entries, &RATE_KEYS, "`rate`");
        let (Some(count), Some(per)) = (find(entries, "count"), find(entries, "per")) else {
            self.missing(node.span.clone(), "count` and `per", "a rate", "{ count: 10, per: 1s }");
            return None;
        };
        let (count, per_ms) = (self.count(count, "count"), self.duration(per, "per"));
        Some(RateSpec { count: count?, per_ms: per_ms? })
    }
}
