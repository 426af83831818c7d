//! Where things live: the data directory, the object store, the pipelines.

use std::path::{Path, PathBuf};

use tale_database::DataDirectory;
use tale_storage::Store;

use super::{Check, PATIENCE, whole};
use crate::{arguments::Global, installation::data_directory, pipelines as pipeline_files};

const DIRECTORY: &str = "data directory";
const STORE: &str = "object store";
const PIPELINES: &str = "pipelines";

/// Whether the data directory can be written, and who works in it.
pub(super) async fn directory(global: &Global) -> Check {
    let path = match data_directory(global) {
        Ok(path) => path,
        Err(_) => return Check::fail(DIRECTORY, "there is no home directory", "name one with --data-dir"),
    };
    let shown = path.display();
    if path.exists() && !path.is_dir() {
        return Check::fail(DIRECTORY, format!("{shown} is not a directory"), "name another with --data-dir");
    }
    let there = existing_part(&path);
    if let Err(error) = tempfile::tempfile_in(&there) {
        return Check::fail(
            DIRECTORY,
            format!("{} cannot be written: {error}", there.display()),
            "give it to this user with chown, or name another with --data-dir",
        );
    }
    if !path.exists() {
        return Check::ok(DIRECTORY, format!("{shown} will be made at the first start"));
    }
    match DataDirectory::open(&path) {
        Ok(directory) => match directory.holder() {
            Some(holder) => Check::ok(
                DIRECTORY,
                format!(
                    "{shown}, in use by {} (process {}, since {})",
                    holder.purpose, holder.pid, holder.since
                ),
            ),
            None => Check::ok(DIRECTORY, format!("{shown}, in use by nobody")),
        },
        Err(error) => Check::fail(DIRECTORY, whole(&error), "name another with --data-dir"),
    }
}

/// Whether the object store takes, gives and deletes an object.
pub(super) async fn store(global: &Global) -> Check {
    let url = match &global.store {
        Some(url) => url.clone(),
        None => {
            let Ok(path) = data_directory(global) else {
                return Check::fail(STORE, "there is no home directory", "name a store with --store");
            };
            let objects = std::path::absolute(path.join("objects")).unwrap_or(path);
            if !objects.exists() {
                return Check::ok(STORE, format!("{} will be made at the first start", objects.display()));
            }
            match url::Url::from_directory_path(&objects) {
                Ok(url) => url.to_string(),
                Err(()) => {
                    return Check::fail(STORE, format!("{} is no path", objects.display()), "see --store");
                }
            }
        }
    };
    let store = match Store::open(&url) {
        Ok(store) => store,
        Err(error) => return Check::fail(STORE, whole(&error), "correct --store or TALE_STORE"),
    };
    match tokio::time::timeout(PATIENCE, store.probe()).await {
        Ok(Ok(())) => Check::ok(STORE, format!("{}: wrote, read and deleted an object", store.url())),
        Ok(Err(error)) => {
            let help = match store.url().starts_with("file:") {
                true => "give the folder to this user with chown, or name another store with --store",
                false => {
                    "check the bucket, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT"
                }
            };
            Check::fail(STORE, whole(&error), help)
        }
        Err(_) => Check::fail(
            STORE,
            format!("{} does not answer within {} s", store.url(), PATIENCE.as_secs()),
            "check the URL, AWS_ENDPOINT, AWS_REGION and the credentials in AWS_*",
        ),
    }
}

/// Whether the pipelines that `tale up` would apply are sound.
pub(super) fn pipelines() -> Check {
    let here = Path::new("pipelines").is_dir();
    let place = if here { "in the folder pipelines" } else { "built in" };
    let sources = match pipeline_files::sources(None) {
        Ok(sources) => sources,
        Err(_) => {
            return Check::fail(
                PIPELINES,
                "the folder pipelines cannot be read",
                "`tale pipeline check pipelines`",
            );
        }
    };
    match pipeline_files::check(&sources) {
        Ok(specs) => Check::ok(PIPELINES, format!("{} {place}", specs.len())),
        Err(_) => Check::fail(
            PIPELINES,
            format!("{place}, with problems"),
            "`tale pipeline check pipelines` shows them",
        ),
    }
}

/// The deepest folder on the way to `path` that exists.
pub(super) fn existing_part(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|part| part.is_dir()).unwrap_or(Path::new("/")).to_owned()
}
