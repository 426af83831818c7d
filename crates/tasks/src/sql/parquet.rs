//! `sql.parquet`: a query over Parquet in the object store.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tale_primitives::RunId;
use tale_query::{Answer, Query, QueryError, ResultColumn, Table};
use tale_storage::{NewArtifact, ObjectRef, list_artifacts};
use tale_worker::{Caching, Completion, Kind, TaskContext, TaskError};

use crate::{models::dataset, refusal};

/// Runs one query that reads, and makes its rows an artifact.
///
/// Rows come in no particular order without `order by`; write one where the bytes of the artifact must be the same each
/// time.
pub struct SqlParquet;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// One `select` in the SQL of DataFusion, with `$1`, `$2` … for the params.
    query: String,
    /// The values of `$1`, `$2` …: texts, numbers, booleans and null. They are bound, never part of the text.
    #[serde(default)]
    params: Vec<Value>,
    /// What the query may read: the name that it uses → where the rows are.
    tables: BTreeMap<String, Source>,
    /// What the artifact with the rows is called.
    #[serde(default = "usual_name")]
    #[schemars(length(min = 1, max = 200))]
    save_as: String,
    /// How many rows, from the first on, are handed on as JSON too.
    #[serde(default = "usual_return_rows")]
    #[schemars(range(max = 10_000))]
    return_rows: u16,
    /// Memory for intermediate rows, in MiB; beyond it they are spilled to the disk.
    #[serde(default = "usual_memory_mib")]
    #[schemars(range(min = 16, max = 65_536))]
    memory_mib: u32,
}

/// Where the rows of a table are.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Source {
    /// An object of the store, as other tasks hand it on.
    Object(ObjectRef),
    /// Several of them, with the same columns; those of tasks that failed are null and left out.
    Objects(Vec<Option<ObjectRef>>),
    /// A split of a data set.
    Dataset(DatasetSource),
    /// The artifacts of one name in a run.
    Artifact(ArtifactSource),
    /// A Parquet file of the store, or every one below a prefix.
    Path(PathSource),
}

/// A split of a data set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetSource {
    /// The data set's name.
    dataset: String,
    /// Which of its splits; `train` unless given.
    #[serde(default)]
    split: Split,
}

/// A split of a data set; the test split is for the final report alone.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Split {
    #[default]
    Train,
    Heldout,
}

/// The artifacts of one name in a run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactSource {
    /// Their name; a fan-out makes one for each of its tasks.
    artifact: String,
    /// The run; this one unless given.
    #[schemars(with = "Option<String>")]
    run: Option<RunId>,
}

/// A place below the store's URL.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathSource {
    /// A file's key, or a prefix that ends in `/`, below which every `.parquet` file is read.
    path: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// How many rows the answer has.
    row_count: u64,
    /// Its columns, in order.
    columns: Vec<ResultColumn>,
    /// The Parquet object with all rows.
    object: ObjectRef,
    /// The first rows, as objects: `return_rows` of them at most.
    rows: Vec<Value>,
}

/// The media type of Parquet.
const PARQUET: &str = "application/vnd.apache.parquet";
/// Files that one prefix may hold.
const FILES_MAX: usize = 10_000;
/// Room for spilled rows.
const SPILL_BYTES_MAX: u64 = 64 << 30;

fn usual_name() -> String {
    "result".to_owned()
}

fn usual_return_rows() -> u16 {
    100
}

fn usual_memory_mib() -> u32 {
    512
}

impl Kind for SqlParquet {
    const NAME: &'static str = "sql.parquet";
    const SUMMARY: &'static str =
        "Runs a SQL query over Parquet in the object store; its rows become an artifact.";
    const CACHING: Caching = Caching::ByArguments;
    type Arguments = Arguments;
    type Outputs = Outputs;

    fn uncacheable(arguments: &Value) -> Option<String> {
        let tables = arguments.get("tables")?.as_object()?;
        let own = tables.iter().find(|(_, source)| {
            source.get("artifact").is_some() && source.get("run").is_none_or(Value::is_null)
        });
        own.map(|(name, _)| format!("table {name} is made of artifacts of its own run"))
    }

    async fn run(context: TaskContext, arguments: Arguments) -> Result<Completion<Outputs>, TaskError> {
        let (mut tables, mut objects) = (Vec::with_capacity(arguments.tables.len()), Vec::new());
        for (name, source) in arguments.tables {
            let first = objects.len();
            objects.extend(keys(&context, &name, source).await?);
            if objects.len() == first {
                return Err(TaskError::fail(format!("table {name}: there is nothing to read")));
            }
            tables.push(Table { name, objects: first..objects.len() });
        }
        let query = Query {
            text: arguments.query,
            parameters: arguments.params,
            tables,
            memory_bytes_max: (arguments.memory_mib as usize) << 20,
            spill_bytes_max: SPILL_BYTES_MAX,
            first: usize::from(arguments.return_rows),
        };
        let answer = compute(&context, query, &objects).await?;
        let object = context.store.put_file(answer.file.path()).await.map_err(refusal::storage)?;
        context.log(format!("{} rows, {} bytes", answer.rows, object.size_bytes));
        let artifact = NewArtifact { name: arguments.save_as, media_type: PARQUET.to_owned(), object };
        let Answer { rows: row_count, columns, first: rows, .. } = answer;
        Ok(Completion::of(Outputs { row_count, columns, object, rows }).artifact(artifact))
    }
}

async fn compute(context: &TaskContext, query: Query, objects: &[String]) -> Result<Answer, TaskError> {
    let reader = context.store.reader(objects);
    let computed = context.compute(move |cancellation| {
        let stop = cancellation.clone();
        let stopped = async move { stop.cancelled().await };
        tale_query::run(&query, Arc::clone(&reader), stopped).map_err(|error| match error {
            QueryError::Stopped => TaskError::Stopped,
            error if error.is_transient() => TaskError::retry(error),
            error => TaskError::fail(error),
        })
    });
    computed.await
}

/// The keys of a table's objects.
async fn keys(context: &TaskContext, table: &str, source: Source) -> Result<Vec<String>, TaskError> {
    match source {
        Source::Object(object) => Ok(vec![object.key()]),
        Source::Objects(objects) => Ok(objects.into_iter().flatten().map(|object| object.key()).collect()),
        Source::Dataset(source) => {
            let manifest = dataset(context, &source.dataset).await?;
            let split = match source.split {
                Split::Train => manifest.train,
                Split::Heldout => manifest.heldout,
            };
            Ok(vec![split.object.key()])
        }
        Source::Artifact(source) => {
            let run = source.run.unwrap_or(context.run);
            let mut connection = context.database.acquire().await.map_err(TaskError::retry)?;
            let artifacts = list_artifacts(&mut connection, run).await.map_err(refusal::storage)?;
            let named = artifacts.into_iter().filter(|artifact| artifact.name == source.artifact);
            let keys: Vec<String> = named.map(|artifact| artifact.object.key()).collect();
            if keys.is_empty() {
                let message = format!("table {table}: run {run} has no artifact {:?}", source.artifact);
                return Err(TaskError::fail(message));
            }
            Ok(keys)
        }
        Source::Path(source) if source.path.ends_with('/') => {
            let found = context.store.find(&source.path, FILES_MAX + 1).await.map_err(refusal::storage)?;
            if found.len() > FILES_MAX {
                let message = format!("table {table}: {} holds more than {FILES_MAX} files", source.path);
                return Err(TaskError::fail(message));
            }
            let parquet =
                found.into_iter().filter(|file| file.key.ends_with(".parquet") && file.size_bytes > 0);
            Ok(parquet.map(|file| file.key).collect())
        }
        Source::Path(source) => Ok(vec![source.path]),
    }
}
