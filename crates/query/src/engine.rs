//! One query in an engine of its own.

use std::{num::NonZeroUsize, ops::Range, sync::Arc, thread::available_parallelism};

use datafusion::{
    common::{ParamValues, ScalarValue, TableReference, config::Dialect},
    datasource::{
        file_format::parquet::ParquetFormat,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
    },
    error::DataFusionError,
    execution::{memory_pool::FairSpillPool, object_store::ObjectStoreUrl, runtime_env::RuntimeEnvBuilder},
    object_store::ObjectStore,
    prelude::{SQLOptions, SessionConfig, SessionContext},
};
use futures::TryStreamExt;
use serde_json::Value;
use tokio::runtime::Builder;

use crate::{Answer, QueryError, result::Writer};

/// Threads of one query, so that no query takes a large machine for itself.
const THREADS_MAX: usize = 4;
/// The name under which the engine knows the store.
const STORE: &str = "tale://store/";

/// A query and what it may use.
#[derive(Debug, Clone)]
pub struct Query {
    /// One statement that reads, in the SQL of DataFusion.
    pub text: String,
    /// The values of `$1`, `$2` …
    pub parameters: Vec<Value>,
    /// What it may read.
    pub tables: Vec<Table>,
    /// Memory for its intermediate rows, in bytes; beyond it they are spilled to the disk where the operator can.
    pub memory_bytes_max: usize,
    /// Room on the disk for spilled rows, in bytes.
    pub spill_bytes_max: u64,
    /// How many rows are returned as JSON beside the file.
    pub first: usize,
}

/// A table: Parquet objects with the same columns.
#[derive(Debug, Clone)]
pub struct Table {
    /// The name that the query uses.
    pub name: String,
    /// The numbers of its objects in the store that the query is given, at least one. The same object twice is two
    /// objects.
    pub objects: Range<usize>,
}

/// Runs a query over the objects of `store`, which are called by their numbers, until it has its answer or `stop` completes; blocks the thread that it is called from.
///
/// It computes on a few threads of its own, away from those that serve connections and heartbeats.
pub fn run(
    query: &Query,
    store: Arc<dyn ObjectStore>,
    stop: impl Future<Output = ()>,
) -> Result<Answer, QueryError> {
    let threads = available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("query")
        .enable_all()
        .build()
        .map_err(QueryError::File)?;
    let ended = runtime.block_on(async {
        tokio::select! {
            biased;
            () = stop => Err(QueryError::Stopped),
            answer = answer(query, store, threads) => answer,
        }
    });
    // an operator that does not look up is not waited for
    runtime.shutdown_background();
    ended
}

async fn answer(query: &Query, store: Arc<dyn ObjectStore>, threads: usize) -> Result<Answer, QueryError> {
    let context = context(query, store, threads).map_err(QueryError::of)?;
    for table in &query.tables {
        let unusable = |error: DataFusionError| match QueryError::of(error) {
            QueryError::Store(message) => QueryError::Store(message),
            other => QueryError::Table { table: table.name.clone(), message: other.to_string() },
        };
        let listing = listing(&context, table).await.map_err(unusable)?;
        context.register_table(TableReference::bare(table.name.as_str()), listing).map_err(unusable)?;
    }
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let mut frame = context.sql_with_options(&query.text, reading).await.map_err(QueryError::of)?;
    if !query.parameters.is_empty() {
        frame = frame.with_param_values(parameters(&query.parameters)?).map_err(QueryError::of)?;
    }
    let mut rows = frame.execute_stream().await.map_err(QueryError::of)?;
    let mut writer = Writer::new(rows.schema(), query.first)?;
    while let Some(batch) = rows.try_next().await.map_err(QueryError::of)? {
        writer.write(&batch)?;
    }
    writer.finish()
}

fn context(
    query: &Query,
    store: Arc<dyn ObjectStore>,
    threads: usize,
) -> Result<SessionContext, DataFusionError> {
    let mut config = SessionConfig::new().with_target_partitions(threads);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    // so that errors know their places
    options.sql_parser.collect_spans = true;
    // the answer's types are those that every reader of Parquet and Arrow knows
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(query.memory_bytes_max)))
        .with_max_temp_directory_size(query.spill_bytes_max)
        .build_arc()?;
    runtime.register_object_store(ObjectStoreUrl::parse(STORE)?.as_ref(), store);
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

async fn listing(context: &SessionContext, table: &Table) -> Result<Arc<ListingTable>, DataFusionError> {
    let urls = table.objects.clone().map(|number| ListingTableUrl::parse(format!("{STORE}{number}")));
    let urls = urls.collect::<Result<Vec<_>, _>>()?;
    // objects named by their content have no extension
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension("");
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options);
    Ok(Arc::new(ListingTable::try_new(config.infer_schema(&context.state()).await?)?))
}

fn parameters(values: &[Value]) -> Result<ParamValues, QueryError> {
    let scalars = (1..).zip(values).map(|(number, value)| {
        let found = match value {
            Value::Null => return Ok(ScalarValue::Null),
            Value::Bool(boolean) => return Ok(ScalarValue::from(*boolean)),
            Value::String(text) => return Ok(ScalarValue::from(text.as_str())),
            Value::Number(number) => {
                return Ok(match (number.as_i64(), number.as_u64(), number.as_f64()) {
                    (Some(integer), _, _) => ScalarValue::from(integer),
                    (_, Some(integer), _) => ScalarValue::from(integer),
                    (_, _, double) => ScalarValue::from(double.unwrap_or(f64::NAN)),
                });
            }
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Err(QueryError::Parameter { number, found })
    });
    let scalars = scalars.collect::<Result<Vec<_>, _>>()?;
    Ok(ParamValues::from(scalars))
}
