//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, INTERRUPTED};

/// A token that is cancelled by the first Ctrl-C or SIGTERM.
///
/// The second ends the process; the embedded database's supervisor then stops the database by itself.
pub fn token() -> Result<CancellationToken, Failure> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        for count in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if count == 0 {
                cancelled.cancel();
            } else {
                std::process::exit(i32::from(INTERRUPTED));
            }
        }
    });
    Ok(token)
}

/// The failure of a command that was interrupted.
pub fn failure(what: &str) -> Failure {
    Failure::new(format!("interrupted: {what}")).code(INTERRUPTED)
}
