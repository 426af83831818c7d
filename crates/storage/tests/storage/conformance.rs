//! What every store must do: one suite, run over each kind.

use std::path::PathBuf;

use bytes::Bytes;
use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use tale_storage::{ObjectRef, StorageError, Store};

use crate::{s3_server::S3Server, store_urls::s3_settings};

/// A store under test, and where it keeps an object, so that a test can damage it.
struct Subject {
    store: Store,
    file_of: Box<dyn Fn(&ObjectRef) -> PathBuf>,
}

impl Subject {
    async fn local() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("made/when/missing");
        let store = Store::open(&format!("file://{}", root.display())).unwrap();
        // The closure keeps the directory alive.
        let file_of =
            Box::new(move |object: &ObjectRef| directory.path().join("made/when/missing").join(object.key()));
        Self { store, file_of }
    }

    async fn s3() -> Self {
        let server = S3Server::start().await;
        let store = Store::open_with("s3://tale/some/prefix", &s3_settings(&server)).unwrap();
        let file_of =
            Box::new(move |object: &ObjectRef| server.file_of(&format!("some/prefix/{}", object.key())));
        Self { store, file_of }
    }
}

macro_rules! for_every_store {
    ($($law:ident),+ $(,)?) => {
        mod local {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() { super::$law(super::Subject::local().await).await })+
        }
        mod s3 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() { super::$law(super::Subject::s3().await).await })+
        }
    };
}

for_every_store!(
    what_was_put_is_read_back,
    putting_the_same_bytes_again_is_a_success_that_writes_nothing,
    of_concurrent_writers_exactly_one_creates_the_object,
    an_object_that_is_not_there_is_an_error_that_names_it,
    a_damaged_object_is_never_handed_out,
    a_cut_object_is_never_handed_out,
    a_large_file_goes_and_comes_in_parts,
    a_file_that_is_there_already_is_not_sent_again,
    a_probe_leaves_nothing_behind,
    a_folder_is_listed_by_key_with_a_version_that_changes_with_the_content,
    a_reader_reads_what_it_was_given_and_nothing_else,
    objects_are_found_below_a_prefix,
    what_others_put_is_adopted_under_its_content,
);

async fn what_others_put_is_adopted_under_its_content(subject: Subject) {
    let first = subject.store.put(Bytes::from("first")).await.unwrap();
    let key = first.key();
    let adopted = subject.store.adopt(&key).await.unwrap();
    assert_eq!(adopted.object, first);
    assert_eq!(std::fs::read(adopted.path()).unwrap(), b"first");

    // somebody else's key may change; what was adopted stays
    std::fs::write((subject.file_of)(&first), "second").unwrap();
    let changed = subject.store.adopt(&key).await.unwrap();
    assert_eq!(changed.object, ObjectRef::of(b"second"));
    assert_eq!(subject.store.get(&changed.object).await.unwrap(), "second");
    let path = changed.path().to_owned();
    drop(changed);
    assert!(!path.exists());
    let missing = subject.store.adopt("nowhere/at/all").await;
    assert!(matches!(missing, Err(StorageError::MissingObject { .. })), "{missing:?}");
}

async fn a_folder_is_listed_by_key_with_a_version_that_changes_with_the_content(subject: Subject) {
    let mut objects = vec![];
    for text in ["first", "second", "third"] {
        objects.push(subject.store.put(Bytes::from(text)).await.unwrap());
    }
    let folder = format!("{}/", objects[0].key().split('/').next().unwrap());
    let mut keys: Vec<(String, u64)> =
        objects.iter().map(|object| (object.key(), object.size_bytes)).collect();
    keys.sort();
    let listed = subject.store.list(&folder, 10).await.unwrap();
    assert_eq!(listed.iter().map(|object| (object.path.clone(), object.size)).collect::<Vec<_>>(), keys);
    assert_eq!(subject.store.list(&folder, 10).await.unwrap(), listed, "nothing has changed");
    assert_eq!(subject.store.list(&folder, 2).await.unwrap().len(), 2);
    assert!(subject.store.list("nowhere/", 10).await.unwrap().is_empty());
    let begins_alike = &folder[..folder.len() - 2];
    assert!(subject.store.list(&format!("{begins_alike}/"), 10).await.unwrap().is_empty());

    std::fs::write((subject.file_of)(&objects[0]), "other content").unwrap();
    let changed = subject.store.list(&folder, 10).await.unwrap();
    for (before, after) in listed.iter().zip(&changed) {
        assert_eq!(before.path, after.path);
        assert_eq!(before.version == after.version, after.path != objects[0].key(), "{before:?} {after:?}");
    }
}

async fn what_was_put_is_read_back(subject: Subject) {
    for bytes in [Bytes::new(), Bytes::from_static(b"tale"), Bytes::from(vec![7; 3 << 20])] {
        let object = subject.store.put(bytes.clone()).await.unwrap();
        assert_eq!(object, ObjectRef::of(&bytes));
        assert_eq!(subject.store.get(&object).await.unwrap(), bytes);
        assert!((subject.file_of)(&object).is_file(), "the key decides the place");
    }
}

async fn putting_the_same_bytes_again_is_a_success_that_writes_nothing(subject: Subject) {
    let bytes = Bytes::from_static(b"once");
    let first = subject.store.put_with_receipt(bytes.clone()).await.unwrap();
    let second = subject.store.put_with_receipt(bytes).await.unwrap();
    assert_eq!(first.object, second.object);
    assert!(first.created && !second.created);
}

async fn of_concurrent_writers_exactly_one_creates_the_object(subject: Subject) {
    let writers = (0..16).map(|_| {
        let store = subject.store.clone();
        tokio::spawn(async move {
            store.put_with_receipt(Bytes::from_static(b"contended")).await.unwrap().created
        })
    });
    let created = futures::future::join_all(writers).await;
    assert_eq!(created.into_iter().filter(|created| *created.as_ref().unwrap()).count(), 1);
}

async fn an_object_that_is_not_there_is_an_error_that_names_it(subject: Subject) {
    let object = ObjectRef::of(b"never written");
    assert!(!subject.store.contains(&object).await.unwrap());
    let directory = tempfile::tempdir().unwrap();
    let fetched = directory.path().join("fetched");
    for error in [
        subject.store.get(&object).await.unwrap_err(),
        subject.store.get_file(&object, &fetched).await.unwrap_err(),
    ] {
        assert!(matches!(error, StorageError::MissingObject { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(&object.key()) && message.contains(subject.store.url()), "{message}");
    }
}

async fn a_damaged_object_is_never_handed_out(subject: Subject) {
    let object = subject.store.put(Bytes::from_static(b"the true bytes")).await.unwrap();
    std::fs::write((subject.file_of)(&object), b"the fake bytes").unwrap();
    let error = subject.store.get(&object).await.unwrap_err();
    assert!(matches!(error, StorageError::WrongDigest { .. }), "{error:?}");
    assert!(error.to_string().contains(&object.key()), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let error = subject.store.get_file(&object, &directory.path().join("fetched")).await.unwrap_err();
    assert!(matches!(error, StorageError::WrongDigest { .. }), "{error:?}");
}

async fn a_cut_object_is_never_handed_out(subject: Subject) {
    let object = subject.store.put(Bytes::from_static(b"the true bytes")).await.unwrap();
    std::fs::write((subject.file_of)(&object), b"the true").unwrap();
    for error in
        [subject.store.get(&object).await.unwrap_err(), subject.store.contains(&object).await.unwrap_err()]
    {
        assert!(matches!(error, StorageError::WrongSize { expected: 14, found: 8, .. }), "{error:?}");
    }
}

async fn a_large_file_goes_and_comes_in_parts(subject: Subject) {
    let directory = tempfile::tempdir().unwrap();
    let (sent, fetched) = (directory.path().join("sent"), directory.path().join("fetched"));
    let bytes: Vec<u8> = (0..5u32 << 20).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&sent, &bytes).unwrap();
    let object = subject.store.put_file(&sent).await.unwrap();
    assert_eq!(object, ObjectRef::of(&bytes));
    subject.store.get_file(&object, &fetched).await.unwrap();
    assert_eq!(ObjectRef::of(&std::fs::read(&fetched).unwrap()), object);
}

async fn a_file_that_is_there_already_is_not_sent_again(subject: Subject) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sent");
    std::fs::write(&path, b"small").unwrap();
    let object = subject.store.put_file(&path).await.unwrap();
    let written = std::fs::metadata((subject.file_of)(&object)).unwrap().modified().unwrap();
    assert_eq!(subject.store.put_file(&path).await.unwrap(), object);
    assert_eq!(std::fs::metadata((subject.file_of)(&object)).unwrap().modified().unwrap(), written);
}

async fn a_probe_leaves_nothing_behind(subject: Subject) {
    subject.store.probe().await.unwrap();
    let object = subject.store.put(Bytes::from_static(b"beside")).await.unwrap();
    let root = (subject.file_of)(&object).ancestors().nth(3).unwrap().to_owned();
    let left = std::fs::read_dir(root.join("probe")).map(Iterator::count).unwrap_or(0);
    assert_eq!(left, 0);
}

async fn a_reader_reads_what_it_was_given_and_nothing_else(subject: Subject) {
    let store = &subject.store;
    let (given, other) =
        (store.put("0123456789".into()).await.unwrap(), store.put("other".into()).await.unwrap());
    let reader = store.reader(&[given.key(), given.key()]);
    let at = |place: &str| object_store::path::Path::from(place);
    for place in ["0", "1"] {
        assert_eq!(reader.head(&at(place)).await.unwrap().size, 10);
        assert_eq!(reader.get_range(&at(place), 2..5).await.unwrap(), "234");
        assert_eq!(reader.get_ranges(&at(place), &[0..1, 8..10]).await.unwrap(), ["0", "89"]);
    }
    for place in ["2", &given.key(), &other.key()] {
        assert!(reader.get(&at(place)).await.is_err(), "{place}");
    }
    assert!(reader.put(&at("0"), "new".into()).await.is_err());
    assert!(reader.delete(&at("0")).await.is_err());
    assert!(reader.copy(&at("0"), &at("9")).await.is_err());
    assert!(reader.list(None).next().await.unwrap().is_err());
    assert_eq!(store.get(&given).await.unwrap(), "0123456789");
}

async fn objects_are_found_below_a_prefix(subject: Subject) {
    let store = &subject.store;
    let mut keys = vec![];
    for text in ["a", "bc", "def"] {
        keys.push(store.put(text.into()).await.unwrap().key());
    }
    keys.sort();
    let found = store.find("sha256/", 10).await.unwrap();
    assert_eq!(found.iter().map(|object| object.key.clone()).collect::<Vec<_>>(), keys);
    assert_eq!(found.iter().map(|object| object.size_bytes).sum::<u64>(), 6);
    assert_eq!(store.find("sha256/", 2).await.unwrap().len(), 2);
    assert!(store.find("nothing/", 10).await.unwrap().is_empty());
}
