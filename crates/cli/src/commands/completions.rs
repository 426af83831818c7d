//! `tale completions`: what a shell completes.

use std::process::ExitCode;

use clap::Args;
use clap_complete::{Shell, generate};

use crate::{
    arguments::{self, Global},
    failure::Failure,
    output,
};

/// Prints a script that lets a shell complete the commands; `tale completions bash > /etc/bash_completion.d/tale`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub async fn run(&self, _: &Global) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut arguments::command(), "tale", &mut script);
        output::line(String::from_utf8_lossy(&script).trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
