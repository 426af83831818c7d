//! `tale tenant`: whose runs share pools, and by what weights.

use std::process::ExitCode;

use clap::{Args, Subcommand, value_parser};
use serde_json::json;
use sqlx::Connection;
use tale_queue::{WEIGHT_MAX, list_tenants, set_tenant_weight};

use crate::{arguments::Global, failure::Failure, installation::Installation, operator::audit, output};

/// Lists tenants and weighs them against each other.
///
/// Pipelines name them, as `tenant`. Those that wait for the same pool get its slots in turn, by weight.
#[derive(Debug, Args)]
pub struct Tenant {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists tenants, their weights and their ready tasks.
    List,
    /// Gives a tenant so many turns for one of a tenant of weight 1; for tasks that become ready from now on.
    Weight(Weight),
}

#[derive(Debug, Args)]
struct Weight {
    /// The tenant, as pipelines name it.
    #[arg(value_parser = tenant_name)]
    tenant: String,
    /// Its weight; 1 is what every tenant has at first.
    #[arg(value_parser = value_parser!(u32).range(1..=i64::from(WEIGHT_MAX)))]
    weight: u32,
}

impl Tenant {
    /// Lists or weighs.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let installation = Installation::look(global, "tale tenant").await?;
        match &self.command {
            Command::List => list(global, &installation).await?,
            Command::Weight(weight) => weight.run(global, &installation).await?,
        }
        installation.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(global: &Global, installation: &Installation) -> Result<(), Failure> {
    let tenants = list_tenants(&mut *installation.connection().await?).await?;
    output::write(global.output, &tenants, |tenants| {
        let mut table = output::table(&["tenant", "weight", "ready tasks"]);
        for tenant in tenants {
            table.add_row([tenant.name.clone(), tenant.weight.to_string(), tenant.ready.to_string()]);
        }
        table
    })
}

impl Weight {
    async fn run(&self, global: &Global, installation: &Installation) -> Result<(), Failure> {
        let Self { tenant, weight } = self;
        let mut connection = installation.connection().await?;
        let mut transaction = connection.begin().await?;
        set_tenant_weight(&mut transaction, tenant, *weight).await?;
        audit(&mut transaction, "tenant.weight", tenant, &json!({ "weight": weight })).await?;
        transaction.commit().await?;
        match global.output {
            output::Format::Json => output::json(&json!({ "tenant": tenant, "weight": weight })),
            output::Format::Table => output::line(&format!("tenant {tenant}: weight {weight}")),
        }
    }
}

fn tenant_name(text: &str) -> Result<String, String> {
    match text.len() {
        1..=500 => Ok(text.to_owned()),
        _ => Err("expected 1 to 500 bytes".to_owned()),
    }
}
