use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::ServerVersion;
use crate::pool::OLDEST_SERVER;
use crate::{DatabaseError, directory};

/// A directory of PostgreSQL programs (`initdb`, `postgres`) and their version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresBinaries {
    directory: PathBuf,
    version: ServerVersion,
}

impl PostgresBinaries {
    /// The directory that holds the programs.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Their version.
    pub fn version(&self) -> ServerVersion {
        self.version
    }

    /// The path of one program, for example `initdb`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn inspect(directory: &Path) -> Option<Self> {
        if !directory.join("initdb").is_file() {
            return None;
        }
        let version = output_of(Command::new(directory.join("postgres")).arg("--version"))?;
        Some(Self { directory: directory.to_owned(), version: parse_version(&version)? })
    }
}

/// Finds the PostgreSQL programs to run a private cluster with.
///
/// In order: `$TALE_POSTGRES_BIN`; what `pg_config` on the PATH says; Debian's `/usr/lib/postgresql/*/bin`, newest
/// first; and what `infra/bootstrap.sh` installs for a user who is not root
/// (`${XDG_DATA_HOME:-~/.local/share}/taleworks/tools`, for root `/var/lib/taleworks/tools`).
pub fn find_postgres() -> Result<PostgresBinaries, DatabaseError> {
    find_postgres_for(None)
}

/// As [`find_postgres`], for a cluster that one major version has made and no other can open.
pub(crate) fn find_postgres_for(wanted: Option<u32>) -> Result<PostgresBinaries, DatabaseError> {
    let mut found = Vec::new();
    let mut searched = Vec::new();
    for (place, directories) in places() {
        searched.push(place);
        for directory in directories {
            let Some(binaries) = PostgresBinaries::inspect(&directory) else { continue };
            let major = binaries.version.major;
            if major >= OLDEST_SERVER && wanted.is_none_or(|wanted| wanted == major) {
                return Ok(binaries);
            }
            found.push(format!("{} ({})", directory.display(), binaries.version));
        }
    }
    if found.is_empty() {
        return Err(DatabaseError::PostgresNotFound { searched });
    }
    Err(DatabaseError::PostgresUnusable { wanted, found })
}

/// Each place to look in, as a person would name it, with the directories found there.
fn places() -> Vec<(String, Vec<PathBuf>)> {
    let mut places = Vec::new();
    if let Some(directory) = std::env::var_os("TALE_POSTGRES_BIN").filter(|value| !value.is_empty()) {
        places.push(("$TALE_POSTGRES_BIN".to_owned(), vec![PathBuf::from(directory)]));
    }
    let configured = output_of(Command::new("pg_config").arg("--bindir"));
    places.push((
        "`pg_config --bindir`".to_owned(),
        configured.iter().map(|line| PathBuf::from(line.trim())).collect(),
    ));
    places
        .push(("/usr/lib/postgresql/*/bin".to_owned(), debian_directories(Path::new("/usr/lib/postgresql"))));
    for tools in tool_directories() {
        places.push((tools.display().to_string(), vec![tools.join("postgres/bin")]));
    }
    places
}

fn debian_directories(root: &Path) -> Vec<PathBuf> {
    let mut majors: Vec<u32> =
        directory::entries(root).filter_map(|entry| entry.file_name()?.to_str()?.parse().ok()).collect();
    majors.sort_unstable_by(|left, right| right.cmp(left));
    majors.into_iter().map(|major| root.join(major.to_string()).join("bin")).collect()
}

/// Where `infra/bootstrap.sh` puts programs that the system does not have.
fn tool_directories() -> Vec<PathBuf> {
    let home = std::env::var_os("XDG_DATA_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
    let mut directories: Vec<PathBuf> = home.into_iter().map(|home| home.join("taleworks/tools")).collect();
    directories.push(PathBuf::from("/var/lib/taleworks/tools"));
    directories
}

fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-1)`, and `17beta1` as 17.0.
fn parse_version(line: &str) -> Option<ServerVersion> {
    let word = line.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    };
    let (major, minor) = word.split_once('.').unwrap_or((word, "0"));
    Some(ServerVersion { major: number(major)?, minor: number(minor).unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_postgres_prints_them() {
        let version = |line| parse_version(line).map(|found| found.to_string());
        assert_eq!(
            version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").as_deref(),
            Some("15.18")
        );
        assert_eq!(version("postgres (PostgreSQL) 18.6").as_deref(), Some("18.6"));
        assert_eq!(version("postgres (PostgreSQL) 17beta1").as_deref(), Some("17.0"));
        assert_eq!(version("no version here"), None);
    }

    #[test]
    fn the_newest_debian_version_comes_first_even_past_a_change_of_length() {
        let root = tempfile::tempdir().unwrap();
        for major in ["9", "15", "100", "common"] {
            std::fs::create_dir(root.path().join(major)).unwrap();
        }
        let found = debian_directories(root.path());
        let names: Vec<_> =
            found.iter().map(|path| path.parent().unwrap().file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["100", "15", "9"]);
    }
}
