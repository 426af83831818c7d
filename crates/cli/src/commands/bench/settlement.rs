//! `tale bench settlement`: how long a night takes, at a number of accounts.

use std::{process::ExitCode, time::Instant};

use clap::{Args, value_parser};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use tale_database::ScratchDatabase;
use tale_ledger::verify;
use tale_network::{NewGenerator, register_generators};
use tale_primitives::{Address, Amount, GeneratorId, Name, UtcDay};
use tale_treasury::{
    ClaimLeaf, ClaimsTree, Class, NewContributions, Ruleset, allocate, check_epoch, compute, gather_inputs,
    post_epoch, publish_epoch, record_contributions, record_result, seal_epoch, settle_epoch,
};

use super::{memory::memory_peak_bytes, server::on_a_server};
use crate::{arguments::Global, failure::Failure, interrupt, output, progress::Progress};

/// Settles a day of a number of accounts, step by step, audits the ledger, and settles the day again.
///
/// Works in a database of its own, which it makes and drops: on the server of DATABASE_URL where that is set, else in
/// the cluster of the data directory, else in a temporary one. Commits are durable.
#[derive(Debug, Args)]
pub struct Settlement {
    /// How many accounts, each with a generator that contributed.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1..=10_000_000))]
    accounts: u32,
}

/// Generators that are registered, and contributions that are recorded, at a time.
const AT_ONCE: usize = 100_000;
/// The day that is settled.
const DAY: &str = "2026-01-01";

#[derive(Serialize)]
struct Measured {
    accounts: u32,
    /// Dividing a day's pool among all, by the largest remainder.
    allocate_seconds: f64,
    /// Building the claims tree of all.
    tree_seconds: f64,
    /// Posting the journal, with the accounts that it opens and their balances; without the second computation before.
    post_seconds: f64,
    /// Deriving every balance and the whole chain again.
    reconcile_seconds: f64,
    /// From the recorded contributions to the published root.
    close_seconds: f64,
    /// The same day again, which changes nothing.
    rerun_seconds: f64,
    /// The parts of the close beside posting.
    seal_seconds: f64,
    compute_seconds: f64,
    /// The second, independent computation, in SQL.
    check_seconds: f64,
    publish_seconds: f64,
    /// The most memory that this process has had; the database has its own.
    memory_peak_bytes: u64,
}

impl Settlement {
    /// Measures, and prints.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let stop = interrupt::token()?;
        let measured = tokio::select! {
            measured = on_a_server(global, "tale bench settlement", async |server| {
                self.measure(server.scratch).await
            }) => measured?,
            () = stop.cancelled() => return Err(interrupt::failure("nothing was measured")),
        };
        output::write(global.output, &measured, |measured| {
            let mut table = output::table(&["what", "figure"]);
            table.add_row(["accounts".to_owned(), measured.accounts.to_string()]);
            for (what, seconds) in [
                ("allocate", measured.allocate_seconds),
                ("tree", measured.tree_seconds),
                ("seal", measured.seal_seconds),
                ("compute and record", measured.compute_seconds),
                ("second computation, in SQL", measured.check_seconds),
                ("post and balances", measured.post_seconds),
                ("publish", measured.publish_seconds),
                ("the whole close", measured.close_seconds),
                ("reconcile", measured.reconcile_seconds),
                ("the same day again", measured.rerun_seconds),
            ] {
                table.add_row([what.to_owned(), output::duration(seconds)]);
            }
            let megabytes = format!("{} MB", measured.memory_peak_bytes / 1_000_000);
            table.add_row(["most memory of this process".to_owned(), megabytes]);
            table
        })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(&self, scratch: &ScratchDatabase) -> Result<Measured, Failure> {
        let progress = Progress::start();
        progress.stage("dividing a pool, and building a tree");
        let owners: Vec<Address> =
            (0..self.accounts).map(|number| Address::derive(&number.to_string())).collect();
        let (allocate_seconds, tree_seconds) = pure(&owners)?;
        let database = scratch.connect(2, true).await?;
        let measured = self.settle(&database, &owners, &progress).await;
        database.close().await;
        Ok(Measured { allocate_seconds, tree_seconds, ..measured? })
    }

    async fn settle(
        &self,
        database: &PgPool,
        owners: &[Address],
        progress: &Progress,
    ) -> Result<Measured, Failure> {
        let mut connection = database.acquire().await?;
        let connection = &mut *connection;
        let day: UtcDay = DAY.parse().map_err(|error| Failure::of(&error))?;
        record(connection, day, owners, progress).await?;
        sqlx::raw_sql("vacuum analyze").execute(&mut *connection).await?;

        progress.stage("sealing");
        let began = Instant::now();
        let inputs = gather_inputs(connection, day, Ruleset::CURRENT_VERSION).await?;
        seal_epoch(connection, &inputs).await?;
        let seal_seconds = began.elapsed().as_secs_f64();
        progress.stage("computing");
        let began = Instant::now();
        let result = compute(&inputs, &Ruleset::load(inputs.ruleset())?)?;
        record_result(connection, &result).await?;
        drop((inputs, result));
        let compute_seconds = began.elapsed().as_secs_f64();
        // By itself first, since posting makes it too: what is left of that is the posting.
        progress.stage("computing in SQL");
        let began = Instant::now();
        check_epoch(connection, day).await?;
        let check_seconds = began.elapsed().as_secs_f64();
        progress.stage("posting");
        let began = Instant::now();
        post_epoch(connection, day).await?;
        let checked_and_posted_seconds = began.elapsed().as_secs_f64();
        progress.stage("publishing");
        let began = Instant::now();
        publish_epoch(connection, day, None).await?;
        let publish_seconds = began.elapsed().as_secs_f64();

        progress.stage("reconciling");
        let began = Instant::now();
        let report = verify(connection).await?;
        let reconcile_seconds = began.elapsed().as_secs_f64();
        if let Some(discrepancy) = report.discrepancies.first() {
            return Err(Failure::new(format!("the ledger does not agree: {discrepancy}")));
        }
        progress.stage("settling again");
        let began = Instant::now();
        if settle_epoch(connection, day).await?.changed {
            return Err(Failure::new("settling the day again changed something"));
        }
        Ok(Measured {
            accounts: self.accounts,
            allocate_seconds: 0.0,
            tree_seconds: 0.0,
            post_seconds: (checked_and_posted_seconds - check_seconds).max(0.0),
            reconcile_seconds,
            close_seconds: seal_seconds + compute_seconds + checked_and_posted_seconds + publish_seconds,
            rerun_seconds: began.elapsed().as_secs_f64(),
            seal_seconds,
            compute_seconds,
            check_seconds,
            publish_seconds,
            memory_peak_bytes: memory_peak_bytes(),
        })
    }
}

/// What needs no database: seconds to divide a pool, and to build a tree.
fn pure(owners: &[Address]) -> Result<(f64, f64), Failure> {
    let ruleset = Ruleset::load(Ruleset::CURRENT_VERSION)?;
    let weights: Vec<(Address, u128)> = owners
        .iter()
        .enumerate()
        .map(|(place, owner)| (*owner, weight(place).unsigned_abs().into()))
        .collect();
    let began = Instant::now();
    let allocation = allocate(ruleset.daily_pool()?, &weights).map_err(|error| Failure::of(&error))?;
    let allocate_seconds = began.elapsed().as_secs_f64();
    let leaf =
        |(account, cumulative): (Address, Amount)| ClaimLeaf { account, token: ruleset.token, cumulative };
    let leaves: Vec<ClaimLeaf> = allocation.shares.into_iter().map(leaf).collect();
    let began = Instant::now();
    let tree = ClaimsTree::build(leaves).map_err(|error| Failure::of(&error))?;
    let tree_seconds = began.elapsed().as_secs_f64();
    if tree.leaves().len() != owners.len() {
        return Err(Failure::new("the tree lacks accounts"));
    }
    Ok((allocate_seconds, tree_seconds))
}

/// Points that differ from account to account, and are the same at every run.
fn weight(place: usize) -> i64 {
    1_000_000 + (place as i64 * 7_919) % 9_000_000
}

/// Registers a generator for each owner, and records what it earned.
async fn record(
    connection: &mut PgConnection,
    day: UtcDay,
    owners: &[Address],
    progress: &Progress,
) -> Result<(), Failure> {
    progress.stage("registering generators");
    for (chunk, owners) in owners.chunks(AT_ONCE).enumerate() {
        let mut generators = Vec::with_capacity(owners.len());
        let mut points = Vec::with_capacity(owners.len());
        for (place, owner) in owners.iter().enumerate() {
            let number = chunk * AT_ONCE + place;
            let id = generator(number);
            points.push((id, weight(number)));
            generators.push(NewGenerator {
                id,
                name: format!("g-{number}").parse::<Name>().map_err(|error| Failure::of(&error))?,
                owner: *owner,
                is_participant: true,
                is_validator: false,
                credibility_ppm: 0,
            });
        }
        register_generators(connection, &generators).await?;
        let source = format!("bench/{chunk}");
        record_contributions(connection, &NewContributions { source, day, class: Class::Training, points })
            .await?;
        progress.update(&format!("registering generators: {}", (chunk + 1) * AT_ONCE));
    }
    Ok(())
}

fn generator(number: usize) -> GeneratorId {
    GeneratorId::derive("bench", &format!("g-{number}"))
}
