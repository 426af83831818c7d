//! A cron expression and, on a second line, a zone.
#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|text: &str| fuzzing::cron(text));
