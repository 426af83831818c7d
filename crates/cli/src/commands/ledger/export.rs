use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use futures::StreamExt;
use serde::Serialize;
use sqlx::PgConnection;
use tale_ledger::{ChainHead, ExportedEntry, JournalId, chain_head, export_entries};
use tale_primitives::Digest;
use tale_storage::{Cell, ColumnKind, TableColumn, TableFile, TableFormat};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    output,
    progress::Progress,
};

/// Writes the entries to a CSV or Parquet file, in the order of the chain.
///
/// Amounts are text, in base units: they have up to 78 digits, and Parquet's decimals have 76. The same journals give
/// the same bytes, whose SHA-256 is printed.
#[derive(Debug, Args)]
pub struct Export {
    /// The file, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// csv or parquet; without it, what the file's name ends in.
    #[arg(long = "format", id = "table-format", value_name = "FORMAT")]
    format: Option<TableFormat>,
    /// The first journal.
    #[arg(long, value_name = "JOURNAL")]
    from: Option<JournalId>,
    /// The last journal; the last one there is unless given.
    #[arg(long, value_name = "JOURNAL")]
    to: Option<JournalId>,
}

const COLUMNS: [TableColumn; 9] = [
    TableColumn { name: "journal", kind: ColumnKind::Integer },
    TableColumn { name: "key", kind: ColumnKind::Text },
    TableColumn { name: "event", kind: ColumnKind::Text },
    TableColumn { name: "epoch", kind: ColumnKind::Day },
    TableColumn { name: "posted_at", kind: ColumnKind::Time },
    TableColumn { name: "line", kind: ColumnKind::Integer },
    TableColumn { name: "account", kind: ColumnKind::Text },
    TableColumn { name: "side", kind: ColumnKind::Text },
    TableColumn { name: "amount", kind: ColumnKind::Text },
];

/// How many entries pass between two words on how far it is.
const PROGRESS_ENTRIES: u64 = 10_000;

#[derive(Serialize)]
struct Written {
    file: PathBuf,
    format: TableFormat,
    entries: u64,
    /// The first journal that was asked for, and the last.
    from: JournalId,
    to: JournalId,
    /// The head of the chain when the export began.
    head: ChainHead,
    digest: Digest,
    size_bytes: u64,
}

impl Export {
    /// Writes the file, whole or not at all.
    pub async fn run(&self, global: &Global) -> Result<(), Failure> {
        let format = self.format()?;
        if self.out.exists() {
            return Err(Failure::new(format!("{} is there already", self.out.display())).code(UNUSABLE));
        }
        let installation = Installation::look(global, "tale ledger export").await?;
        // Beside the file, so that it gets its name whole or not at all.
        let directory = self.out.parent().filter(|parent| !parent.as_os_str().is_empty());
        let unfinished = tempfile::Builder::new()
            .prefix(".tale-export-")
            .tempdir_in(directory.unwrap_or(Path::new(".")))?;
        let part = unfinished.path().join("entries");
        let mut connection = installation.connection().await?;
        let written = self.write(&mut connection, format, &part).await;
        drop(connection);
        installation.close().await?;
        let written = written?;
        fs::rename(&part, &self.out)?;
        output::write(global.output, &written, |written| {
            let mut table = output::table(&["file", "journals", "entries", "bytes", "SHA-256"]);
            table.add_row([
                written.file.display().to_string(),
                format!("{} to {}", written.from, written.to),
                written.entries.to_string(),
                written.size_bytes.to_string(),
                written.digest.to_string(),
            ]);
            table
        })
    }

    fn format(&self) -> Result<TableFormat, Failure> {
        let named = || self.out.extension()?.to_str()?.parse().ok();
        self.format.or_else(named).ok_or_else(|| {
            Failure::new(format!("the name of {} says no format", self.out.display()))
                .code(UNUSABLE)
                .help("end it in .csv or .parquet, or give --format")
        })
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        format: TableFormat,
        part: &Path,
    ) -> Result<Written, Failure> {
        let head = chain_head(connection).await?;
        let from = self.from.unwrap_or(JournalId::from_raw(1));
        let to = self.to.unwrap_or(head.journal_id).min(head.journal_id);
        let progress = Progress::start();
        let mut file = TableFile::create(part, format, &COLUMNS)?;
        let mut entries = 0u64;
        let mut stream = std::pin::pin!(export_entries(connection, from, to));
        while let Some(entry) = stream.next().await {
            file.push(&cells(&entry?))?;
            entries += 1;
            if entries.is_multiple_of(PROGRESS_ENTRIES) {
                progress.update(&format!("{entries} entries written"));
            }
        }
        let object = file.finish()?;
        progress.finish();
        let (digest, size_bytes) = (object.digest, object.size_bytes);
        Ok(Written { file: self.out.clone(), format, entries, from, to, head, digest, size_bytes })
    }
}

fn cells(entry: &ExportedEntry) -> [Cell<'_>; 9] {
    [
        Cell::Integer(entry.journal_id),
        Cell::Text(&entry.key),
        Cell::Text(&entry.event),
        Cell::Day(entry.epoch),
        Cell::Time(entry.posted_at),
        Cell::Integer(i64::from(entry.line)),
        Cell::Text(&entry.account),
        Cell::Text(&entry.side),
        Cell::Text(&entry.amount),
    ]
}
