//! `tale claims tree`: from a file of rewards to a tree.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use tale_treasury::{ClaimsTree, parse_rewards_csv};

use super::{print, read, refused};
use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
};

/// Builds a tree from `account,token,cumulative` lines; needs no database.
///
/// The output has the dump format of OpenZeppelin's `standard-v1`. It appears whole, or not at all.
#[derive(Debug, Args)]
pub struct Tree {
    /// The lines, under the header account,token,cumulative; amounts in base units.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where the tree goes.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

impl Tree {
    /// Builds, writes and prints root and number of leaves.
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let leaves =
            parse_rewards_csv(read(&self.input)?.as_slice()).map_err(|error| refused(&self.input, &error))?;
        let tree = ClaimsTree::build(leaves).map_err(|error| refused(&self.input, &error))?;
        let mut bytes = serde_json::to_vec_pretty(&tree.dump())?;
        bytes.push(b'\n');
        write(&self.output, &bytes).map_err(|error| {
            Failure::new(format!("cannot write {}: {error}", self.output.display())).code(UNUSABLE)
        })?;
        print(global, &tree)
    }
}

/// Writes a file so that nobody ever sees half of it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // the file that a link names, and not the link
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        // a pipe or a terminal takes bytes as they come
        return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no folder {}", folder.display()),
        ));
    }
    // the user's umask takes from these, as from those of every new file
    let mut file = tempfile::Builder::new()
        .prefix(".tale-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        // without the temporary file's name, which tells the user nothing
        .map_err(|error| io::Error::from(error.kind()))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
