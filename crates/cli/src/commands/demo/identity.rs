//! Which demo lives in a data directory.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::Demo;
use crate::failure::{Failure, UNUSABLE};

/// What makes one demo another than the next: a data directory holds one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    seed: u64,
    rounds: u32,
    attackers: bool,
    pov: bool,
}

impl Identity {
    pub fn of(demo: &Demo) -> Self {
        Self { seed: demo.seed, rounds: demo.rounds, attackers: !demo.no_attackers, pov: !demo.no_pov }
    }

    /// Marks the directory as this demo's; refuses one that is another's, whose settled day would be mixed with ours.
    pub fn claim(&self, directory: &Path) -> Result<(), Failure> {
        let path = directory.join("demo.json");
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Self>(&bytes) {
                Ok(found) if found == *self => Ok(()),
                Ok(found) => Err(Failure::new(format!(
                    "{} holds another demo (seed {}, {} rounds, {} attackers, {} PoV)",
                    directory.display(),
                    found.seed,
                    found.rounds,
                    if found.attackers { "with" } else { "without" },
                    if found.pov { "with" } else { "without" },
                ))
                .code(UNUSABLE)
                .help("choose another directory with --data-dir")),
                Err(error) => {
                    Err(Failure::of(&error).help(format!("{} is damaged: delete it", path.display())))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let unfinished = directory.join("demo.json.partial");
                fs::write(&unfinished, serde_json::to_vec(self)?)?;
                Ok(fs::rename(&unfinished, &path)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}
