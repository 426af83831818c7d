//! Errors as people and scripts see them: a message, its causes, a hint, an exit code.

use std::{error::Error, io::IsTerminal, process::ExitCode, sync::Arc};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use tale_database::DatabaseError;
use tale_pipeline::{Problem, Source};

/// What was asked for was done, and came out badly: a run failed, a check found something.
pub const FAILED: u8 = 1;
/// What was asked for cannot be done: wrong input, or an installation that is not there. Clap uses it too.
pub const UNUSABLE: u8 = 2;
/// Another process works in the data directory.
pub const IN_USE: u8 = 3;
/// Ctrl-C or SIGTERM ended it.
pub const INTERRUPTED: u8 = 130;

/// Why a command ended without doing what it was asked for.
#[derive(Debug)]
pub struct Failure {
    message: String,
    causes: Vec<String>,
    help: Option<String>,
    code: u8,
    problems: Vec<Report>,
}

impl Failure {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: vec![], help: None, code: FAILED, problems: vec![] }
    }

    /// The failure that an error is, with its causes.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !failure.message.contains(&text) && !failure.causes.contains(&text) {
                failure.causes.push(text);
            }
            cause = error.source();
        }
        failure
    }

    /// The failure of a source with problems, each shown in its place.
    pub fn problems(source: &Source, problems: Vec<Problem>) -> Self {
        let count = problems.len();
        let mut failure =
            Self::new(format!("{}: {count} problem{}", source.name, if count == 1 { "" } else { "s" }));
        failure.code = UNUSABLE;
        let text = Arc::new(source.text.clone());
        failure.problems = problems.into_iter().map(|problem| place(&source.name, &text, problem)).collect();
        failure
    }

    /// Adds what would help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Ends the process with this code.
    #[must_use]
    pub fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Writes the failure to standard error and gives the process's exit code.
    pub fn report(self) -> ExitCode {
        for problem in &self.problems {
            eprint!("{}", render(problem.as_ref()));
        }
        eprintln!("error: {}", self.message);
        for cause in &self.causes {
            eprintln!("  caused by: {cause}");
        }
        if let Some(help) = &self.help {
            eprintln!("  help: {help}");
        }
        ExitCode::from(self.code)
    }
}

/// A problem with its place in the source of this name and text.
fn place(name: &str, text: &Arc<String>, problem: Problem) -> Report {
    let label = LabeledSpan::at(problem.span.clone(), problem.code);
    let mut diagnostic = MietteDiagnostic::new(problem.to_string()).with_label(label);
    if let Some(help) = problem.help {
        diagnostic = diagnostic.with_help(help);
    }
    Report::new(diagnostic).with_source_code(NamedSource::new(name, Arc::clone(text)))
}

fn render(diagnostic: &dyn miette::Diagnostic) -> String {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(110);
    let mut text = String::new();
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => text,
        Err(_) => diagnostic.to_string(),
    }
}

macro_rules! failure_from {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(&error)
            }
        })*
    };
}

failure_from!(
    std::io::Error,
    serde_json::Error,
    sqlx::Error,
    tale_ledger::LedgerError,
    tale_monetization::SaleError,
    tale_network::NetworkError,
    tale_queue::QueueError,
    tale_treasury::TreasuryError,
    tale_validation::ValidationError,
);

impl From<tale_chain::ChainError> for Failure {
    fn from(error: tale_chain::ChainError) -> Self {
        use tale_chain::ChainError as E;
        let failure = Self::of(&error);
        match error {
            E::NotAnEndpoint | E::NotAKey | E::NoDistributor { .. } | E::OtherDistributor { .. } => {
                failure.code(UNUSABLE)
            }
            E::OtherChain { .. } => failure.code(UNUSABLE).help("--chain-id says which chain is meant"),
            E::NoRole(_) => failure.code(UNUSABLE).help("--key-secret names the secret that holds the key"),
            E::NotProposed { .. } => {
                failure.help("`tale claims publish` with the proposer's key comes first")
            }
            E::NotFinal { .. } | E::Transport { .. } | E::Unsteady => {
                failure.help("run it again: it goes on from there")
            }
            E::Insolvent { .. } => failure.help("transfer the difference to the distributor"),
            E::FeeAboveLimit { .. } => failure.help("wait, or raise --max-fee-gwei"),
            E::DeepReorganisation { .. } => {
                failure.help("it was put back or compensated: run it again, perhaps with a larger --finality")
            }
            _ => failure,
        }
    }
}

impl From<tale_storage::StorageError> for Failure {
    fn from(error: tale_storage::StorageError) -> Self {
        Self::of(&error).code(UNUSABLE)
    }
}

impl From<tale_monetization::MonetizationError> for Failure {
    fn from(error: tale_monetization::MonetizationError) -> Self {
        match error {
            tale_monetization::MonetizationError::Storage(error) => error.into(),
            error => Self::of(&error),
        }
    }
}

impl From<tale_pipeline::PipelineError> for Failure {
    fn from(error: tale_pipeline::PipelineError) -> Self {
        Self::of(&error).code(UNUSABLE)
    }
}

impl From<tale_scheduler::SchedulerError> for Failure {
    fn from(error: tale_scheduler::SchedulerError) -> Self {
        let code = if error.is_transient() { FAILED } else { UNUSABLE };
        Self::of(&error).code(code)
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::InUse { .. } => Self::of(&error)
                .code(IN_USE)
                .help("wait for it, stop it, or choose another directory with --data-dir"),
            DatabaseError::Address { .. } => Self::of(&error).code(UNUSABLE),
            DatabaseError::Connect { .. } | DatabaseError::PostgresNotFound { .. } => {
                Self::of(&error).code(UNUSABLE).help("`tale doctor` says what is missing")
            }
            _ => Self::of(&error),
        }
    }
}
