//! Bad input: the corpus that the targets of cargo-fuzz start from, and seeded mutations of it.
//!
//! `TALE_SEED=n` replays one seed, `TALE_FUZZ_MUTATIONS=n` makes so many of each file.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used)]

mod fuzzing;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// What no text may take, on a busy machine without optimisation. It is for hangs: the checker's own limits are lower.
const AT_MOST: Duration = Duration::from_secs(20);

/// A target's name, what it does with a text, and the folders with texts for it.
type Target = (&'static str, fn(&str), &'static [&'static str]);

const TARGETS: [Target; 4] = [
    (
        "yaml",
        fuzzing::yaml,
        &["tests/corpus/yaml", "tests/bad", "../../pipelines", "../../pipelines/examples"],
    ),
    ("expression", fuzzing::expression, &["tests/corpus/expression"]),
    ("template", fuzzing::template, &["tests/corpus/template", "tests/corpus/expression"]),
    ("cron", fuzzing::cron, &["tests/corpus/cron"]),
];

fn texts(folders: &[&str]) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for folder in folders {
        let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        for entry in fs::read_dir(&folder).expect("a folder of texts") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let bytes = fs::read(&path).expect("a text");
                texts.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    texts.sort();
    assert!(!texts.is_empty(), "there is nothing in {folders:?}");
    texts
}

fn feed(target: fn(&str), text: &str) {
    let began = Instant::now();
    target(text);
    assert!(began.elapsed() < AT_MOST, "it took {:?}", began.elapsed());
}

#[test]
fn nothing_in_the_corpus_makes_anything_panic_or_hang() {
    for (name, target, folders) in TARGETS {
        for (path, text) in texts(folders) {
            let outcome = catch_unwind(|| feed(target, &text));
            assert!(outcome.is_ok(), "{name} fails on {path}");
        }
    }
}

/// One change of a text: some characters go, and something takes their place.
fn mutation() -> impl Strategy<Value = (usize, usize, String)> {
    let token = prop::sample::select(
        &[
            "",
            "",
            "${",
            "}",
            "$${",
            "\"",
            "'",
            ":",
            ": ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "&a ",
            "*a",
            "<<: ",
            "|\n",
            ">\n",
            "#",
            "!!str ",
            "---\n",
            "\t",
            "\n",
            "\u{0}",
            "\u{feff}",
            "é",
            "𝄞",
            "\u{202e}",
            "9223372036854775808",
            "-0",
            "1e999",
            ".nan",
            "0x7f",
            "null",
            "~",
            "true",
            "steps",
            "item",
            "params.",
            "secrets.A",
            "previous",
            "range(",
            ".map(x, ",
            "? 1 :",
            "%",
            "/ 0",
            "* * * * *",
            "L",
            "W",
            "#5",
            "60",
            "Europe/Berlin",
            "for_each:",
            "uses: pipeline",
            "when: ",
        ][..],
    );
    (any::<prop::sample::Index>(), 0usize..12, token)
        .prop_map(|(place, gone, token)| (place.index(1 << 20), gone, token.to_owned()))
}

fn mutated(text: &str, changes: &[(usize, usize, String)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (place, gone, token) in changes {
        let start = place % (characters.len() + 1);
        let end = (start + gone).min(characters.len());
        characters.splice(start..end, token.chars()).for_each(drop);
    }
    characters.into_iter().collect()
}

#[test]
fn no_mutation_of_the_corpus_makes_anything_panic_or_hang() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let seed: u64 = std::env::var("TALE_SEED").map_or(now, |text| text.parse().expect("a number"));
    let count: u32 = std::env::var("TALE_FUZZ_MUTATIONS").map_or(12, |text| text.parse().expect("a number"));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let changes = prop::collection::vec(mutation(), 1..6);
    for (name, target, folders) in TARGETS {
        for (path, text) in texts(folders) {
            for _ in 0..count {
                let changes = changes.new_tree(&mut runner).expect("changes").current();
                let text = mutated(&text, &changes);
                let outcome = catch_unwind(AssertUnwindSafe(|| feed(target, &text)));
                assert!(outcome.is_ok(), "{name} fails with TALE_SEED={seed} on {path} changed to:\n{text}");
            }
        }
    }
}
