//! From a URL and the `AWS_*` variables to a client.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use object_store::{
    ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut},
    local::LocalFileSystem,
    path::Path as Key,
};
use url::Url;

use crate::{StorageError, StoreUrlProblem};

/// A client and where below it the store begins.
pub(crate) struct Opened {
    pub(crate) client: Arc<dyn ObjectStore>,
    pub(crate) prefix: Key,
    pub(crate) url: String,
    /// Where a local store keeps its objects.
    pub(crate) directory: Option<PathBuf>,
}

/// How long requests are repeated before an unreachable store is an error.
const RETRY_SECONDS_MAX: u64 = 60;

/// The process's variables whose names begin with `AWS_`.
pub(crate) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("AWS_"))
        .collect()
}

/// Opens the store at `url` with these `AWS_*` settings.
pub(crate) fn open(url: &str, settings: &BTreeMap<String, String>) -> Result<Opened, StorageError> {
    let parsed = Url::parse(url).map_err(|error| StorageError::StoreUrl {
        // What is no URL may still hold a password before an '@'.
        url: format!("{:?}", url.rsplit('@').next().unwrap_or_default()),
        problem: StoreUrlProblem::NotAUrl(error),
    })?;
    let mut shown = parsed.clone();
    // These fail only for URLs that cannot carry credentials in the first place.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    let shown = if parsed.cannot_be_a_base() {
        // `user:password@host` parses as a URL of scheme `user`.
        format!("{}:…", parsed.scheme())
    } else {
        shown.to_string().trim_end_matches('/').to_owned()
    };
    let refuse = |problem| Err(StorageError::StoreUrl { url: shown.clone(), problem });

    if !parsed.username().is_empty() || parsed.password().is_some() {
        return refuse(StoreUrlProblem::Credentials);
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return refuse(StoreUrlProblem::Query);
    }
    match parsed.scheme() {
        "file" => match parsed.to_file_path() {
            Ok(directory) => open_directory(shown, directory),
            Err(()) => refuse(StoreUrlProblem::NotADirectory),
        },
        "s3" => {
            let Some(bucket) = parsed.host_str().filter(|host| !host.is_empty()) else {
                return refuse(StoreUrlProblem::NoBucket);
            };
            match Key::from_url_path(parsed.path()) {
                Ok(prefix) => open_bucket(shown.clone(), bucket, prefix, settings),
                Err(_) => refuse(StoreUrlProblem::Prefix),
            }
        }
        other => refuse(StoreUrlProblem::Scheme(other.to_owned())),
    }
}

fn open_directory(url: String, directory: PathBuf) -> Result<Opened, StorageError> {
    let refuse = |source| StorageError::StoreDirectory { path: directory.clone(), source };
    fs::create_dir_all(&directory).map_err(refuse)?;
    let client =
        LocalFileSystem::new_with_prefix(&directory).map_err(|error| refuse(std::io::Error::other(error)))?;
    Ok(Opened { client: Arc::new(client), prefix: Key::default(), url, directory: Some(directory) })
}

fn open_bucket(
    url: String,
    bucket: &str,
    prefix: Key,
    settings: &BTreeMap<String, String>,
) -> Result<Opened, StorageError> {
    let known = settings.iter().filter_map(|(name, value)| {
        Some((name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().ok()?, value))
    });
    let client = known
        .fold(AmazonS3Builder::new(), |builder, (key, value)| builder.with_config(key, value))
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            retry_timeout: Duration::from_secs(RETRY_SECONDS_MAX),
            ..RetryConfig::default()
        })
        .build()
        .map_err(|source| StorageError::StoreSettings { store: url.clone(), source: Box::new(source) })?;
    Ok(Opened { client: Arc::new(client), prefix, url, directory: None })
}
