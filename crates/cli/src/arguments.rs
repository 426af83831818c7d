//! The command line.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, value_parser};

use crate::{commands, output::Format};

/// The engine room of a decentralised AI network: pipelines, workers, validation and settlement.
#[derive(Debug, Parser)]
#[command(name = "tale", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The id of `--output table|json`.
const FORMAT: &str = "format";

/// The whole command line, as it is parsed and completed.
pub fn command() -> clap::Command {
    with_format(Arguments::command())
}

/// Gives `--output table|json` to every command below that has no `--output` of its own.
fn with_format(command: clap::Command) -> clap::Command {
    command.mut_subcommands(|command| {
        let command = with_format(command);
        if command.get_arguments().any(|argument| argument.get_long() == Some("output")) {
            return command;
        }
        command.arg(
            Arg::new(FORMAT)
                .long("output")
                .value_name("FORMAT")
                .value_parser(value_parser!(Format))
                .help("Tables for people, or one JSON document for programs"),
        )
    })
}

/// The format that was asked for nearest to the command's end.
fn format_of(matches: &ArgMatches) -> Option<Format> {
    let below = matches.subcommand().and_then(|(_, matches)| format_of(matches));
    below.or_else(|| matches.try_get_one(FORMAT).ok().flatten().copied())
}

impl Arguments {
    /// Reads the command line of this process, and ends the process where it is wrong or asks for help.
    pub fn read() -> Self {
        let mut command = command();
        let matches = command.get_matches_mut();
        match Self::from_arg_matches(&matches) {
            Ok(mut arguments) => {
                arguments.global.output = format_of(&matches).unwrap_or(arguments.global.output);
                arguments
            }
            Err(error) => error.format(&mut command).exit(),
        }
    }
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Where everything lives: the embedded database, objects, reports.
    #[arg(long, global = true, value_name = "DIR", env = "TALE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// A PostgreSQL server to use in place of the embedded one.
    #[arg(long, global = true, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The object store: file:///… or s3://bucket/prefix; a folder of the data directory unless given.
    #[arg(long, global = true, value_name = "URL", env = "TALE_STORE")]
    pub store: Option<String>,
    /// Tables for people, or one JSON document for programs.
    // not `global`: `claims tree --output FILE` is another thing; [`command`] adds it to every other command
    #[arg(id = FORMAT, long = "output", value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,
    /// Logs on standard error: once for the course of events, twice for details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trains, validates and settles a small network on this machine, from nothing.
    Demo(commands::demo::Demo),
    /// Runs everything on this machine: database, scheduler, a worker and the HTTP API.
    Up(commands::up::Up),
    /// Runs a scheduler and the HTTP API, and no tasks.
    Serve(commands::serve::Serve),
    /// Runs a worker for one pool.
    Worker(commands::worker::Worker),
    /// Checks the pipelines of a folder and makes them the current versions.
    Apply(commands::apply::Apply),
    /// Starts a run of a pipeline.
    Run(commands::run::Run),
    /// Lists runs, the newest first.
    Runs(commands::runs::Runs),
    /// Lists, pauses and resumes schedules, and tells their next fires.
    Schedule(commands::schedule::Schedule),
    /// Lists what starts runs by itself beside schedules.
    Triggers(commands::triggers::Triggers),
    /// Starts the runs that a schedule would have started for days of the past.
    Backfill(commands::backfill::Backfill),
    /// Shows one run: steps, tasks, attempts, durations, errors.
    Show(commands::show::Show),
    /// Prints what the tasks of a run have printed.
    Logs(commands::logs::Logs),
    /// Draws what an artifact was made from, or what was made of it.
    Lineage(commands::lineage::Lineage),
    /// Says how long ended runs stay in the database, and archives those that stay no longer.
    Retention(commands::retention::Retention),
    /// Stops runs and their sub-runs.
    Cancel(commands::cancel::Cancel),
    /// Holds back a run, a pipeline's new runs, or a pool.
    Pause(commands::pause::Pause),
    /// Lets a run, a pipeline or a pool go on that was paused.
    Resume(commands::pause::Resume),
    /// Runs the steps of an ended run again that did not end well.
    Retry(commands::retry::Retry),
    /// Answers steps that wait for a person, or lists them.
    Approve(commands::approve::Approve),
    /// Limits how many tasks of a pool run at a time.
    Limit(commands::limit::Limit),
    /// Lists tenants and weighs them against each other.
    Tenant(commands::tenant::Tenant),
    /// Lists and forgets results of tasks that later runs may take.
    Cache(commands::cache::Cache),
    /// Shows what changed between two versions of a pipeline.
    Diff(commands::diff::Diff),
    /// Lists runs that went on past their deadlines.
    Alerts(commands::alerts::Alerts),
    /// Lists what operators did.
    Audit(commands::audit::Audit),
    /// Lists the live workers.
    Workers(commands::workers::Workers),
    /// Checks, plans and lists pipelines; runs nothing.
    Pipeline(commands::pipeline::Pipeline),
    /// Lists the task kinds that pipelines may use, or prints the schemas of one.
    Kinds(commands::kinds::Kinds),
    /// Imports, lists and shows data sets of labelled images.
    Dataset(commands::dataset::Dataset),
    /// Shows decisions of Proof of Validation and their evidence.
    Pov(commands::pov::Pov),
    /// Settles one UTC day: seals, computes twice, posts, publishes.
    Settle(commands::settle::Settle),
    /// Shows, checks and corrects settlement epochs: UTC days, their pools, rewards and roots.
    Epoch(commands::epoch::Epoch),
    /// Reads and audits the double-entry ledger.
    Ledger(commands::ledger::Ledger),
    /// Shows the vesting table, its releases, and which of them are in the ledger.
    Vesting(commands::vesting::Vesting),
    /// Stakes TALE, takes stakes out, and shows what the network publishes about them.
    Staking(commands::staking::Staking),
    /// Requests, cancels and lists withdrawals of rewards, and denies accounts.
    Withdrawals(commands::withdrawals::Withdrawals),
    /// Builds claims trees, proves claims, publishes roots and verifies both.
    Claims(commands::claims::Claims),
    /// Checks revenue event logs; nothing is divided.
    Revenue(commands::revenue::Revenue),
    /// Shows what works earned and who has it, and records who holds them.
    Dividends(commands::dividends::Dividends),
    /// Sells licences of generators in rounds.
    Sales(commands::sales::Sales),
    /// Measures what this database and this machine carry.
    Bench(commands::bench::Bench),
    /// Checks what this machine has, and says what to do where something is missing.
    Doctor(commands::doctor::Doctor),
    /// Prints a script that lets a shell complete the commands.
    Completions(commands::completions::Completions),
}
