//! What somebody does with the store: which objects they read, and which they write.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tale_primitives::Digest;

use crate::{ObjectRef, Store};

/// Objects that are remembered; whoever touches more is told so by [`Touches::is_cut`].
const OBJECTS_MAX: usize = 10_000;

/// How an attempt has to do with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectRole {
    /// Its arguments name it.
    Argument,
    /// It read it.
    Read,
    /// It wrote it.
    Written,
}

/// An object that was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// How.
    pub role: ObjectRole,
    /// Its digest; `None` for what is found by its place alone.
    pub digest: Option<Digest>,
    /// The data set whose manifest it is, or the path of what has no digest.
    pub name: Option<String>,
    /// How many bytes it has, where that is known.
    pub size_bytes: Option<u64>,
}

/// Everything that was touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touches {
    /// The objects, in a fixed order.
    pub objects: Vec<Touched>,
    /// Whether there were more.
    pub is_cut: bool,
}

/// Remembers what is done through the stores that [`Store::observed`] gives; clones share the memory.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// With the name, where the object has one.
    objects: BTreeMap<(ObjectRole, Digest), (Option<String>, u64)>,
    places: BTreeSet<String>,
    is_cut: bool,
}

impl Store {
    /// The same store, whose reads and writes are remembered in `traffic`.
    #[must_use]
    pub fn observed(&self, traffic: &Traffic) -> Self {
        let mut observed = self.clone();
        observed.traffic = Some(traffic.clone());
        observed
    }

    /// Remembers an object, where somebody wants to know.
    pub(crate) fn note(&self, role: ObjectRole, object: &ObjectRef, name: Option<&str>) {
        if let Some(traffic) = &self.traffic {
            traffic.note(role, object, name);
        }
    }

    /// Remembers objects that are read by their keys, where somebody wants to know.
    pub(crate) fn note_keys(&self, keys: &[String]) {
        let Some(traffic) = &self.traffic else { return };
        for key in keys {
            match digest_of(key) {
                Some(digest) => traffic.note(ObjectRole::Read, &ObjectRef { digest, size_bytes: 0 }, None),
                None => traffic.note_place(key),
            }
        }
    }
}

/// The digest in the key of a content-addressed object.
fn digest_of(key: &str) -> Option<Digest> {
    let digest: Digest = key.rsplit('/').next()?.parse().ok()?;
    (key == ObjectRef { digest, size_bytes: 0 }.key()).then_some(digest)
}

impl Traffic {
    /// Remembers an object that the arguments name.
    pub fn note_argument(&self, object: &ObjectRef) {
        self.note(ObjectRole::Argument, object, None);
    }

    /// Whether nothing was read or written.
    pub fn is_quiet(&self) -> bool {
        let seen = self.lock();
        seen.objects.is_empty() && seen.places.is_empty()
    }

    /// What was touched until now.
    pub fn touches(&self) -> Touches {
        let seen = self.lock();
        let objects = seen.objects.iter().map(|((role, digest), (name, size_bytes))| Touched {
            role: *role,
            digest: Some(*digest),
            name: name.clone(),
            size_bytes: (*size_bytes > 0).then_some(*size_bytes),
        });
        let places = seen.places.iter().map(|place| Touched {
            role: ObjectRole::Read,
            digest: None,
            name: Some(place.clone()),
            size_bytes: None,
        });
        Touches { objects: objects.chain(places).collect(), is_cut: seen.is_cut }
    }

    fn note(&self, role: ObjectRole, object: &ObjectRef, name: Option<&str>) {
        let mut seen = self.lock();
        // reading back what one has written oneself makes it no input
        if role == ObjectRole::Read && seen.objects.contains_key(&(ObjectRole::Written, object.digest)) {
            return;
        }
        if seen.is_full() && !seen.objects.contains_key(&(role, object.digest)) {
            seen.is_cut = true;
            return;
        }
        let (known_as, size_bytes) = seen.objects.entry((role, object.digest)).or_default();
        *size_bytes = (*size_bytes).max(object.size_bytes);
        if let Some(name) = name {
            *known_as = Some(name.to_owned());
        }
    }

    fn note_place(&self, place: &str) {
        let mut seen = self.lock();
        if seen.is_full() && !seen.places.contains(place) {
            seen.is_cut = true;
            return;
        }
        seen.places.insert(place.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // no code panics while it holds the lock
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn is_full(&self) -> bool {
        self.objects.len() + self.places.len() >= OBJECTS_MAX
    }
}
