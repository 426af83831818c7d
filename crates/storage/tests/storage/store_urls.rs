//! Which URLs and settings open a store, and that no message shows a secret.

use std::{collections::BTreeMap, error::Error};

use bytes::Bytes;
use tale_storage::{StorageError, Store, StoreUrlProblem};

use crate::s3_server::{ACCESS_KEY, S3Server, SECRET_KEY};

/// The settings with which a store reaches the server.
pub fn s3_settings(server: &S3Server) -> BTreeMap<String, String> {
    [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_ENDPOINT", server.endpoint()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_EXECUTION_ENV", "not a setting of stores"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

#[test]
fn a_url_that_names_no_store_is_refused_with_what_would_be_right() {
    let problem = |url: &str| match Store::open_with(url, &BTreeMap::new()) {
        Err(StorageError::StoreUrl { problem, url: shown }) => {
            assert!(
                !shown.contains("hunter2") && !problem.to_string().contains("hunter2"),
                "{shown}: {problem}"
            );
            problem
        }
        other => panic!("{url} gives {other:?}"),
    };
    assert!(matches!(problem("no-url"), StoreUrlProblem::NotAUrl(_)));
    assert!(matches!(problem("who:hunter2@x"), StoreUrlProblem::Scheme(_)));
    assert!(matches!(problem("://who:hunter2@x"), StoreUrlProblem::NotAUrl(_)));
    assert_eq!(problem("gs://bucket"), StoreUrlProblem::Scheme("gs".to_owned()));
    assert_eq!(problem("s3://who:hunter2@bucket/x"), StoreUrlProblem::Credentials);
    assert_eq!(problem("s3://bucket/x?secret=hunter2"), StoreUrlProblem::Query);
    assert_eq!(problem("s3:///x"), StoreUrlProblem::NoBucket);
    assert_eq!(problem("file://host/x"), StoreUrlProblem::NotADirectory);
}

#[test]
fn a_local_store_whose_place_is_a_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(&format!("file://{}", file.path().display())).unwrap_err();
    assert!(matches!(error, StorageError::StoreDirectory { .. }), "{error:?}");
    assert!(error.to_string().contains("check that it is a directory"), "{error}");
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_never_shown() {
    let server = S3Server::start().await;
    let mut settings = s3_settings(&server);
    settings.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "hunter2-hunter2".to_owned());
    let store = Store::open_with("s3://tale/x", &settings).unwrap();
    assert_eq!(format!("{store:?}"), "Store(\"s3://tale/x\")");
    for error in [store.probe().await.unwrap_err(), store.put(Bytes::from_static(b"x")).await.unwrap_err()] {
        assert!(matches!(error, StorageError::AccessDenied { .. }), "{error:?}");
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY"), "{error}");
        let mut shown = format!("{error:?}");
        let mut cause: Option<&dyn Error> = Some(&error);
        while let Some(error) = cause {
            shown += &error.to_string();
            cause = error.source();
        }
        assert!(!shown.contains("hunter2") && !shown.contains(SECRET_KEY), "{shown}");
    }
}
