//! Every kind of this build.

use tale_pipeline::{KindCatalog, KindDescription};
use tale_worker::KindRegistry;

use crate::{command, http, learning, network, pov, settlement, sql};

/// What a worker of this build can run.
pub fn kinds() -> KindRegistry {
    KindRegistry::default()
        .with::<network::Enroll>()
        .with::<learning::Partition>()
        .with::<learning::Initialise>()
        .with::<learning::Select>()
        .with::<learning::Train>()
        .with::<learning::Aggregate>()
        .with::<learning::Evaluate>()
        .with::<learning::Publish>()
        .with::<learning::Report>()
        .with::<pov::Validate>()
        .with::<pov::Decide>()
        .with::<pov::Approve>()
        .with::<settlement::Seal>()
        .with::<settlement::Compute>()
        .with::<settlement::Post>()
        .with::<settlement::Publish>()
        .with::<command::Noop>()
        .with::<command::Sleep>()
        .with::<command::Shell>()
        .with::<http::Http>()
        .with::<sql::SqlParquet>()
        .with::<sql::SqlPostgres>()
}

/// The same kinds as pipelines are checked against them.
pub fn catalog() -> KindCatalog {
    KindCatalog::new(kinds().schemas().into_iter().map(|schema| KindDescription {
        name: schema.name,
        summary: schema.summary,
        arguments: schema.arguments,
        outputs: schema.outputs,
        pool: None,
    }))
}
