//! What the checker says of bad files: each file of `bad/` has a snapshot of its problems as a person sees them.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used)]

mod catalog;

use std::fmt::Write as _;

use tale_pipeline::{Problem, Source, check};

fn problems_of(name: &str, text: &str) -> Vec<Problem> {
    let source = Source { name: name.to_owned(), text: text.to_owned() };
    let known = |name: &str| name == "training-round";
    check(&source, &catalog::catalog(), Some(&known)).err().unwrap_or_default()
}

/// The problem with the line that it is on and carets below what is wrong.
fn rendered(problem: &Problem, text: &str) -> String {
    let mut out = String::new();
    let line = text.split('\n').nth(problem.line - 1).unwrap_or_default();
    let marked = text.get(problem.span.clone()).expect("the span lies in the text");
    let marked = marked.lines().next().unwrap_or_default().chars().count().max(1);
    writeln!(out, "{problem} [{}]", problem.code).expect("a string takes it");
    writeln!(out, "  | {}", line.replace('\t', " ")).expect("a string takes it");
    writeln!(out, "  | {}{}", " ".repeat(problem.column - 1), "^".repeat(marked)).expect("a string takes it");
    if let Some(help) = &problem.help {
        writeln!(out, "  = {help}").expect("a string takes it");
    }
    out
}

#[test]
fn every_bad_file_is_explained_at_its_place() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder of bad files")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    assert!(!names.is_empty());
    for name in names {
        let text = std::fs::read_to_string(format!("{folder}/{name}")).expect("a bad file");
        let problems = problems_of(&name, &text);
        assert!(!problems.is_empty(), "{name} is not bad");
        for problem in &problems {
            assert!(
                problem.help.is_some() || problem.code == "not-yaml",
                "{problem} does not say what would be right"
            );
        }
        let all: Vec<_> = problems.iter().map(|problem| rendered(problem, &text)).collect();
        insta::assert_snapshot!(name.trim_end_matches(".yaml"), all.join("\n"));
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let problems = problems_of("large.yaml", &"# nothing\n".repeat(1 << 20));
    assert_eq!(problems.first().map(|problem| problem.code), Some("too-large"));
}

#[test]
fn a_file_that_nests_too_deep_is_refused() {
    for open in ["[", "{a: ", "- ", "? "] {
        let text = format!("pipeline: deep\nsteps: {}", open.repeat(20_000));
        let problems = problems_of("deep.yaml", &text);
        assert_eq!(problems.first().map(|problem| problem.code), Some("not-yaml"), "{open}");
    }
}

#[test]
fn more_steps_than_a_plan_can_number_are_refused() {
    let mut text = String::from("pipeline: many\nsteps:\n");
    for step in 0..=10_000 {
        writeln!(text, "  s{step}: {{ uses: sleep, with: {{ seconds: 0 }} }}").expect("a string takes it");
    }
    let problems = problems_of("many.yaml", &text);
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["too-many-steps"]);
}

/// Files of the shapes that a check might go over again and again. Prints how long they take; nothing depends on it, but
/// work that grew with the square of their size would take hours.
#[test]
fn the_work_of_a_check_grows_with_the_file_and_not_with_its_square() {
    let many = |item: &str| item.repeat(20_000);
    let steps = |each: &dyn Fn(usize) -> String| (0..10_000).map(each).collect::<String>();
    let one = |with: String| format!("  a:\n    uses: shell\n    with: {with}\n");
    for (shape, text) in [
        ("expressions in one text", one(format!("{{ argv: [\"{}\"] }}", many("${run.id} ")))),
        (
            "escaped expressions in one text",
            one(format!("{{ argv: [\"{}\"] }}", "${run.id + '\\t'} ".repeat(5_000))),
        ),
        ("arguments between expressions", one(format!("{{ argv: [{}] }}", many("\"${run.id}\", 1, ")))),
        ("expressions where none may be", one(format!("{{ argv: {{ a: [{}] }} }}", many("\"${run.id}\", ")))),
        ("unknown needs", format!("  a: {{ uses: shell, needs: [{}] }}\n", many("b, "))),
        ("the same key", steps(&|_| "  a: { uses: shell }\n".repeat(2))),
        ("unknown steps", steps(&|step| format!("  s{step}: {{ uses: shell, needs: [t{step}] }}\n"))),
        ("unknown kinds", steps(&|step| format!("  s{step}: {{ uses: shel{step} }}\n"))),
        (
            "one circle",
            steps(&|step| format!("  s{step}: {{ uses: shell, needs: [s{}] }}\n", (step + 1) % 10_000)),
        ),
        ("many circles", steps(&|step| format!("  s{step}: {{ uses: shell, needs: [s{}] }}\n", step ^ 1))),
    ] {
        let began = std::time::Instant::now();
        let problems = problems_of("large.yaml", &format!("pipeline: large\nsteps:\n{text}"));
        println!("{shape}: {:.0?}", began.elapsed());
        assert!(problems.len() <= 200, "{shape}: {} problems", problems.len());
        assert!(problems.iter().all(|problem| problem.code != "not-yaml"), "{shape}: {problems:?}");
    }
}
