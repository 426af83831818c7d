//! `tale lineage`: what an object was made from, and what was made of it.

use std::{collections::BTreeSet, process::ExitCode};

use clap::{Args, value_parser};
use serde::Serialize;
use tale_primitives::Digest;
use tale_storage::{Direction, Lineage as Walk, LineageObject, Production, find_objects, walk_lineage};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    output,
};

/// Draws which run made an artifact from which inputs, and these from which others; with --down, what was made of it.
///
/// An attempt's inputs are the objects and data sets that it read and those that its arguments name; its outputs are what it
/// wrote. Both are recorded with its acknowledgement, and stay when the run is archived.
#[derive(Debug, Args)]
pub struct Lineage {
    /// An artifact's number, the beginning of a digest (six digits or more), a data set, or the name of an artifact, of
    /// which the newest counts.
    artifact: String,
    /// From the artifact to what it was made from; this is the usual way.
    #[arg(long, conflicts_with = "down")]
    up: bool,
    /// From the artifact to what was made of it.
    #[arg(long)]
    down: bool,
    /// Over how many attempts in a row to go.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(1..=1000))]
    depth: u32,
}

#[derive(Serialize)]
struct Found<'a> {
    what: &'a str,
    #[serde(flatten)]
    walk: &'a Walk,
}

impl Lineage {
    /// Prints the tree.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale lineage").await?;
        let walked = self.walk(&installation).await;
        installation.close().await?;
        let (walk, what) = walked?;
        match global.output {
            output::Format::Json => output::json(&Found { what: &what, walk: &walk })?,
            output::Format::Table => {
                for line in draw(&walk, &what) {
                    output::line(&line)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn walk(&self, installation: &Installation) -> Result<(Walk, String), Failure> {
        let direction = if self.down { Direction::Down } else { Direction::Up };
        let mut connection = installation.connection().await?;
        let found = find_objects(&mut connection, &self.artifact).await?;
        let mut found = found.into_iter();
        let Some((object, what)) = found.next() else {
            return Err(Failure::new(format!("nothing is known of {:?}", self.artifact)).code(UNUSABLE).help(
                "expected an artifact's number or name, the beginning of a digest, or a data set; `tale show RUN` and `tale dataset list` have some",
            ));
        };
        if what == "object"
            && let Some((other, _)) = found.find(|(_, what)| what == "object")
        {
            return Err(Failure::new(format!("{:?} begins more than one digest", self.artifact))
                .code(UNUSABLE)
                .help(format!("there are {object} and {other}, for example")));
        }
        Ok((walk_lineage(&mut connection, object, direction, self.depth).await?, what))
    }
}

/// The tree, line by line.
fn draw(walk: &Walk, what: &str) -> Vec<String> {
    let known =
        walk.productions.iter().flat_map(|production| production.inputs.iter().chain(&production.outputs));
    let own = known.into_iter().find(|object| object.digest == Some(walk.object));
    let title = match own {
        Some(object) if what == "object" => describe(object),
        _ => format!("{what} {}", walk.object.short()),
    };
    let mut drawing = Drawing { walk, lines: vec![title], drawn: BTreeSet::new() };
    drawing.below(walk.object, "");
    let Drawing { mut lines, .. } = drawing;
    if lines.len() == 1 {
        lines.push(match walk.direction {
            Direction::Up => {
                "nobody here made it: it was imported, or made before lineage was recorded".to_owned()
            }
            Direction::Down => "nothing was made of it".to_owned(),
        });
    }
    if walk.is_cut {
        lines.push("… there is more: --depth goes further".to_owned());
    }
    lines
}

struct Drawing<'a> {
    walk: &'a Walk,
    lines: Vec<String>,
    /// Objects whose attempts were drawn already.
    drawn: BTreeSet<Digest>,
}

impl Drawing<'_> {
    /// The attempts of an object and what is beyond them.
    fn below(&mut self, object: Digest, indent: &str) {
        self.drawn.insert(object);
        let productions: Vec<&Production> = self
            .walk
            .productions
            .iter()
            .filter(|production| {
                near(self.walk.direction, production).iter().any(|near| near.digest == Some(object))
            })
            .collect();
        for (place, production) in productions.iter().enumerate() {
            let (branch, trunk) = forks(place + 1 == productions.len());
            let at = production.produced_at.format("%Y-%m-%d %H:%M:%S");
            self.lines.push(format!(
                "{indent}{branch}{} {} {}[{}] ({}) {at}",
                production.pipeline, production.run, production.step, production.index, production.kind
            ));
            let indent = format!("{indent}{trunk}");
            let objects = far(self.walk.direction, production);
            for (place, object) in objects.iter().enumerate() {
                let (branch, trunk) = forks(place + 1 == objects.len() && !production.is_cut);
                let again = object.digest.is_some_and(|digest| self.drawn.contains(&digest));
                let note = if again { ", as above" } else { "" };
                self.lines.push(format!("{indent}{branch}{}{note}", describe(object)));
                if let Some(digest) = object.digest.filter(|_| !again) {
                    self.below(digest, &format!("{indent}{trunk}"));
                }
            }
            if production.is_cut {
                self.lines.push(format!("{indent}└─ … and others, which were not recorded"));
            }
        }
    }
}

/// What an attempt has on the side from which it is reached.
fn near(direction: Direction, production: &Production) -> &[LineageObject] {
    match direction {
        Direction::Up => &production.outputs,
        Direction::Down => &production.inputs,
    }
}

/// What it has on the other side.
fn far(direction: Direction, production: &Production) -> &[LineageObject] {
    match direction {
        Direction::Up => &production.inputs,
        Direction::Down => &production.outputs,
    }
}

fn forks(is_last: bool) -> (&'static str, &'static str) {
    if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") }
}

fn describe(object: &LineageObject) -> String {
    let digest = object.digest.map(|digest| digest.short());
    let mut text = match (&object.name, digest) {
        (Some(name), Some(digest)) => format!("{name} {digest}"),
        (Some(name), None) => name.clone(),
        (None, digest) => digest.unwrap_or_default(),
    };
    if let Some(artifact) = object.artifact {
        text.push_str(&format!(" (artifact {artifact})"));
    }
    if let Some(bytes) = object.size_bytes {
        text.push_str(&format!(", {bytes} B"));
    }
    text
}
