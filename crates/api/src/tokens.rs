//! The tokens that callers show, by name.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use subtle::ConstantTimeEq;
use tale_primitives::{Digest, Name};

use crate::ApiError;

/// The tokens that open the API: those of a file, which may change at any time, and one of the environment.
///
/// They are kept as digests, so that nothing that is compared, printed or dumped is a token.
#[derive(Debug)]
pub struct Tokens {
    file: Option<PathBuf>,
    fixed: Option<Token>,
    read: Mutex<Read>,
}

struct Token {
    name: String,
    digest: Digest,
}

#[derive(Debug)]
struct Read {
    tokens: Vec<Token>,
    at: Instant,
}

/// For how long a token that was taken out of the file is still good.
const FRESH: Duration = Duration::from_secs(1);
/// The name of a caller whose token has none.
const NAMELESS: &str = "token";
/// Fewer characters could be guessed.
const LENGTH_MIN: usize = 16;
const LENGTH_MAX: usize = 512;

impl Tokens {
    /// The tokens of `file` and the one in `variable`; nothing where neither is given.
    ///
    /// Each line of the file is a token, or a name and a token; empty lines and those that begin with `#` are not.
    pub fn read(file: Option<PathBuf>, variable: Option<&str>) -> Result<Option<Self>, ApiError> {
        let fixed = variable
            .map(|text| Token::parse(text.trim_end_matches(['\r', '\n'])).map_err(ApiError::TokenVariable));
        let fixed = fixed.transpose()?;
        let tokens = file.as_deref().map(read_file).transpose()?.unwrap_or_default();
        if file.is_none() && fixed.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { file, fixed, read: Mutex::new(Read { tokens, at: Instant::now() }) }))
    }

    /// The name that belongs to this token; nothing where it is none of ours.
    ///
    /// How long that takes does not depend on how much of a token was right.
    pub(crate) fn find(&self, shown: &str) -> Option<String> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.at.elapsed() >= FRESH {
            self.refresh(&mut read);
        }
        let shown = Digest::of(shown);
        let mut found = None;
        for token in self.fixed.iter().chain(&read.tokens) {
            if bool::from(token.digest.as_bytes().as_slice().ct_eq(shown.as_bytes().as_slice())) {
                found = Some(token.name.clone());
            }
        }
        found
    }

    /// Reads the file again; one that is wrong now leaves the tokens as they were.
    fn refresh(&self, read: &mut Read) {
        read.at = Instant::now();
        match self.file.as_deref().map(read_file) {
            Some(Ok(tokens)) => read.tokens = tokens,
            Some(Err(error)) => tracing::error!(%error, "the tokens of the API stay as they were"),
            None => {}
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<Token>, ApiError> {
    let text =
        fs::read_to_string(path).map_err(|source| ApiError::TokenFile { path: path.to_owned(), source })?;
    let mut tokens = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            tokens.push(Token::parse(line).map_err(|message| ApiError::TokenLine {
                path: path.to_owned(),
                line: index + 1,
                message,
            })?);
        }
    }
    if tokens.is_empty() {
        return Err(ApiError::NoToken { path: path.to_owned() });
    }
    Ok(tokens)
}

impl Token {
    /// Reads `TOKEN` or `NAME TOKEN`.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (name, token) = match words.as_slice() {
            [token] => (NAMELESS, *token),
            [name, token] => (*name, *token),
            _ => return Err("expected a token, or a name and a token"),
        };
        if name.parse::<Name>().is_err() {
            return Err("a name is a lower-case letter, then up to 62 of a-z, 0-9, '-' and '_'");
        }
        let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_visible || !(LENGTH_MIN..=LENGTH_MAX).contains(&token.len()) {
            return Err("a token has 16 to 512 visible ASCII characters: `openssl rand -hex 32` makes one");
        }
        Ok(Self { name: name.to_owned(), digest: Digest::of(token) })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tale_testkit::tempdir();
        let path = folder.path().join("tokens");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn each_token_has_its_name_and_nothing_else_opens() {
        let (_folder, path) = file(&format!("# callers\n\nci {ONE}\r\n{OTHER}\n"));
        let tokens = Tokens::read(Some(path), Some("of-the-environment")).unwrap().unwrap();
        assert_eq!(tokens.find(ONE).as_deref(), Some("ci"));
        assert_eq!(tokens.find(OTHER).as_deref(), Some("token"));
        assert_eq!(tokens.find("of-the-environment").as_deref(), Some("token"));
        for wrong in ["", "ci", &ONE[1..], &format!("{ONE}0"), &format!("ci {ONE}")] {
            assert_eq!(tokens.find(wrong), None, "{wrong}");
        }
        assert!(!format!("{tokens:?}").contains(ONE));
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_goes_wrong_is_not_heeded() {
        let (_folder, path) = file(ONE);
        let tokens = Tokens::read(Some(path.clone()), None).unwrap().unwrap();
        let age = || tokens.read.lock().unwrap().at = Instant::now() - FRESH;
        fs::write(&path, OTHER).unwrap();
        assert!(tokens.find(ONE).is_some(), "it is fresh");
        age();
        assert!(tokens.find(ONE).is_none() && tokens.find(OTHER).is_some());
        fs::write(&path, "too short").unwrap();
        age();
        assert!(tokens.find(OTHER).is_some());
    }

    #[test]
    fn what_is_no_token_is_refused_with_its_line_and_without_being_repeated() {
        for (text, words) in [
            ("\n\nshort", "tokens:3: a token has 16"),
            (&format!("CI {ONE}"), "tokens:1: a name is"),
            (&format!("ci deploy {ONE}"), "tokens:1: expected"),
            ("# nothing\n", "has no token"),
        ] {
            let (_folder, path) = file(text);
            let error = Tokens::read(Some(path), None).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains(ONE), "{error}");
        }
        assert!(Tokens::read(Some("/nowhere/tokens".into()), None).is_err());
        assert!(Tokens::read(None, Some("short")).is_err());
        assert!(Tokens::read(None, None).unwrap().is_none());
    }
}
