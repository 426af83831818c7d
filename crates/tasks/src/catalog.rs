//! Every kind of this build.

use tale_pipeline::{KindCatalog, KindDescription, ResourceSpec};
use tale_worker::KindRegistry;

use crate::{command, http, learning, ledger, monetization, network, pov, settlement, sql};

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
        .with::<settlement::Finalise>()
        .with::<settlement::Vest>()
        .with::<settlement::Accrue>()
        .with::<settlement::Withdraw>()
        .with::<ledger::Expire>()
        .with::<monetization::Dividends>()
        .with::<monetization::Sales>()
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
        resources: ResourceSpec {
            cpu_millis: Some(schema.resources.cpu_millis).filter(|millis| *millis > 0),
            memory_bytes: Some(schema.resources.memory_bytes).filter(|bytes| *bytes > 0),
            gpus: Some(schema.resources.gpus).filter(|gpus| *gpus > 0),
            labels: Some(schema.resources.labels).filter(|labels| !labels.is_empty()),
        },
        cacheable: schema.cacheable,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tale_worker::Kind;

    use super::*;

    #[test]
    fn the_kinds_that_may_be_cached_are_those_without_effects() {
        let schemas = kinds().schemas();
        let cacheable: Vec<_> =
            schemas.iter().filter(|kind| kind.cacheable).map(|kind| kind.name.as_str()).collect();
        assert_eq!(
            cacheable,
            [
                "http",
                "learning.aggregate",
                "learning.evaluate",
                "learning.initialise",
                "learning.partition",
                "learning.report",
                "learning.select",
                "learning.train",
                "noop",
                "pov.validate",
                "shell",
                "sleep",
                "sql.parquet",
            ]
        );
    }

    #[test]
    fn requests_that_may_change_something_and_queries_over_their_own_run_are_not_cached() {
        let http = |method: &str| http::Http::uncacheable(&json!({ "url": "http://a", "method": method }));
        assert_eq!(http::Http::uncacheable(&json!({ "url": "http://a" })), None);
        assert_eq!((http("GET"), http("HEAD")), (None, None));
        assert!(http("POST").unwrap().contains("POST"));
        assert!(http("DELETE").is_some());

        let parquet =
            |source| sql::SqlParquet::uncacheable(&json!({ "query": "", "tables": { "t": source } }));
        assert!(parquet(json!({ "artifact": "rows" })).unwrap().contains("table t"));
        assert_eq!(
            parquet(json!({ "artifact": "rows", "run": "0190a0a0-0000-7000-8000-000000000001" })),
            None
        );
        assert_eq!(parquet(json!({ "path": "sales/" })), None);
    }
}
