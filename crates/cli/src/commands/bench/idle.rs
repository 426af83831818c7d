//! `tale bench idle`: what workers cost that have nothing to do.

use std::{fs, path::Path, process::ExitCode, time::Duration};

use clap::{Args, value_parser};
use serde::Serialize;
use tale_tasks::kinds;
use tokio::time::{self, Instant};

use super::{
    engine::{CONNECTIONS, Engine},
    server::{Server, on_a_server},
};
use crate::{arguments::Global, failure::Failure, interrupt, output, progress::Progress};

/// Measures what idle workers cost: the processor time of a scheduler, of workers that wait for tasks, and of the database
/// that they ask, where this command has started it.
#[derive(Debug, Args)]
pub struct Idle {
    /// How many workers, each with connections of its own.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1000))]
    workers: u32,
    /// For how long.
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

#[derive(Serialize)]
struct Measured {
    workers: u32,
    seconds: f64,
    /// Processor time of this process, as a share of one core.
    process_share: f64,
    /// Processor time of the database server, as a share of one core; null where it is not ours to look at.
    database_share: Option<f64>,
}

impl Idle {
    /// Measures, and prints.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let measured = tokio::select! {
            measured = on_a_server(global, "tale bench idle", async |server| self.measure(server).await)
                => measured?,
            () = stop.cancelled() => return Err(interrupt::failure("nothing was measured")),
        };
        output::write(global.output, &measured, |measured| {
            let mut table = output::table(&["who", "share of one core"]);
            let percent = |share: f64| format!("{:.2} %", share * 100.0);
            table.add_row([
                format!("a scheduler and {} workers", measured.workers),
                percent(measured.process_share),
            ]);
            if let Some(share) = measured.database_share {
                table.add_row(["PostgreSQL".to_owned(), percent(share)]);
            }
            table
        })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(&self, server: Server<'_>) -> Result<Measured, Failure> {
        let progress = Progress::start();
        let database = server.scratch.connect(CONNECTIONS + 2 * self.workers, true).await?;
        let slots = vec![1; self.workers as usize];
        let engine = Engine::start(&database, kinds(), &slots)?;
        progress.stage("settling down");
        time::sleep(Duration::from_secs(2)).await;
        progress.stage("idle");
        let before = ticks(server.is_own)?;
        let began = Instant::now();
        time::sleep(Duration::from_secs(self.seconds)).await;
        let seconds = began.elapsed().as_secs_f64();
        let after = ticks(server.is_own)?;
        engine.stop().await?;
        database.close().await;
        let share =
            |before: u64, after: u64| after.saturating_sub(before) as f64 / TICKS_PER_SECOND / seconds;
        Ok(Measured {
            workers: self.workers,
            seconds,
            process_share: share(before.process, after.process),
            database_share: server.is_own.then(|| share(before.database, after.database)),
        })
    }
}

/// The unit of /proc/PID/stat on Linux (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that was used so far.
struct Ticks {
    process: u64,
    database: u64,
}

fn ticks(with_database: bool) -> Result<Ticks, Failure> {
    let process = Stat::of(Path::new("/proc/self/stat"))?;
    let mut database = 0;
    if with_database {
        let all: Vec<Stat> = fs::read_dir("/proc")?
            .filter_map(|entry| Stat::of(&entry.ok()?.path().join("stat")).ok())
            .collect();
        let mut family = vec![process.id];
        // a server's processes are its supervisor's descendants, however deep
        let mut found = 0;
        while let Some(&parent) = family.get(found) {
            family.extend(all.iter().filter(|stat| stat.parent == parent).map(|stat| stat.id));
            found += 1;
        }
        // what ended in between has been counted by its parent
        database = all
            .iter()
            .filter(|stat| stat.id != process.id && family.contains(&stat.id))
            .map(|stat| stat.own + stat.of_ended_children)
            .sum();
    }
    Ok(Ticks { process: process.own, database })
}

/// What the kernel says of one process (proc(5)).
struct Stat {
    id: u32,
    parent: u32,
    own: u64,
    of_ended_children: u64,
}

impl Stat {
    fn of(path: &Path) -> Result<Self, Failure> {
        let unreadable = || Failure::new(format!("{} is not as proc(5) describes it", path.display()));
        let text = fs::read_to_string(path)?;
        // the program's name, in brackets, may hold anything
        let (id, rest) = text.split_once(' ').ok_or_else(unreadable)?;
        let (_, fields) = rest.rsplit_once(") ").ok_or_else(unreadable)?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let number = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok());
        let times = |place: usize| Some(number(place)? + number(place + 1)?);
        let stat = || {
            Some(Self {
                id: id.parse().ok()?,
                parent: u32::try_from(number(1)?).ok()?,
                own: times(11)?,
                of_ended_children: times(13)?,
            })
        };
        stat().ok_or_else(unreadable)
    }
}
