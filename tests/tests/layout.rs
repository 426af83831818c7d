//! The layout that DESIGN and ARCHITECTURE promise, held against the workspace as it is.

// Helpers of tests fail like tests.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// A crate and what it may use.
type Uses = (&'static str, &'static [&'static str]);

/// The layers, lowest first, and what each crate may use beside `primitives`. Whatever a crate may use, its users may
/// use too: the arrows point downwards, and a longer one is no worse than two short ones.
const LAYERS: &[(&str, &[Uses])] = &[
    (
        "foundation",
        &[
            ("primitives", &[]),
            ("telemetry", &[]),
            ("database", &[]),
            ("storage", &[]),
            ("timetable", &[]),
            ("testkit", &["database", "storage"]),
        ],
    ),
    (
        "domains",
        &[
            ("pipeline", &["timetable"]),
            ("queue", &["database"]),
            ("scheduler", &["pipeline", "queue", "telemetry"]),
            ("lineage", &["queue", "storage"]),
            ("network", &["database"]),
            ("learning", &["storage"]),
            ("query", &[]),
            ("validation", &["network", "storage"]),
            ("generation", &["learning", "storage"]),
            ("ledger", &["database"]),
            ("treasury", &["ledger", "network", "validation"]),
            ("chain", &["ledger", "treasury"]),
            ("monetization", &["ledger", "network", "storage"]),
        ],
    ),
    (
        "execution",
        &[
            ("worker", &["queue", "storage", "telemetry"]),
            (
                "tasks",
                &[
                    "worker",
                    "pipeline",
                    "learning",
                    "query",
                    "lineage",
                    "validation",
                    "generation",
                    "treasury",
                    "monetization",
                ],
            ),
            ("autoscaler", &["queue"]),
        ],
    ),
    (
        "edges",
        &[
            ("api", &["scheduler", "validation", "learning", "generation", "treasury", "monetization"]),
            ("cli", &["api", "chain", "scheduler", "tasks", "autoscaler", "telemetry", "database"]),
            ("tests", &["cli", "testkit"]),
        ],
    ),
];

/// Heavy dependencies and the crates that are their homes: names that begin like the first, in the second.
const HOMES: &[(&str, &[&str])] = &[
    ("axum", &["api"]),
    ("hyper", &["api"]),
    ("prometheus", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("tracing-subscriber", &["telemetry"]),
    ("clap", &["cli"]),
    ("miette", &["cli"]),
    ("burn", &["learning", "generation"]),
    ("object_store", &["storage"]),
    ("arrow", &["storage"]),
    ("parquet", &["storage"]),
    ("datafusion", &["query"]),
    ("reqwest", &["chain", "tasks", "telemetry"]),
    ("apalis", &["queue", "worker"]),
    ("alloy", &["chain"]),
    ("k256", &["chain"]),
    ("revm", &["chain"]),
    ("cel", &["pipeline"]),
    ("croner", &["timetable"]),
    ("jiff", &["timetable"]),
    ("serde-saphyr", &["pipeline"]),
];

/// Names that do not say what lives there.
const VAGUE: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc", "types"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The noun of a workspace crate.
fn noun(package: &str) -> Option<&str> {
    package.strip_prefix("tale-")
}

/// The names of the dependencies of a crate's programs, without those of its tests.
fn dependencies(package: &Package) -> impl Iterator<Item = &str> {
    let normal =
        package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    normal.map(|dependency| dependency.name.as_str())
}

/// Everything that each crate may use, and each crate's layer.
fn allowed() -> BTreeMap<&'static str, (usize, BTreeSet<&'static str>)> {
    let table: BTreeMap<&str, (usize, &[&str])> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(layer, (_, crates))| crates.iter().map(move |(name, uses)| (*name, (layer, *uses))))
        .collect();
    table
        .iter()
        .map(|(name, (layer, _))| {
            let mut reached = BTreeSet::from(["primitives"]);
            let mut next = vec![*name];
            while let Some(at) = next.pop() {
                for used in table.get(at).unwrap_or_else(|| panic!("{at} is in the table")).1 {
                    assert!(table[used].0 <= table[at].0, "the table's arrow {at} → {used} points upwards");
                    if reached.insert(*used) {
                        next.push(*used);
                    }
                }
            }
            (*name, (*layer, reached))
        })
        .collect()
}

/// Files below a directory whose names end like this.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The source of every file of a crate's programs.
fn source_of(package: &Package) -> String {
    let directory = package.manifest_path.parent().expect("a crate has a directory");
    let files = files(directory.join("src").as_std_path(), "rs");
    let build = directory.join("build.rs");
    let all = files.into_iter().chain(build.exists().then(|| build.into_std_path_buf()));
    all.map(|file| fs::read_to_string(file).expect("a source file is text")).collect()
}

#[test]
fn every_arrow_between_crates_points_the_way_the_design_says() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for package in metadata().workspace_packages() {
        let Some(name) = noun(&package.name) else { continue };
        let Some((_, uses)) = allowed.get(name) else {
            wrong.push(format!("crate {name} is not in the design's table"));
            continue;
        };
        for used in dependencies(package).filter_map(noun).filter(|used| !uses.contains(used)) {
            wrong.push(format!("{name} → {used}"));
        }
    }
    assert!(wrong.is_empty(), "arrows that the design does not allow:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_heavy_dependency_stays_at_home() {
    let mut strays = Vec::new();
    for package in metadata().workspace_packages() {
        let Some(name) = noun(&package.name) else { continue };
        for used in dependencies(package) {
            let home = HOMES.iter().find(|(heavy, _)| {
                used == *heavy || used.strip_prefix(heavy).is_some_and(|rest| rest.starts_with(['-', '_']))
            });
            if home.is_some_and(|(_, homes)| !homes.contains(&name)) {
                strays.push(format!("{name} uses {used}"));
            }
        }
    }
    assert!(strays.is_empty(), "heavy dependencies away from home:\n  {}", strays.join("\n  "));
}

#[test]
fn every_dependency_is_used() {
    let mut unused = Vec::new();
    for package in metadata().workspace_packages() {
        let source = source_of(package);
        let is_used = |name: &str| source.contains(&name.replace('-', "_"));
        // the member with the system tests is itself a test, and uses its dependencies there
        if noun(&package.name) == Some("tests") {
            continue;
        }
        for used in package.dependencies.iter().filter(|used| used.kind != DependencyKind::Development) {
            // an optional one is there for its feature, which only its own crate's features name
            if !used.optional && !is_used(&used.name) {
                unused.push(format!("{} does not use {}", package.name, used.name));
            }
        }
    }
    assert!(unused.is_empty(), "dependencies that nothing uses:\n  {}", unused.join("\n  "));
}

#[test]
fn every_query_file_is_used_and_every_used_one_exists() {
    let sql = root().join("sql");
    let existing: BTreeSet<String> = files(&sql, "sql")
        .iter()
        .map(|file| file.strip_prefix(&sql).expect("below sql").display().to_string())
        .filter(|file| !file.starts_with("migrations/") && !file.starts_with("functions/"))
        .collect();
    let mut used = BTreeSet::new();
    for package in metadata().workspace_packages() {
        for piece in source_of(package).split("\"../../sql/").skip(1) {
            let file = piece.split('"').next().unwrap_or_default();
            if file.ends_with(".sql") {
                used.insert(file.to_owned());
            }
        }
    }
    let idle: Vec<_> = existing.difference(&used).collect();
    let missing: Vec<_> = used.difference(&existing).collect();
    assert!(idle.is_empty() && missing.is_empty(), "nothing uses {idle:?}; {missing:?} do not exist");
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let is_vague = |file: &PathBuf| {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = file.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        VAGUE.contains(&stem) || stem == "mod" && folder.is_some_and(|folder| VAGUE.contains(&folder))
    };
    let vague: Vec<_> = [root().join("crates"), root().join("tests")]
        .iter()
        .flat_map(|directory| files(directory, "rs"))
        .filter(is_vague)
        .collect();
    assert!(vague.is_empty(), "{vague:?}");
}

#[test]
fn the_architecture_page_names_every_crate() {
    let Ok(page) = fs::read_to_string(root().join("ARCHITECTURE.md")) else { return };
    let unnamed: Vec<String> = metadata()
        .workspace_packages()
        .iter()
        .filter_map(|package| noun(&package.name).filter(|name| *name != "tests"))
        .filter(|name| !page.contains(&format!("`{name}`")) && !page.contains(&format!("crates/{name}")))
        .map(str::to_owned)
        .collect();
    assert!(unnamed.is_empty(), "ARCHITECTURE.md does not name the crates {unnamed:?}");
}
