//! What can go wrong between the product and its bytes.

use std::{io, path::PathBuf};

use parquet::errors::ParquetError;
use tale_primitives::{Digest, Name, TaskId};

use crate::DatasetProblem;

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
        source: Box<object_store::Error>,
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
        source: Box<object_store::Error>,
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
        source: Box<object_store::Error>,
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
    /// A task publishes a name a second time.
    #[error("task {task} has published an artifact of that name already")]
    ArtifactExists {
        /// The task.
        task: TaskId,
    },
    /// An artifact's name or media type has not the form that the schema asks for.
    #[error("task {task} has an artifact whose name or media type is not allowed ({constraint})")]
    InvalidArtifact {
        /// The task.
        task: TaskId,
        /// The constraint that refused it.
        constraint: String,
    },
    /// No data set has this name.
    #[error("there is no data set {name}; `tale dataset import FILE.parquet --name {name}` makes one")]
    UnknownDataset {
        /// The name.
        name: Name,
    },
    /// The name stands for other content.
    #[error("data set {name} exists already with other content; choose another name")]
    DatasetExists {
        /// The name.
        name: Name,
    },
    /// A manifest is of another format.
    #[error("the manifest of data set {name} cannot be read ({found}); import the data set again")]
    UnreadableManifest {
        /// The data set.
        name: Name,
        /// What was found.
        found: String,
    },
    /// A file is not a set of labelled images.
    #[error("cannot import {}: {problem}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<DatasetProblem>,
    },
    /// A file is not one of records with these columns.
    #[error("cannot read {}: {problem}", path.display())]
    Records {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<DatasetProblem>,
    },
    /// An object does not hold the split that its reference promises.
    #[error("object {key} in {store} is not a split of images: {problem}")]
    DamagedSplit {
        /// The store's URL.
        store: String,
        /// The object's key.
        key: String,
        /// What is wrong with it.
        problem: Box<DatasetProblem>,
    },
    /// A split could not be decoded.
    #[error("cannot decode split {key} in {store}")]
    DecodeSplit {
        /// The store's URL.
        store: String,
        /// The object's key.
        key: String,
        /// Why not.
        #[source]
        source: ParquetError,
    },
    /// A split could not be written to the temporary directory.
    #[error("cannot write a split to {}; check the free space, TMPDIR chooses another directory", path.display())]
    WriteSplit {
        /// The temporary file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: ParquetError,
    },
    /// A table could not be written to its file.
    #[error("cannot write a table to {}; check that it does not exist yet, and the free space", path.display())]
    TableFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: ParquetError,
    },
    /// Rows were asked for that the split does not have, or out of order.
    #[error("rows must ascend and lie below {rows}, the number of rows of the split; {index} does not")]
    RowIndex {
        /// The first index that breaks the rule.
        index: u32,
        /// How many rows the split has.
        rows: u64,
    },
    /// A data set cannot be divided among so many.
    #[error("data set {name} has {rows} rows to train on, too few for {participants} participants")]
    TooManyParticipants {
        /// The data set.
        name: Name,
        /// Its rows to train on.
        rows: u64,
        /// Among how many they were to be divided.
        participants: usize,
    },
    /// A data set cannot be divided among none.
    #[error("a data set is divided among at least one participant")]
    NoParticipants,
    /// The concentration of the Dirichlet distribution is out of range.
    #[error("alpha must be between 0.001 and 1000000, and is {alpha}")]
    Concentration {
        /// The value that was given.
        alpha: f64,
    },
    /// The process is shutting down, or the caller went away.
    #[error("the work was stopped before its end")]
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

impl StorageError {
    /// The error for a request that the store answered with `source`.
    pub(crate) fn of_request(
        store: String,
        operation: &'static str,
        key: String,
        source: object_store::Error,
    ) -> Self {
        match source {
            object_store::Error::NotFound { .. } if operation == "read" => Self::MissingObject { store, key },
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::AccessDenied { store, operation, key, source: Box::new(source) }
            }
            source => Self::StoreRequest { store, operation, key, source: Box::new(source) },
        }
    }
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
