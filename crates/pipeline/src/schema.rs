//! The JSON Schema of pipeline files, for editors.

use serde_json::{Value, json};

use crate::spec::{JoinRule, ParamType, STEPS_MAX};

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
            "concurrency": {
                "type": "integer", "minimum": 1,
                "description": "How many runs of the pipeline go on at a time; others wait.",
            },
            "tenant": {
                "type": "string",
                "description": "Whose run it is, such as ${params.owner}: tenants share pools evenly.",
            },
            "deadline": deadline(),
            "schedule": schedule(),
            "triggers": triggers(),
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

fn deadline() -> Value {
    json!({
        "description": "By when a run is to have ended: after its fire's time or, without a schedule, its start.",
        "anyOf": [
            { "$ref": "#/$defs/duration" },
            {
                "type": "object",
                "required": ["after"],
                "additionalProperties": false,
                "properties": {
                    "after": { "$ref": "#/$defs/duration" },
                    "policy": {
                        "enum": ["alert", "cancel"],
                        "default": "alert",
                        "description": "An alert is raised; `cancel` stops the run too.",
                    },
                    "run": { "$ref": "#/$defs/name", "description": "A pipeline that is run where the deadline is missed." },
                    "params": {
                        "type": "object",
                        "description": "Its params; texts may hold expressions over event: run, pipeline, state, date, due.",
                    },
                },
            },
        ],
    })
}

fn schedule() -> Value {
    json!({
        "type": "object",
        "required": ["cron"],
        "additionalProperties": false,
        "description": "When runs start by themselves.",
        "properties": {
            "cron": {
                "type": "string",
                "description": "Minute, hour, day of the month, month, day of the week; or 6 fields with seconds first.",
                "examples": ["10 0 * * *", "*/10 * * * *", "0 9 * * MON-FRI"],
            },
            "timezone": {
                "type": "string",
                "default": "UTC",
                "description": "The IANA name of the zone whose wall clock the expression reads.",
                "examples": ["Europe/Berlin"],
            },
            "date": {
                "enum": ["fire_day", "previous_day"],
                "default": "fire_day",
                "description": "run.date: the day on which it fires, or the day before it, which has just ended.",
            },
            "missed": {
                "default": "latest",
                "description": "What becomes of fires that nobody was there to start.",
                "anyOf": [
                    { "enum": ["skip", "latest"] },
                    {
                        "type": "object",
                        "required": ["all"],
                        "additionalProperties": false,
                        "properties": { "all": { "type": "integer", "minimum": 1, "maximum": 10000 } },
                    },
                ],
            },
            "params": {
                "type": "object",
                "description": "The params of its runs; the pipeline's defaults fill the rest.",
            },
        },
    })
}

fn triggers() -> Value {
    let params = json!({
        "type": "object",
        "description": "The params of the run; texts may hold expressions over event.",
    });
    json!({
        "type": "array",
        "maxItems": 100,
        "description": "What else starts runs by itself: each event one run.",
        "items": {
            "anyOf": [
                {
                    "type": "object",
                    "required": ["run"],
                    "additionalProperties": false,
                    "properties": {
                        "run": {
                            "type": "object",
                            "required": ["pipeline"],
                            "additionalProperties": false,
                            "description": "A run of another pipeline has ended: event.run, .pipeline, .state, .date, .outputs.",
                            "properties": {
                                "pipeline": { "$ref": "#/$defs/name", "description": "The other pipeline." },
                                "state": { "enum": ["succeeded", "failed", "any"], "default": "succeeded" },
                            },
                        },
                        "params": params,
                    },
                },
                {
                    "type": "object",
                    "required": ["object"],
                    "additionalProperties": false,
                    "properties": {
                        "object": {
                            "type": "object",
                            "required": ["prefix"],
                            "additionalProperties": false,
                            "description": "An object has arrived or changed: event.path, .size, .version.",
                            "properties": {
                                "prefix": { "type": "string", "pattern": "^([^/]+/)+$", "examples": ["inbox/"] },
                                "every": { "$ref": "#/$defs/duration", "default": "30s" },
                            },
                        },
                        "params": params,
                    },
                },
            ],
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

fn backoff() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "base": { "$ref": "#/$defs/duration", "default": "1s" },
            "cap": { "$ref": "#/$defs/duration", "default": "60s" },
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
            "join": {
                "enum": JoinRule::NAMES, "default": "all_success",
                "description": "Which ends of the steps that it needs open the step.",
            },
            "finally": {
                "type": "boolean", "default": false,
                "description": "Run after all other steps, however these ended, and in a cancelled run too.",
            },
            "limit": {
                "type": "object",
                "required": ["key"],
                "additionalProperties": false,
                "description": "How many tasks with one key may run or start, over all runs.",
                "properties": {
                    "key": { "type": "string", "description": "A text, perhaps with expressions over params and item." },
                    "concurrency": { "type": "integer", "minimum": 1, "description": "How many run at a time." },
                    "rate": {
                        "type": "object",
                        "required": ["count", "per"],
                        "additionalProperties": false,
                        "description": "How many start within a time.",
                        "properties": {
                            "count": { "type": "integer", "minimum": 1 },
                            "per": { "$ref": "#/$defs/duration" },
                        },
                    },
                },
            },
            "when": {
                "description": "The step is skipped, with null outputs, where this is false.",
                "anyOf": [{ "type": "boolean" }, expression],
            },
            "pool": { "$ref": "#/$defs/name", "description": "The pool whose workers run the tasks." },
            "resources": resources(),
            "cache": cache(),
            "retry": {
                "type": "object",
                "additionalProperties": false,
                "description": "How often and when a failed task is tried again; without it, never.",
                "properties": {
                    "attempts": { "type": "integer", "minimum": 1, "maximum": 100, "default": 3 },
                    "backoff": backoff(),
                    "on": {
                        "type": "object",
                        "maxProperties": 20,
                        "description": "What differs by class of error: timeout, connection, throttled, panic, crashed, exit-75, signal, http-503 …; a name that ends in * stands for all that begin so.",
                        "propertyNames": { "pattern": r"^[a-z0-9][a-z0-9_-]*\*?$", "maxLength": 63 },
                        "additionalProperties": {
                            "type": "object",
                            "additionalProperties": false,
                            "properties": {
                                "attempts": { "type": "integer", "minimum": 1, "maximum": 100 },
                                "backoff": backoff(),
                            },
                        },
                    },
                },
            },
            "timeout": { "$ref": "#/$defs/duration", "description": "How long one attempt may take." },
            "timeout_total": {
                "$ref": "#/$defs/duration",
                "description": "How long all attempts of a task may take together, with the pauses between them.",
            },
            "tolerate": {
                "type": "string",
                "pattern": r"^[0-9]+(\.[0-9]{1,4})?%$",
                "description": "How many of the fan-out's tasks may fail, such as 25%.",
            },
        },
    })
}

fn resources() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "What each task asks of the worker that runs it, beside a slot.",
        "properties": {
            "cpu": {
                "description": "Processors, such as 2 or 0.5, or thousandths: 500m.",
                "anyOf": [
                    { "type": "number", "minimum": 0, "maximum": 10_000 },
                    { "type": "string", "pattern": r"^[0-9]+(m|\.[0-9]{1,3})?$" },
                ],
                "examples": ["500m", 2],
            },
            "memory": {
                "type": "string", "pattern": "^[0-9]+([KMGT]iB|[kMGT]B)$",
                "description": "A whole number and its unit, such as 512MiB.",
                "examples": ["4GiB"],
            },
            "gpu": { "type": "integer", "minimum": 0, "maximum": 1024, "description": "Whole GPUs." },
            "labels": {
                "type": "array",
                "maxItems": 16,
                "items": { "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$" },
                "description": "Labels that the worker must have.",
                "examples": [["zone-a", "a100"]],
            },
        },
    })
}

fn cache() -> Value {
    json!({
        "description": "Keep the tasks' results, and take them instead of running the same tasks again.",
        "anyOf": [
            { "type": "boolean" },
            {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "key": {
                        "type": "string",
                        "description": "What a result is known by, instead of the arguments: a text, perhaps with expressions.",
                    },
                    "ttl": { "$ref": "#/$defs/duration", "description": "How old a result may be." },
                },
            },
        ],
    })
}
