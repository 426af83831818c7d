//! Whether a step's results are kept, and when they may stand in for a run of the task.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    reader::{Reader, find},
    yaml::{Node, Yaml},
};

const CACHE_KEYS: [&str; 2] = ["key", "ttl"];

/// How the results of a step's tasks are kept for later runs of the same pipeline.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSpec {
    /// What a result is known by, instead of the task's arguments: a text, perhaps with expressions over `params`, `run`,
    /// `item` and the outputs of other steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// How old a result may be, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
}

impl Reader<'_, '_> {
    pub(crate) fn cache(&mut self, node: &Node) -> Option<CacheSpec> {
        match &node.value {
            Yaml::Boolean(is_wanted) => is_wanted.then(CacheSpec::default),
            Yaml::Map(entries) => {
                self.known_keys(entries, &CACHE_KEYS, "`cache`");
                let key = find(entries, "key").and_then(|node| self.text(node, "key"));
                let ttl_ms = find(entries, "ttl").and_then(|node| self.duration(node, "ttl"));
                Some(CacheSpec { key: key.map(Value::from), ttl_ms })
            }
            _ => {
                let help = "write cache: true, or cache: { key: \"${params.day}\", ttl: 7d }";
                self.wrong_type(node, "cache", "a boolean or a map", help);
                None
            }
        }
    }
}
