//! An archive in memory.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use tale_primitives::Digest;
use tale_queue::{Archive, ArchiveRefusal, Kept};

#[derive(Default)]
pub struct Memory {
    objects: Mutex<HashMap<Digest, Vec<u8>>>,
    /// Whether it refuses what it is given.
    pub is_full: AtomicBool,
}

impl Memory {
    pub fn count(&self) -> usize {
        self.objects.lock().unwrap().len()
    }
}

#[async_trait]
impl Archive for Memory {
    async fn keep(&self, bytes: Vec<u8>) -> Result<Kept, ArchiveRefusal> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err("the disk is full".into());
        }
        let kept = Kept { digest: Digest::of(&bytes), size_bytes: bytes.len() as u64 };
        self.objects.lock().unwrap().insert(kept.digest, bytes);
        Ok(kept)
    }

    async fn fetch(&self, kept: &Kept) -> Result<Vec<u8>, ArchiveRefusal> {
        self.objects
            .lock()
            .unwrap()
            .get(&kept.digest)
            .cloned()
            .ok_or_else(|| "there is no such object".into())
    }
}
