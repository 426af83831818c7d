use std::fmt::{self, Write};

use sha2::{Digest as _, Sha256};
use tale_primitives::{Address, Digest};

/// The digest of many lines: SHA-256 over the SHA-256 of each, in their order.
///
/// Two levels, so that a database can come to the same digest of a million lines without holding their text.
#[derive(Default)]
pub(crate) struct LinesHasher {
    lines: Sha256,
    text: String,
}

impl LinesHasher {
    /// Adds a line, which has no line feed.
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        self.text.clear();
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(line);
        self.lines.update(Sha256::digest(&self.text));
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_bytes(self.lines.finalize().into())
    }
}

/// An address in lower case, without its checksum: as the database writes it too.
pub(crate) fn address_text(address: &Address) -> String {
    let mut text = String::with_capacity(42);
    text.push_str("0x");
    text.push_str(&hex::encode(address.as_bytes()));
    text
}
