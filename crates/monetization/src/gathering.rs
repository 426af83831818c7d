//! What an epoch of dividends will be divided from: event logs of the object store, and holdings.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::{Digest, UtcDay};
use tale_storage::{ListedObject, ObjectRef, Store};

use crate::{
    DividendRules, MonetizationError, RevenueEvent, SealedRevenue,
    event_log::{EVENTS_MAX, read_event_log},
    holding::holdings_on,
    reading::{find_dividend_epoch, load_revenue},
    revenue::digest_of_json,
    rows,
};

/// Files that may lie below one prefix.
const FILES_MAX: usize = 100_000;

/// A file that an epoch has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevenueFile {
    /// Where it is in the store.
    pub path: String,
    /// The entity tag that it had there.
    pub version: String,
    /// The SHA-256 of its bytes and their number; the store keeps them under that name too.
    #[serde(flatten)]
    pub object: ObjectRef,
    /// How many rows it has.
    pub rows: u64,
    /// The day of its latest event, if it has one.
    pub last_day: Option<UtcDay>,
}

/// The inputs of an epoch, and where they come from.
#[derive(Debug, Clone)]
pub struct GatheredRevenue {
    /// What the dividends follow from.
    pub inputs: SealedRevenue,
    /// The files that were read, by path: the manifest.
    pub files: Vec<RevenueFile>,
    /// Rows that repeat an event, of these files or of earlier epochs.
    pub repeated: u64,
    /// Events of days after the epoch, which wait for theirs.
    pub waiting: u64,
}

/// Gathers the inputs of an epoch: of a divided one those it was divided from, else every event in the logs below
/// `prefix` that was earned on its day or before and that no epoch has counted.
///
/// `prefix` is a Parquet file's key, or ends in `/`. Each file is copied to an object of its content before it is
/// read. A row that is wrong is an error with its file, row and column; nothing is left out in silence.
pub async fn gather_revenue(
    conn: &mut PgConnection,
    store: &Store,
    epoch: UtcDay,
    prefix: &str,
    rules: &DividendRules,
) -> Result<GatheredRevenue, MonetizationError> {
    let unread = list_unread(conn, store, prefix).await?;
    let mut gathering = Gathering { epoch, events: BTreeMap::new(), repeated: 0, waiting: 0 };
    let mut files = Vec::with_capacity(unread.len());
    for listed in unread {
        files.push(gathering.read(store, listed, rules).await?);
    }
    let uncounted = gathering.leave_out_counted(conn).await?;
    // After everything else: whatever another has divided meanwhile is then seen here.
    if let Some(sealed) = find_sealed(conn, epoch).await? {
        return Ok(sealed);
    }
    let of_day = |event: &RevenueEvent| (rules.record_day(event.origin()), event.work.clone());
    let wanted: BTreeSet<_> = uncounted.iter().map(of_day).collect();
    let holdings = holdings_on(conn, &wanted).await?;
    let inputs = SealedRevenue::new(epoch, rules.version(), uncounted, holdings)?;
    let Gathering { repeated, waiting, .. } = gathering;
    Ok(GatheredRevenue { inputs, files, repeated, waiting })
}

async fn find_sealed(
    conn: &mut PgConnection,
    epoch: UtcDay,
) -> Result<Option<GatheredRevenue>, MonetizationError> {
    if find_dividend_epoch(conn, epoch).await?.is_none() {
        return Ok(None);
    }
    let Some(inputs) = load_revenue(conn, epoch).await? else { return Ok(None) };
    let files = crate::reading::list_revenue_files(conn, epoch).await?;
    Ok(Some(GatheredRevenue { inputs, files, repeated: 0, waiting: 0 }))
}

/// The Parquet files of the prefix that no epoch has read to their end.
async fn list_unread(
    conn: &mut PgConnection,
    store: &Store,
    prefix: &str,
) -> Result<Vec<ListedObject>, MonetizationError> {
    let (folder, is_file) = match prefix.strip_suffix('/') {
        Some(folder) => (folder, false),
        None => (prefix.rsplit_once('/').map_or("", |(folder, _)| folder), true),
    };
    let mut listed = store.list(folder, FILES_MAX + 1).await?;
    if listed.len() > FILES_MAX {
        return Err(MonetizationError::TooManyFiles { prefix: prefix.to_owned(), most: FILES_MAX });
    }
    listed.retain(|file| if is_file { file.path == prefix } else { file.path.ends_with(".parquet") });
    if is_file && listed.is_empty() {
        return Err(MonetizationError::NoLog { prefix: prefix.to_owned() });
    }
    let paths: Vec<String> = listed.iter().map(|file| file.path.clone()).collect();
    let read: BTreeSet<(String, String)> =
        sqlx::query_file!("../../sql/monetization/list_read_files.sql", &paths)
            .fetch_all(conn)
            .await?
            .into_iter()
            .map(|row| (row.path, row.version))
            .collect();
    listed.retain(|file| !read.contains(&(file.path.clone(), file.version.clone())));
    Ok(listed)
}

/// Where an event stands.
#[derive(Clone)]
struct Place {
    file: String,
    row: u64,
}

struct Gathering {
    epoch: UtcDay,
    events: BTreeMap<String, (RevenueEvent, Place)>,
    repeated: u64,
    waiting: u64,
}

impl Gathering {
    async fn read(
        &mut self,
        store: &Store,
        listed: ListedObject,
        rules: &DividendRules,
    ) -> Result<RevenueFile, MonetizationError> {
        let adopted = store.adopt(&listed.path).await?;
        let log = read_event_log(adopted.path(), &listed.path, rules).await?;
        if let Some(first) = log.problems.into_iter().next() {
            return Err(MonetizationError::BadLog { first: Box::new(first), count: log.problem_count });
        }
        let last_day = log.events.values().map(|(event, _)| event.origin()).max();
        self.repeated += log.repeated;
        for (event, row) in log.events.into_values() {
            self.add(event, Place { file: listed.path.clone(), row })?;
        }
        if log.is_cut || self.events.len() > EVENTS_MAX {
            return Err(MonetizationError::TooManyEvents { epoch: self.epoch, most: EVENTS_MAX });
        }
        let ListedObject { path, version, .. } = listed;
        Ok(RevenueFile { path, version, object: adopted.object, rows: log.file.rows, last_day })
    }

    fn add(&mut self, event: RevenueEvent, place: Place) -> Result<(), MonetizationError> {
        if event.origin() > self.epoch {
            self.waiting += 1;
            return Ok(());
        }
        match self.events.entry(event.id.clone()) {
            Entry::Vacant(free) => {
                free.insert((event, place));
            }
            Entry::Occupied(taken) if taken.get().0 == event => self.repeated += 1,
            Entry::Occupied(taken) => {
                let first = &taken.get().1;
                return Err(MonetizationError::EventInTwoFiles {
                    id: event.id,
                    file: place.file,
                    row: place.row,
                    first_file: first.file.clone(),
                    first_row: first.row,
                });
            }
        }
        Ok(())
    }

    /// The events that no epoch has counted; a counted one that was delivered again with other content is an error.
    async fn leave_out_counted(
        &mut self,
        conn: &mut PgConnection,
    ) -> Result<Vec<RevenueEvent>, MonetizationError> {
        const IDS_AT_ONCE: usize = 50_000;
        let ids: Vec<String> = self.events.keys().cloned().collect();
        for ids in ids.chunks(IDS_AT_ONCE) {
            let counted = sqlx::query_file!("../../sql/monetization/list_counted_events.sql", ids)
                .fetch_all(&mut *conn)
                .await?;
            for row in counted {
                let Some((event, place)) = self.events.remove(&row.event_id) else { continue };
                let recorded: Digest = rows::digest(&row.content_digest, "revenue_event", &row.event_id)?;
                if recorded != digest_of_json(&event)? {
                    return Err(MonetizationError::EventCounted {
                        id: event.id,
                        file: place.file,
                        row: place.row,
                        day: UtcDay::from_date(row.day),
                    });
                }
                self.repeated += 1;
            }
        }
        Ok(std::mem::take(&mut self.events).into_values().map(|(event, _)| event).collect())
    }
}
