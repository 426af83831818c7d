//! What can go wrong between the product and its bytes.

use std::{io, path::PathBuf};

use tale_primitives::Digest;

/// A failure of the store, an artifact or a data set.
///
/// No message holds a secret: stores are named by a URL without credentials.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The URL of the store cannot be used.
    #[error("{url} is not a usable object store: {problem}")]
    StoreUrl {
        /// The URL without credentials and query.
        url: String,
        /// What is wrong with it.
        problem: StoreUrlProblem,
    },
    /// The directory of a local store could not be made or opened.
    #[error("cannot use {} as an object store; check that it is a directory that this user may write", path.display())]
    StoreDirectory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The settings of the store are refused before any request is made.
    #[error("cannot open object store {store}; check the AWS_* variables")]
    StoreSettings {
        /// The store's URL.
        store: String,
        /// Why not.
        #[source]
        source: object_store::Error,
    },
    /// The store refused the credentials or the permission.
    #[error(
        "object store {store} refused to {operation} {key}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY \
         and the bucket's policy, or the directory's owner"
    )]
    AccessDenied {
        /// The store's URL.
        store: String,
        /// What was tried: read, write, delete.
        operation: &'static str,
        /// The object's key.
        key: String,
        /// The store's answer.
        #[source]
        source: object_store::Error,
    },
    /// An object that a reference names is not in the store.
    #[error("object store {store} has no object {key}; check that this is the store in which it was written")]
    MissingObject {
        /// The store's URL.
        store: String,
        /// The object's key.
        key: String,
    },
    /// The store failed in another way, after retries.
    #[error("object store {store} failed to {operation} {key}; `tale doctor` checks the store")]
    StoreRequest {
        /// The store's URL.
        store: String,
        /// What was tried: read, write, delete.
        operation: &'static str,
        /// The object's key.
        key: String,
        /// The store's answer.
        #[source]
        source: object_store::Error,
    },
    /// An object has another size than its reference says: it was cut or replaced by others.
    #[error(
        "object {key} in {store} is damaged: {found} bytes instead of {expected}; delete it and repeat what made it"
    )]
    WrongSize {
        /// The store's URL.
        store: String,
        /// The object's key.
        key: String,
        /// The size of the reference.
        expected: u64,
        /// The size in the store.
        found: u64,
    },
    /// An object's bytes are not those that its key promises.
    #[error("object {key} in {store} is damaged: its digest is {found}; delete it and repeat what made it")]
    WrongDigest {
        /// The store's URL.
        store: String,
        /// The object's key, which holds the expected digest.
        key: String,
        /// The digest of the bytes that were read.
        found: Digest,
    },
    /// The store overwrote an object that it was asked to create: it is not safe to share.
    #[error(
        "object store {store} ignores conditional writes (If-None-Match); it needs a release that supports them"
    )]
    UnconditionalStore {
        /// The store's URL.
        store: String,
    },
    /// A local file could not be read or written.
    #[error("cannot {operation} {}", path.display())]
    LocalFile {
        /// What was tried: read, write.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A local file changed while it was read.
    #[error("{} changed while it was read; try again when nothing writes it", path.display())]
    FileChanged {
        /// The file.
        path: PathBuf,
    },
    /// The process is shutting down.
    #[error("the work was stopped by the end of the process")]
    Stopped,
    /// The database failed.
    #[error("the database failed in schema storage")]
    Database(#[from] sqlx::Error),
    /// A row holds what the schema should have made impossible.
    #[error("schema storage holds a {what} that cannot be read: {value}")]
    UnreadableRow {
        /// What the value should be.
        what: &'static str,
        /// The value.
        value: String,
    },
}

/// Why a URL does not name a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlProblem {
    /// It is not a URL at all.
    #[error("expected file:///directory or s3://bucket/prefix ({0})")]
    NotAUrl(url::ParseError),
    /// Its scheme is not supported.
    #[error("scheme {0:?} is not supported, use file or s3")]
    Scheme(String),
    /// It carries a user or a password.
    #[error("credentials do not belong into a URL, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    Credentials,
    /// It carries a query or a fragment.
    #[error("a store's URL has no query and no fragment, settings go into the AWS_* variables")]
    Query,
    /// A `file` URL does not name an absolute directory of this machine.
    #[error("a local store is an absolute directory: file:///directory")]
    NotADirectory,
    /// An `s3` URL names no bucket.
    #[error("the bucket is missing: s3://bucket/prefix")]
    NoBucket,
    /// The prefix holds characters that object keys cannot hold.
    #[error("its prefix cannot be part of an object's key")]
    Prefix,
}
