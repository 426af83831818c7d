//! Ways to those who are told.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Telling it again may help.
    #[error("the receiver of lineage does not take events now: {0}")]
    Later(String),
    /// Telling it again is useless.
    #[error("the receiver of lineage refused an event: {0}")]
    Never(String),
}

/// A way to somebody who keeps lineage.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Tells an event; when this returns it was taken.
    async fn tell(&self, event: &Value) -> Result<(), Refusal>;
}

/// Standard error, for trying things out.
#[derive(Debug, Clone, Copy)]
pub struct Console;

#[async_trait]
impl Transport for Console {
    async fn tell(&self, event: &Value) -> Result<(), Refusal> {
        writeln!(io::stderr().lock(), "{event}").map_err(|error| Refusal::Later(error.to_string()))
    }
}

/// A file that grows by a line for each event.
#[derive(Debug, Clone)]
pub struct EventFile(pub PathBuf);

#[async_trait]
impl Transport for EventFile {
    async fn tell(&self, event: &Value) -> Result<(), Refusal> {
        let written = async {
            let mut file = tokio::fs::File::options().create(true).append(true).open(&self.0).await?;
            file.write_all(format!("{event}\n").as_bytes()).await?;
            file.flush().await?;
            file.sync_data().await
        };
        written.await.map_err(|error| Refusal::Later(format!("{}: {error}", self.0.display())))
    }
}
