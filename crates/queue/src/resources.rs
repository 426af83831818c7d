//! Resources: what tasks ask of their worker beside a slot, and what workers have.

use std::fmt;

use serde::Serialize;
use sqlx::PgConnection;
use tale_primitives::{RunId, WorkerId};

use crate::{QueueError, WorkerReport, list_workers};

/// So much of a machine: what a task asks for, or what a worker has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct Resources {
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Whole GPUs.
    pub gpus: u32,
    /// Labels, in order, each once.
    pub labels: Vec<String>,
}

impl Resources {
    /// Whether there is nothing of anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What these lack for `asked`, in words; nothing where it fits.
    pub fn lack(&self, asked: &Self) -> Vec<String> {
        let mut lacks = Vec::new();
        if asked.cpu_millis > self.cpu_millis {
            lacks.push(format!("cpu {} of {}", Cpu(self.cpu_millis), Cpu(asked.cpu_millis)));
        }
        if asked.memory_bytes > self.memory_bytes {
            lacks.push(format!("memory {} of {}", Bytes(self.memory_bytes), Bytes(asked.memory_bytes)));
        }
        if asked.gpus > self.gpus {
            lacks.push(format!("gpu {} of {}", self.gpus, asked.gpus));
        }
        let missing = asked.labels.iter().filter(|label| !self.labels.contains(label));
        lacks.extend(missing.map(|label| format!("label {label}")));
        lacks
    }

    /// Sorts the labels and takes each once, as the queue compares them.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.labels.sort();
        self.labels.dedup();
        self
    }
}

/// `cpu 0.5, memory 4GiB, gpu 1, labels a100 zone-a`; what there is none of is left out.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.cpu_millis > 0 {
            parts.push(format!("cpu {}", Cpu(self.cpu_millis)));
        }
        if self.memory_bytes > 0 {
            parts.push(format!("memory {}", Bytes(self.memory_bytes)));
        }
        if self.gpus > 0 {
            parts.push(format!("gpu {}", self.gpus));
        }
        if !self.labels.is_empty() {
            parts.push(format!("labels {}", self.labels.join(" ")));
        }
        f.pad(&if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") })
    }
}

/// Thousandths of a processor, as people write them.
pub struct Cpu(pub u32);

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1_000, self.0 % 1_000) {
            (whole, 0) => f.pad(&whole.to_string()),
            (0, millis) => f.pad(&format!("{millis}m")),
            _ => f.pad(&(f64::from(self.0) / 1_000.0).to_string()),
        }
    }
}

/// Bytes in the largest binary unit that leaves at least one, with a decimal where it is not whole.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let found = UNITS.iter().find(|(_, shift)| self.0 >> shift > 0);
        let Some((unit, shift)) = found else { return f.pad(&format!("{}B", self.0)) };
        if self.0.trailing_zeros() >= *shift {
            return f.pad(&format!("{}{unit}", self.0 >> shift));
        }
        f.pad(&format!("{:.1}{unit}", self.0 as f64 / (1_u64 << shift) as f64))
    }
}

/// An open step that no live worker of its pool could ever run.
#[derive(Debug, Clone, Serialize)]
pub struct Unfit {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: String,
    /// The step.
    pub step: String,
    /// The pool whose workers would run it.
    pub pool: String,
    /// What each of its tasks asks for.
    pub asks: Resources,
    /// How many live workers the pool has.
    pub workers: usize,
    /// The worker that lacks least.
    pub nearest: Option<Nearest>,
}

/// A worker that does not fit.
#[derive(Debug, Clone, Serialize)]
pub struct Nearest {
    /// Its id.
    pub worker: WorkerId,
    /// Its machine.
    pub host: String,
    /// What it lacks, in words.
    pub lacks: Vec<String>,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pipeline, step, pool, asks, workers, .. } = self;
        write!(f, "step {step} of {pipeline} asks for {asks}, and ")?;
        match &self.nearest {
            None => write!(f, "pool {pool} has no live worker"),
            Some(Nearest { host, lacks, .. }) if *workers == 1 => {
                write!(f, "the only live worker of pool {pool}, on {host}, lacks {}", lacks.join(", "))
            }
            Some(Nearest { host, lacks, .. }) => write!(
                f,
                "none of the {workers} live workers of pool {pool} fits: the nearest, on {host}, lacks {}",
                lacks.join(", ")
            ),
        }
    }
}

/// The open steps that can never run with the workers that are alive: those of one run, or of all.
pub async fn unfit_steps(
    connection: &mut PgConnection,
    run: Option<RunId>,
) -> Result<Vec<Unfit>, QueueError> {
    let run = run.map(|run| run.raw());
    let steps =
        sqlx::query_file!("../../sql/queue/list_demands.sql", run).fetch_all(&mut *connection).await?;
    if steps.is_empty() {
        return Ok(vec![]);
    }
    let workers = list_workers(connection).await?;
    Ok(steps
        .into_iter()
        .filter_map(|row| {
            let asks = resources(row.cpu_millis, row.memory_bytes, row.gpus, row.labels);
            let serving: Vec<&WorkerReport> =
                workers.iter().filter(|worker| worker.pool == row.pool).collect();
            let nearest = nearest(&asks, &serving)?;
            Some(Unfit {
                run: RunId::from_raw(row.run_id),
                pipeline: row.pipeline,
                step: row.step,
                pool: row.pool,
                asks,
                workers: serving.len(),
                nearest,
            })
        })
        .collect())
}

/// The worker that lacks least of what is asked; nothing where one fits, and no worker where there is none.
fn nearest(asks: &Resources, workers: &[&WorkerReport]) -> Option<Option<Nearest>> {
    let lacking = workers.iter().map(|worker| Nearest {
        worker: worker.id,
        host: worker.host.clone(),
        lacks: match &worker.has {
            Some(has) => has.lack(asks),
            None => vec!["everything: it is of a release that advertises nothing".to_owned()],
        },
    });
    let nearest = lacking.min_by_key(|nearest| nearest.lacks.len());
    match nearest {
        Some(Nearest { lacks, .. }) if lacks.is_empty() => None,
        nearest => Some(nearest),
    }
}

/// Resources as rows hold them, none of which is negative.
pub(crate) fn resources(cpu_millis: i32, memory_bytes: i64, gpus: i32, labels: Vec<String>) -> Resources {
    Resources {
        cpu_millis: u32::try_from(cpu_millis).unwrap_or(0),
        memory_bytes: u64::try_from(memory_bytes).unwrap_or(0),
        gpus: u32::try_from(gpus).unwrap_or(0),
        labels,
    }
}

/// The name under which tasks of `pool` queue that ask for this: the pool's own where they ask for nothing.
pub(crate) async fn lane(
    connection: &mut PgConnection,
    pool: &str,
    asks: &Resources,
) -> Result<String, QueueError> {
    if asks.is_empty() {
        return Ok(pool.to_owned());
    }
    let asks = asks.clone().in_order();
    Ok(sqlx::query_file_scalar!(
        "../../sql/queue/ensure_lane.sql",
        pool,
        stored(asks.cpu_millis),
        stored_bytes(asks.memory_bytes),
        stored(asks.gpus),
        &asks.labels
    )
    .fetch_one(connection)
    .await?)
}

pub(crate) fn stored(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

pub(crate) fn stored_bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cpu_millis: u32, memory_bytes: u64, gpus: u32, labels: &[&str]) -> Resources {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Resources { cpu_millis, memory_bytes, gpus, labels }
    }

    #[test]
    fn resources_are_written_as_people_write_them() {
        assert_eq!(of(500, 4 << 30, 1, &["a", "b"]).to_string(), "cpu 500m, memory 4GiB, gpu 1, labels a b");
        assert_eq!(of(2_500, 1_500 << 20, 0, &[]).to_string(), "cpu 2.5, memory 1.5GiB");
        assert_eq!(of(2_000, 999, 0, &[]).to_string(), "cpu 2, memory 999B");
        assert_eq!(Resources::default().to_string(), "nothing");
    }

    #[test]
    fn what_is_lacking_is_named_with_what_there_is() {
        let has = of(2_000, 4 << 30, 0, &["zone-a"]);
        assert!(has.lack(&of(2_000, 4 << 30, 0, &["zone-a"])).is_empty());
        assert!(has.lack(&Resources::default()).is_empty());
        assert_eq!(
            has.lack(&of(2_500, 8 << 30, 1, &["a100", "zone-a"])),
            ["cpu 2 of 2.5", "memory 4GiB of 8GiB", "gpu 0 of 1", "label a100"]
        );
    }
}
