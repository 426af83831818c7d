//! Secrets: where a worker finds them, and how an attempt gets them.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tale_primitives::{SecretName, SecretPart};
use zeroize::Zeroizing;

use crate::{TaskError, redaction::Redaction};

/// The longest secret, in bytes: a chain of certificates fits.
const BYTES_MAX: u64 = 64 << 10;
/// The shortest: anything shorter could not be told apart from ordinary text when it is redacted.
const CHARACTERS_MIN: usize = 4;
/// What the variables that hold secrets begin with.
const VARIABLE: &str = "TALE_SECRET_";

/// Where a worker finds secrets: a directory with one file for each, and the environment.
///
/// They are read anew for each attempt, so that a secret may be changed while the worker runs.
#[derive(Debug, Clone, Default)]
pub struct SecretSources {
    /// The directory; a file in it goes before a variable of the same secret.
    pub directory: Option<PathBuf>,
}

/// A secret's text, which is overwritten in memory when it is dropped and which nothing shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretValue(Zeroizing<String>);

/// The arguments that a kind gets, and what must not leave the worker.
pub(crate) struct Resolved {
    pub arguments: Value,
    pub redaction: Redaction,
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is neither a file nor a variable.
    #[error(
        "the secret {name} is not known here: set {VARIABLE}{name}, or put a file {name} into the directory of --secrets-dir (TALE_SECRETS_DIR)"
    )]
    Missing {
        /// The secret.
        name: SecretName,
    },
    /// The file is there and cannot be read.
    #[error("the secret {name} cannot be read from {}", path.display())]
    Unreadable {
        /// The secret.
        name: SecretName,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Bytes that are not UTF-8.
    #[error("the secret {name} is not text (UTF-8)")]
    NotText {
        /// The secret.
        name: SecretName,
    },
    /// More than a secret is long.
    #[error("the secret {name} has more than {BYTES_MAX} bytes")]
    TooLong {
        /// The secret.
        name: SecretName,
    },
    /// Too short to be recognised in a log.
    #[error(
        "the secret {name} has fewer than {CHARACTERS_MIN} characters, too few to be kept out of logs: what is that short belongs into the pipeline"
    )]
    TooShort {
        /// The secret.
        name: SecretName,
    },
}

impl SecretSources {
    /// Those that the process's environment names: the directory of `TALE_SECRETS_DIR`, and `TALE_SECRET_…`.
    pub fn from_environment() -> Self {
        let directory = std::env::var_os("TALE_SECRETS_DIR").filter(|path| !path.is_empty());
        Self { directory: directory.map(PathBuf::from) }
    }

    /// One secret, for a command that is no attempt; overwritten in memory when it is dropped.
    pub fn read(&self, name: &SecretName) -> Result<Zeroizing<String>, SecretError> {
        // none is missing without an error
        Ok(self.find(name.clone())?.map(|value| value.0).unwrap_or_default())
    }

    /// Puts the secrets that arguments refer to in their places.
    ///
    /// A secret that is missing or unusable fails this attempt alone: another worker may have it, and an operator may
    /// add it before the next.
    pub(crate) async fn resolve(&self, arguments: &Value) -> Result<Resolved, TaskError> {
        let mut names = BTreeMap::new();
        find_names(arguments, &mut names);
        if !names.is_empty() {
            let sources = self.clone();
            let found = names.into_keys().collect::<Vec<_>>();
            let read =
                move || found.into_iter().map(|name| Ok((name.clone(), sources.find(name)?))).collect();
            // a mounted directory may be slow
            let read: Result<_, SecretError> =
                tokio::task::spawn_blocking(read).await.map_err(TaskError::retry)?;
            names = read.map_err(TaskError::retry)?;
        }
        let redaction = Redaction::of(names.values());
        Ok(Resolved { arguments: filled(arguments, &names), redaction })
    }

    fn find(&self, name: SecretName) -> Result<Option<SecretValue>, SecretError> {
        let bytes = match self.read_file(&name)? {
            Some(bytes) => bytes,
            None => match std::env::var_os(format!("{VARIABLE}{name}")) {
                Some(value) => Zeroizing::new(value.into_encoded_bytes()),
                None => return Err(SecretError::Missing { name }),
            },
        };
        if bytes.len() as u64 > BYTES_MAX {
            return Err(SecretError::TooLong { name });
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { return Err(SecretError::NotText { name }) };
        // editors and `echo` end a file with a line break that nobody means
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        if text.chars().count() < CHARACTERS_MIN {
            return Err(SecretError::TooShort { name });
        }
        Ok(Some(SecretValue(Zeroizing::new(text.to_owned()))))
    }

    fn read_file(&self, name: &SecretName) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        let Some(directory) = &self.directory else { return Ok(None) };
        // a name has neither dots nor slashes, so that it stays in the directory
        let path = directory.join(name.as_str());
        match read_at_most(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SecretError::Unreadable { name: name.clone(), path, source }),
        }
    }
}

/// The file, or the beginning of one that is too long.
fn read_at_most(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Read as _;
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
    fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl SecretValue {
    /// The secret itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

type Secrets = BTreeMap<SecretName, Option<SecretValue>>;

fn find_names(value: &Value, names: &mut Secrets) {
    match value {
        Value::String(text) if !SecretPart::is_plain(text) => {
            for part in SecretPart::read(text) {
                if let SecretPart::Secret(name) = part {
                    names.insert(name, None);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| find_names(item, names)),
        Value::Object(map) => map.values().for_each(|value| find_names(value, names)),
        _ => {}
    }
}

/// The value with every stored text read back and every secret in its place.
fn filled(value: &Value, secrets: &Secrets) -> Value {
    match value {
        Value::String(text) if !SecretPart::is_plain(text) => {
            let mut filled = String::new();
            for part in SecretPart::read(text) {
                match part {
                    SecretPart::Text(text) => filled.push_str(&text),
                    SecretPart::Secret(name) => {
                        let value = secrets.get(&name).and_then(Option::as_ref);
                        filled.push_str(value.map_or("", SecretValue::reveal));
                    }
                }
            }
            Value::String(filled)
        }
        Value::Array(items) => items.iter().map(|item| filled(item, secrets)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), filled(value, secrets))).collect(),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn directory(files: &[(&str, &[u8])]) -> (tempfile::TempDir, SecretSources) {
        let directory = tale_testkit::tempdir();
        for (name, bytes) in files {
            fs::write(directory.path().join(name), bytes).unwrap();
        }
        let sources = SecretSources { directory: Some(directory.path().to_owned()) };
        (directory, sources)
    }

    #[tokio::test]
    async fn references_become_secrets_and_texts_stay_texts() {
        let (_directory, sources) = directory(&[("TOKEN", b"s3cret\n"), ("PEM", b"one\r\ntwo\r\n")]);
        let stored = json!({ "a": ["Bearer ${secrets.TOKEN}", 1], "b": { "c": "${secrets.PEM}" }, "d": "$${secrets.TOKEN}" });
        let resolved = sources.resolve(&stored).await.unwrap();
        let expected =
            json!({ "a": ["Bearer s3cret", 1], "b": { "c": "one\r\ntwo" }, "d": "${secrets.TOKEN}" });
        assert_eq!(resolved.arguments, expected);
        assert_eq!(resolved.redaction.text("it is s3cret"), "it is ***");
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_used_is_named_with_the_remedy_and_tried_again() {
        let long = vec![b'x'; BYTES_MAX as usize + 1];
        let files: [(&str, &[u8]); 3] =
            [("SHORT", b"abc\n"), ("BYTES", &[0xff, 0xfe, 0xfd, 0xfc]), ("LONG", &long)];
        let (_directory, sources) = directory(&files);
        for (name, words) in [
            ("NONE", "the secret NONE is not known here: set TALE_SECRET_NONE, or put a file NONE"),
            ("SHORT", "fewer than 4 characters"),
            ("BYTES", "is not text"),
            ("LONG", "more than 65536 bytes"),
        ] {
            let stored = json!({ "a": format!("${{secrets.{name}}}") });
            let error = sources.resolve(&stored).await.err().unwrap();
            assert!(matches!(&error, TaskError::Retry { message, .. } if message.contains(words)), "{error}");
        }
    }

    #[test]
    fn nothing_shows_a_secret() {
        assert_eq!(format!("{:?}", SecretValue::of("s3cret")), "***");
    }
}
