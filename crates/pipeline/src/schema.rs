//! The JSON Schema of pipeline files, for editors.

use serde_json::{Value, json};

use crate::spec::{ParamType, STEPS_MAX};

/// The JSON Schema (draft 2020-12) of a pipeline file, which editors complete and check by.
///
/// It knows the structure; `check` knows what the names in it refer to.
pub fn schema() -> Value {
    let expression = json!({
        "type": "string",
        "pattern": r"^\$\{[\s\S]*\}$",
        "description": "One CEL expression over params, steps.<name>.outputs and run.",
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Taleworks pipeline",
        "type": "object",
        "required": ["pipeline", "steps"],
        "additionalProperties": false,
        "properties": {
            "pipeline": { "$ref": "#/$defs/name", "description": "The pipeline's unique name." },
            "description": { "type": "string", "description": "What the pipeline is for." },
            "params": {
                "type": "object",
                "description": "The params of a run: name → declaration. Expressions read params.<name>.",
                "propertyNames": { "pattern": "^[a-z][a-z0-9_]{0,62}$" },
                "additionalProperties": { "$ref": "#/$defs/param" },
            },
            "steps": {
                "type": "object",
                "description": "The steps: name → step. Expressions read steps.<name>.outputs.",
                "minProperties": 1,
                "maxProperties": STEPS_MAX,
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": { "$ref": "#/$defs/step" },
            },
            "outputs": {
                "type": "object",
                "description": "What the run gives to whoever started it: values and expressions.",
            },
        },
        "$defs": {
            "name": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9_-]{0,62}$",
                "description": "A lower-case letter, then up to 62 of a-z, 0-9, '-' and '_'.",
            },
            "duration": {
                "type": "string",
                "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
                "minLength": 2,
                "description": "Numbers with units, the largest first: 500ms, 10m, 1h30m.",
            },
            "param": param(),
            "step": step(&expression),
        },
    })
}

fn param() -> Value {
    json!({
        "type": "object",
        "required": ["type"],
        "additionalProperties": false,
        "properties": {
            "type": { "enum": ParamType::NAMES, "description": "The type that a value must have." },
            "default": { "description": "The value where a run gives none; without one, the param is required." },
            "min": { "type": "number", "description": "The least number, or the least length of a text or list." },
            "max": { "type": "number", "description": "The greatest number, or the greatest length." },
            "enum": { "type": "array", "minItems": 1, "description": "The values that are allowed." },
            "description": { "type": "string", "description": "What the param is for." },
        },
    })
}

fn step(expression: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["uses"],
        "additionalProperties": false,
        "dependentRequired": { "sequence": ["for_each"], "tolerate": ["for_each"] },
        "properties": {
            "uses": { "type": "string", "description": "The task kind; `tale kinds` lists them." },
            "with": {
                "type": "object",
                "description": "The arguments of each task; texts may hold expressions, also over item and index, and ${secrets.NAME}.",
            },
            "for_each": {
                "description": "A list with one task per item: a literal or an expression.",
                "anyOf": [{ "type": "array" }, expression],
            },
            "sequence": {
                "type": "boolean",
                "default": false,
                "description": "Run the items one after another; `previous` is the outputs of the one before.",
            },
            "needs": {
                "type": "array",
                "items": { "$ref": "#/$defs/name" },
                "description": "Steps that must finish first, beside those that expressions refer to.",
            },
            "when": {
                "description": "The step is skipped, with null outputs, where this is false.",
                "anyOf": [{ "type": "boolean" }, expression],
            },
            "pool": { "$ref": "#/$defs/name", "description": "The pool whose workers run the tasks." },
            "retry": {
                "type": "object",
                "additionalProperties": false,
                "description": "How often and when a failed task is tried again; without it, never.",
                "properties": {
                    "attempts": { "type": "integer", "minimum": 1, "maximum": 100, "default": 3 },
                    "backoff": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "base": { "$ref": "#/$defs/duration", "default": "1s" },
                            "cap": { "$ref": "#/$defs/duration", "default": "60s" },
                        },
                    },
                },
            },
            "timeout": { "$ref": "#/$defs/duration", "description": "How long one attempt may take." },
            "tolerate": {
                "type": "string",
                "pattern": r"^[0-9]+(\.[0-9]{1,4})?%$",
                "description": "How many of the fan-out's tasks may fail, such as 25%.",
            },
        },
    })
}
