//! To whom to tell, by the variables of the reference client.

use std::{fmt, path::PathBuf};

/// What the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    /// Nothing: news are left as they are.
    Unset,
    /// That nobody is told any more.
    Disabled,
    /// To whom, and under which namespace of jobs.
    To {
        /// Who is told.
        receiver: Receiver,
        /// The namespace of jobs.
        namespace: String,
    },
}

/// Who is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Receiver {
    /// A server.
    Http {
        /// Where events are sent.
        url: String,
        /// What authorises the sender.
        api_key: Option<String>,
    },
    /// A file.
    File(PathBuf),
    /// Standard error.
    Console,
}

/// What the environment says wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not one of the transports that are known here.
    #[error("OPENLINEAGE__TRANSPORT__TYPE is {0:?}: expected http, file or console")]
    Transport(String),
    /// A transport to a file without a file.
    #[error("OPENLINEAGE__TRANSPORT__TYPE is file: OPENLINEAGE__TRANSPORT__LOG_FILE_PATH must name one")]
    NoFile,
    /// A transport over HTTP without a server.
    #[error("OPENLINEAGE__TRANSPORT__TYPE is http: OPENLINEAGE_URL must name the server")]
    NoUrl,
    /// Not an address of the web.
    #[error("OPENLINEAGE_URL must begin with http:// or https://")]
    Url,
}

impl Settings {
    /// What these variables say; `variable` gives the value of the one that it is asked for.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        if set("OPENLINEAGE_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
            return Ok(Self::Disabled);
        }
        let receiver = match set("OPENLINEAGE__TRANSPORT__TYPE").as_deref() {
            Some("console") => Receiver::Console,
            Some("file") => {
                let path = set("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH").ok_or(SettingsError::NoFile)?;
                Receiver::File(path.into())
            }
            Some("http") | None => match set("OPENLINEAGE_URL") {
                Some(url) => Receiver::http(&url, set("OPENLINEAGE_ENDPOINT"), set("OPENLINEAGE_API_KEY"))?,
                None if set("OPENLINEAGE__TRANSPORT__TYPE").is_some() => return Err(SettingsError::NoUrl),
                None => return Ok(Self::Unset),
            },
            Some(other) => return Err(SettingsError::Transport(other.to_owned())),
        };
        let namespace = set("OPENLINEAGE_NAMESPACE").unwrap_or_else(|| "taleworks".to_owned());
        Ok(Self::To { receiver, namespace })
    }
}

impl Receiver {
    fn http(url: &str, endpoint: Option<String>, api_key: Option<String>) -> Result<Self, SettingsError> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(SettingsError::Url);
        }
        let endpoint = endpoint.unwrap_or_else(|| "api/v1/lineage".to_owned());
        let url = format!("{}/{}", url.trim_end_matches('/'), endpoint.trim_start_matches('/'));
        Ok(Self::Http { url, api_key })
    }
}

/// Without the key.
impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { .. } => f.write_str("Http"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Console => f.write_str("Console"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_variables_of_the_reference_client_say_who_is_told() {
        assert_eq!(read(&[]), Ok(Settings::Unset));
        let url = ("OPENLINEAGE_URL", "http://marquez:5000/");
        let Ok(Settings::To { receiver, namespace }) = read(&[url, ("OPENLINEAGE_API_KEY", "k3y")]) else {
            panic!("it is set")
        };
        let expected = "http://marquez:5000/api/v1/lineage".to_owned();
        assert_eq!(receiver, Receiver::Http { url: expected, api_key: Some("k3y".to_owned()) });
        assert_eq!(namespace, "taleworks");
        assert!(!format!("{receiver:?}").contains("k3y"));
        let set = [url, ("OPENLINEAGE_ENDPOINT", "/x"), ("OPENLINEAGE_NAMESPACE", "lab")];
        let expected = Receiver::Http { url: "http://marquez:5000/x".to_owned(), api_key: None };
        assert_eq!(read(&set), Ok(Settings::To { receiver: expected, namespace: "lab".to_owned() }));
        assert_eq!(read(&[url, ("OPENLINEAGE_DISABLED", "True")]), Ok(Settings::Disabled));
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        let transport = "OPENLINEAGE__TRANSPORT__TYPE";
        assert_eq!(read(&[(transport, "kafka")]), Err(SettingsError::Transport("kafka".to_owned())));
        assert_eq!(read(&[(transport, "file")]), Err(SettingsError::NoFile));
        assert_eq!(read(&[(transport, "http")]), Err(SettingsError::NoUrl));
        assert_eq!(read(&[("OPENLINEAGE_URL", "marquez:5000")]), Err(SettingsError::Url));
    }
}
