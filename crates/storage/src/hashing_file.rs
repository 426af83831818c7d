use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use sha2::{Digest as _, Sha256};
use tale_primitives::Digest;

use crate::ObjectRef;

/// A new file whose digest is computed while it is written.
pub(crate) struct HashingFile {
    file: File,
    hash: Sha256,
    size_bytes: u64,
}

impl HashingFile {
    /// A file that was not there before.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create_new(path)?, hash: Sha256::new(), size_bytes: 0 })
    }

    /// What was written.
    pub(crate) fn finish(self) -> ObjectRef {
        ObjectRef { digest: Digest::from_bytes(self.hash.finalize().into()), size_bytes: self.size_bytes }
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
