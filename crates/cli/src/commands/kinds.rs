//! `tale kinds`: what steps can be.

use std::process::ExitCode;

use clap::Args;
use tale_pipeline::{KindCatalog, KindDescription, Source, check};
use tale_tasks::catalog;

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    output,
};

/// Lists the task kinds that pipelines may use, or prints the arguments and outputs of one.
#[derive(Debug, Args)]
pub struct Kinds {
    /// One kind, such as learning.train.
    kind: Option<String>,
}

impl Kinds {
    /// Prints the list, or the schemas of one kind.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let catalog = catalog();
        match &self.kind {
            None => list(global, &catalog)?,
            Some(name) => show(global, find(&catalog, name)?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(global: &Global, catalog: &KindCatalog) -> Result<(), Failure> {
    let kinds: Vec<&KindDescription> = catalog.list().collect();
    output::write(global.output, &kinds, |kinds| {
        let mut table = output::table(&["kind", "what it does"]);
        for kind in kinds {
            table.add_row([&kind.name, &kind.summary]);
        }
        table
    })
}

fn show(global: &Global, kind: &KindDescription) -> Result<(), Failure> {
    if global.output == output::Format::Json {
        return output::json(kind);
    }
    output::line(&format!("{}: {}", kind.name, kind.summary))?;
    output::line(match kind.cacheable {
        true => "results may be kept: its steps may have `cache`",
        false => "results are never kept: its steps cannot have `cache`",
    })?;
    output::line("\narguments, as JSON Schema of `with`:")?;
    output::json(&kind.arguments)?;
    output::line("\noutputs, as JSON Schema:")?;
    output::json(&kind.outputs)
}

fn find<'c>(catalog: &'c KindCatalog, name: &str) -> Result<&'c KindDescription, Failure> {
    catalog.find(name).ok_or_else(|| {
        let failure = Failure::new(format!("there is no task kind {name:?}")).code(UNUSABLE);
        match nearest(catalog, name) {
            Some(help) => failure.help(help),
            None => failure.help("`tale kinds` lists them"),
        }
    })
}

/// What the language itself would say to somebody who writes this kind into a pipeline.
fn nearest(catalog: &KindCatalog, name: &str) -> Option<String> {
    let uses = serde_json::to_string(name).ok()?;
    let text = format!("pipeline: question\nsteps:\n  one:\n    uses: {uses}\n");
    let problems = check(&Source { name: "kinds".to_owned(), text }, catalog, None).err()?;
    problems.into_iter().find(|problem| problem.code == "unknown-kind")?.help
}
