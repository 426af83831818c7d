//! Event logs as their sources write them.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{
        ArrayRef, Decimal128Array, DictionaryArray, Int64Array, LargeStringArray, RecordBatch, StringArray,
        StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    },
    datatypes::Int32Type,
};
use chrono::{DateTime, Utc};
use parquet::arrow::ArrowWriter;
use tale_monetization::{
    CURRENT_RULESET, DividendRules, EventLog, EventProblem, RevenueEvent, read_event_log,
};
use tale_primitives::Digest;
use tale_storage::{CellProblem, StorageError};
use tale_testkit::tempdir;

use crate::amount;

/// A row of a log, as text that may be wrong.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: Option<String>,
    pub at: Option<DateTime<Utc>>,
    pub kind: String,
    pub work: String,
    pub amount: String,
    pub asset: String,
    pub payer: String,
}

impl Row {
    /// The row of an event that is right.
    pub fn of(event: &RevenueEvent) -> Self {
        Self {
            id: Some(event.id.clone()),
            at: Some(event.occurred_at),
            kind: event.kind.to_string(),
            work: event.work.to_string(),
            amount: event.gross.to_string(),
            asset: event.asset.to_string(),
            payer: event.payer.clone(),
        }
    }
}

/// A sale of 100 cents by work-1.
pub fn sale(id: &str, at: &str) -> Row {
    Row {
        id: Some(id.to_owned()),
        at: Some(at.parse().unwrap()),
        kind: "publishing".to_owned(),
        work: "work-1".to_owned(),
        amount: "100".to_owned(),
        asset: "USD".to_owned(),
        payer: "reader".to_owned(),
    }
}

fn texts(rows: &[Row], of: impl Fn(&Row) -> &String) -> ArrayRef {
    Arc::new(rows.iter().map(|row| Some(of(row).as_str())).collect::<StringArray>())
}

fn columns(rows: &[Row]) -> Vec<(&'static str, ArrayRef)> {
    let micros = rows.iter().map(|row| row.at.map(|at| at.timestamp_micros()));
    let at = micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC");
    vec![
        ("region", texts(rows, |row| &row.payer)),
        ("payer", texts(rows, |row| &row.payer)),
        ("event_id", Arc::new(rows.iter().map(|row| row.id.as_deref()).collect::<StringArray>())),
        ("occurred_at", Arc::new(at)),
        ("kind", texts(rows, |row| &row.kind)),
        ("work", texts(rows, |row| &row.work)),
        ("amount", texts(rows, |row| &row.amount)),
        ("asset", texts(rows, |row| &row.asset)),
    ]
}

fn write_columns(path: &Path, columns: Vec<(&'static str, ArrayRef)>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, cells)| (name, cells, true)),
    )
    .unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Writes a log, with a column that nobody asked for.
pub fn write_log(path: &Path, rows: &[Row]) {
    write_columns(path, columns(rows));
}

async fn read(path: &Path) -> Result<EventLog, StorageError> {
    read_event_log(path, "revenue/today.parquet", &DividendRules::load(CURRENT_RULESET).unwrap()).await
}

#[tokio::test]
async fn a_log_is_read_whatever_types_its_writer_chose() {
    let folder = tempdir();
    let rows = [sale("a", "2024-03-01T00:00:00Z"), sale("b", "2024-03-01T23:59:59.999999Z")];
    let plain = folder.path().join("plain.parquet");
    write_log(&plain, &rows);
    let expected = read(&plain).await.unwrap();
    assert_eq!((expected.file.rows, expected.events.len()), (2, 2));
    assert_eq!(expected.file.object.digest, Digest::of(std::fs::read(&plain).unwrap()));
    assert_eq!(expected.events["b"].0.occurred_at, rows[1].at.unwrap());
    assert_eq!(expected.events["a"].0.gross, amount("100"));

    let mut other = columns(&rows);
    for (name, cells) in &mut other {
        let words = || -> Vec<&str> {
            let texts = cells.as_any().downcast_ref::<StringArray>().unwrap();
            texts.iter().map(Option::unwrap).collect()
        };
        *cells = match *name {
            "event_id" => Arc::new(StringViewArray::from(words())),
            "kind" => Arc::new(words().into_iter().collect::<DictionaryArray<Int32Type>>()),
            "work" => Arc::new(LargeStringArray::from(words())),
            "amount" => {
                let digits = words().into_iter().map(|text| text.parse::<i128>().unwrap());
                let decimals = digits.collect::<Vec<_>>();
                Arc::new(Decimal128Array::from(decimals).with_precision_and_scale(38, 0).unwrap())
            }
            _ => continue,
        };
    }
    let path = folder.path().join("other.parquet");
    write_columns(&path, other);
    assert_eq!(read(&path).await.unwrap().events, expected.events);
}

#[tokio::test]
async fn each_wrong_row_is_named_with_its_file_row_and_column() {
    let right = sale("right", "2024-03-01T12:00:00Z");
    let with = |change: &dyn Fn(&mut Row)| {
        let mut row = sale("x", "2024-03-01T12:00:00Z");
        change(&mut row);
        row
    };
    let rows = [
        right.clone(),
        with(&|row| row.id = None),
        with(&|row| row.id = Some(String::new())),
        with(&|row| row.id = Some("two\nlines".to_owned())),
        with(&|row| row.at = None),
        with(&|row| row.kind = "gifts".to_owned()),
        with(&|row| row.kind = "withdrawals".to_owned()),
        with(&|row| row.work = "work 1".to_owned()),
        with(&|row| row.amount = "1.5".to_owned()),
        with(&|row| row.amount = "-1".to_owned()),
        with(&|row| row.amount = "0".to_owned()),
        with(&|row| row.amount = format!("{}0", u128::MAX)),
        with(&|row| row.asset = "xTALE".to_owned()),
        with(&|row| row.payer = "p".repeat(201)),
        with(&|row| (row.id, row.amount) = (Some("right".to_owned()), "101".to_owned())),
        right.clone(),
    ];
    let folder = tempdir();
    let path = folder.path().join("log.parquet");
    write_log(&path, &rows);
    let log = read(&path).await.unwrap();
    assert_eq!((log.events.len(), log.repeated, log.problem_count), (1, 1, 14));
    let found: Vec<(u64, &str)> = log.problems.iter().map(|problem| (problem.row, problem.column)).collect();
    let columns = [
        "event_id",
        "event_id",
        "event_id",
        "occurred_at",
        "kind",
        "kind",
        "work",
        "amount",
        "amount",
        "amount",
        "amount",
        "asset",
        "payer",
        "event_id",
    ];
    assert_eq!(found, (1..15).zip(columns).collect::<Vec<_>>());
    assert_eq!(log.problems[0].problem, EventProblem::Cell(CellProblem::Null));
    let text = log.problems[7].to_string();
    assert!(
        text.starts_with("revenue/today.parquet, row 8, column amount: \"1.5\" is not an amount"),
        "{text}"
    );
    let text = log.problems[11].to_string();
    assert!(text.contains("expected TALE or USD"), "{text}");
    assert!(log.problems[13].to_string().contains("row 0 with other content"));
}

#[tokio::test]
async fn a_file_that_is_no_log_says_what_it_lacks() {
    let folder = tempdir();
    let path = folder.path().join("log.parquet");
    let rows = [sale("a", "2024-03-01T00:00:00Z")];
    let refused = async |columns: Vec<(&'static str, ArrayRef)>, words: &[&str]| {
        write_columns(&path, columns);
        let error = read(&path).await.unwrap_err().to_string();
        for word in words.iter().chain(&["log.parquet"]) {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
    };
    let without = |name: &str| columns(&rows).into_iter().filter(|(it, _)| *it != name).collect::<Vec<_>>();
    let instead = |name: &'static str, cells: ArrayRef| {
        let mut columns = without(name);
        columns.push((name, cells));
        columns
    };
    refused(without("work"), &["no column \"work\"", "occurred_at"]).await;
    let local = Arc::new(TimestampMillisecondArray::from(vec![0]));
    refused(instead("occurred_at", local), &["occurred_at", "time zone UTC"]).await;
    refused(instead("amount", Arc::new(Int64Array::from(vec![1]))), &["amount", "Int64", "decimals"]).await;
    let cents = Decimal128Array::from(vec![100]).with_precision_and_scale(10, 2).unwrap();
    refused(instead("amount", Arc::new(cents)), &["amount", "without decimal places"]).await;

    write_log(&path, &rows);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(read(&path).await.unwrap_err().to_string().contains("cut short"));
    std::fs::write(&path, "id,amount\n").unwrap();
    assert!(read(&path).await.unwrap_err().to_string().contains("not a Parquet file"));
    std::fs::write(&path, "").unwrap();
    assert!(read(&path).await.unwrap_err().to_string().contains("empty"));
    let mut damaged = bytes;
    let footer = damaged.len() - 8;
    let footer_bytes = u32::from_le_bytes(damaged[footer..footer + 4].try_into().unwrap());
    damaged[4..footer - footer_bytes as usize].fill(0xff);
    std::fs::write(&path, damaged).unwrap();
    assert!(read(&path).await.is_err(), "a damaged page is no event");
}
