//! The JSON Schema for editors: committed, current, and of one mind with the checker about structure.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used)]

use serde_json::Value;
use tale_pipeline::schema;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pipeline.schema.json");

#[test]
fn the_committed_schema_is_current() {
    let current = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(COMMITTED, &current).expect("the schema can be written");
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(committed == current, "run this test with UPDATE_SCHEMA=1 to write {COMMITTED} anew");
}

#[test]
fn the_schema_takes_the_example_and_refuses_what_the_checker_refuses() {
    let validator = jsonschema::validator_for(&schema()).expect("a JSON Schema");
    let read = |text: &str| serde_saphyr::from_str::<Value>(text).expect("YAML");
    assert!(validator.is_valid(&read(include_str!("federated-training.yaml"))));
    for bad in [
        include_str!("bad/keys.yaml"),
        include_str!("bad/values.yaml"),
        include_str!("bad/no-steps.yaml"),
        include_str!("bad/nameless.yaml"),
        include_str!("bad/list.yaml"),
    ] {
        assert!(!validator.is_valid(&read(bad)), "{bad}");
    }
}
