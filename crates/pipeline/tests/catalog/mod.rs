//! The task kinds that the tests' pipelines use.

use serde_json::{Value, json};
use tale_pipeline::{KindCatalog, KindDescription, ResourceSpec};

fn kind(name: &str, pool: Option<&str>, arguments: Value) -> KindDescription {
    KindDescription {
        name: name.to_owned(),
        summary: format!("What {name} does."),
        arguments,
        outputs: json!({ "type": "object" }),
        pool: pool.map(str::to_owned),
        resources: ResourceSpec::default(),
        cacheable: name != "learning.select",
    }
}

/// A few of the product's kinds, with schemas as schemars makes them.
pub fn catalog() -> KindCatalog {
    KindCatalog::new([
        kind(
            "learning.select",
            None,
            json!({
                "type": "object", "additionalProperties": false, "required": ["dataset", "count"],
                "properties": {
                    "dataset": { "type": "string", "description": "The data set's name." },
                    "count": { "type": "integer", "minimum": 1, "description": "How many participants." },
                },
            }),
        ),
        kind(
            "learning.train",
            Some("gpu"),
            json!({
                "type": "object", "additionalProperties": false, "required": ["participant"],
                "properties": {
                    "participant": { "$ref": "#/$defs/Participant" },
                    "learning_rate": { "type": "number", "exclusiveMinimum": 0 },
                    "base": { "type": ["object", "null"] },
                    "round": { "type": "integer" },
                },
                "$defs": { "Participant": {
                    "type": "object", "additionalProperties": false, "required": ["name"],
                    "properties": { "name": { "type": "string" }, "shard": { "type": "integer" } },
                } },
            }),
        ),
        kind(
            "sleep",
            None,
            json!({
                "type": "object", "additionalProperties": false, "required": ["seconds"],
                "properties": { "seconds": { "type": "number", "minimum": 0 } },
            }),
        ),
        kind(
            "shell",
            None,
            json!({
                "type": "object", "additionalProperties": false, "required": ["argv"],
                "properties": {
                    "argv": { "type": "array", "minItems": 1, "items": { "type": "string" } },
                    "env": { "type": "object", "additionalProperties": { "type": "string" } },
                },
            }),
        ),
    ])
}
