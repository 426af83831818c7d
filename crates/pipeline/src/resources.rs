//! What a step's tasks ask of their worker, beside a slot.

use serde::{Deserialize, Serialize};

use crate::{
    quantity,
    reader::{Reader, find},
    yaml::{Node, Yaml},
};

const RESOURCE_KEYS: [&str; 4] = ["cpu", "memory", "gpu", "labels"];

/// No machine has more processors.
const CPUS_MAX: u32 = 10_000;
/// No machine has more GPUs.
const GPUS_MAX: u64 = 1_024;
/// More labels than this say nothing that a pool would not say better.
const LABELS_MAX: usize = 16;

/// What each task of a step asks of the worker that runs it; what is not written is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceSpec {
    /// Thousandths of a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Whole GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// Labels that the worker must have, in order, each once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
}

impl ResourceSpec {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.cpu_millis.unwrap_or(0) == 0
            && self.memory_bytes.unwrap_or(0) == 0
            && self.gpus.unwrap_or(0) == 0
            && self.labels.as_ref().is_none_or(Vec::is_empty)
    }

    /// These, and those of `others` that are not written here.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.or(others.cpu_millis),
            memory_bytes: self.memory_bytes.or(others.memory_bytes),
            gpus: self.gpus.or(others.gpus),
            labels: self.labels.or_else(|| others.labels.clone()),
        }
    }
}

impl Reader<'_, '_> {
    pub(crate) fn resources(&mut self, node: &Node) -> Option<ResourceSpec> {
        let entries = self.map(node, "resources")?;
        self.known_keys(entries, &RESOURCE_KEYS, "`resources`");
        Some(ResourceSpec {
            cpu_millis: find(entries, "cpu").and_then(|node| self.cpu(node)),
            memory_bytes: find(entries, "memory").and_then(|node| self.memory(node)),
            gpus: find(entries, "gpu").and_then(|node| self.gpus(node)),
            labels: find(entries, "labels").and_then(|node| self.labels(node)),
        })
    }

    fn cpu(&mut self, node: &Node) -> Option<u32> {
        let read = match &node.value {
            Yaml::Number(number) => quantity::cpu_millis(&number.to_string()),
            Yaml::Text(text) => quantity::cpu_millis(text),
            _ => None,
        };
        let read = read.filter(|millis| *millis <= CPUS_MAX * 1_000);
        if read.is_none() {
            let help =
                format!("write processors, such as 2 or 0.5, or thousandths: 500m; at most {CPUS_MAX}");
            self.wrong_type(node, "cpu", "a number of processors", &help);
        }
        read
    }

    fn memory(&mut self, node: &Node) -> Option<u64> {
        let read = match &node.value {
            Yaml::Text(text) => quantity::bytes(text),
            _ => None,
        };
        if read.is_none() {
            let help = "write a whole number and its unit: 512MiB, 4GiB or 2GB; at most 1024TiB";
            self.wrong_type(node, "memory", "an amount of memory", help);
        }
        read
    }

    fn gpus(&mut self, node: &Node) -> Option<u32> {
        let read = match &node.value {
            Yaml::Number(number) => number.as_u64().filter(|count| *count <= GPUS_MAX),
            _ => None,
        };
        if read.is_none() {
            let help = format!("write a whole number from 0 to {GPUS_MAX}");
            self.wrong_type(node, "gpu", "a number of GPUs", &help);
        }
        read.and_then(|count| u32::try_from(count).ok())
    }

    fn labels(&mut self, node: &Node) -> Option<Vec<String>> {
        let Yaml::List(items) = &node.value else {
            self.wrong_type(node, "labels", "a list", "write a list of labels: labels: [zone-a, a100]");
            return None;
        };
        if items.len() > LABELS_MAX {
            let message = format!("there are {} labels, more than {LABELS_MAX}", items.len());
            let help = "workers that must have so much in common are a pool of their own".to_owned();
            self.problems.add("too-many-labels", node.span.clone(), message, Some(help));
            return None;
        }
        let mut labels = Vec::with_capacity(items.len());
        for item in items {
            match &item.value {
                Yaml::Text(text) if quantity::is_label(text) => labels.push(text.clone()),
                _ => self.wrong_type(item, "a label", "a word", LABEL_HELP),
            }
        }
        labels.sort();
        labels.dedup();
        Some(labels)
    }
}

/// What a label is.
const LABEL_HELP: &str = "a label is up to 63 of a-z, 0-9, '.', '-' and '_', the first a letter or digit";
