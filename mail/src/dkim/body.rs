//! The hash of a body, the `bh=` tag.

use std::fmt;

use aws_lc_rs::digest::{self, Context};

use super::Canonicalization;
use super::canonical::BodyCanonicalizer;
use crate::keys::Hash;

/// Canonical bytes are gathered up to this many before they are hashed.
const BUFFER_BYTES: usize = 4096;

/// Hashes a body that arrives in pieces.
pub struct BodyHasher {
    canonicalizer: BodyCanonicalizer,
    sink: Sink,
}

/// What came out of hashing a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyHash {
    /// The hash of the canonical body, or of the first bytes of it.
    pub digest: Vec<u8>,
    /// Bytes of the whole canonical body, hashed or not.
    pub canonical_bytes: u64,
}

struct Sink {
    context: Context,
    buffer: Vec<u8>,
    /// Bytes that still count.
    remaining: u64,
    canonical_bytes: u64,
}

impl BodyHasher {
    /// Starts with no bytes. `limit` is the `l=` tag: how many canonical bytes are hashed. MD5 is no hash of DKIM;
    /// SHA-256 stands in for it.
    pub fn new(canonicalization: Canonicalization, hash: Hash, limit: Option<u64>) -> Self {
        let algorithm = match hash {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha512 => &digest::SHA512,
            Hash::Sha256 | Hash::Md5 => &digest::SHA256,
        };
        let sink = Sink {
            context: Context::new(algorithm),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            remaining: limit.unwrap_or(u64::MAX),
            canonical_bytes: 0,
        };
        Self { canonicalizer: BodyCanonicalizer::new(canonicalization), sink }
    }

    /// Takes the next piece of the body; pieces may be cut anywhere.
    pub fn update(&mut self, piece: &[u8]) {
        let sink = &mut self.sink;
        self.canonicalizer.update(piece, &mut |bytes| sink.write(bytes));
    }

    /// Ends the body.
    pub fn finish(mut self) -> BodyHash {
        let sink = &mut self.sink;
        self.canonicalizer.finish(&mut |bytes| sink.write(bytes));
        sink.flush();
        BodyHash {
            digest: self.sink.context.finish().as_ref().to_vec(),
            canonical_bytes: self.sink.canonical_bytes,
        }
    }
}

impl fmt::Debug for BodyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyHasher({} bytes)", self.sink.canonical_bytes)
    }
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) {
        self.canonical_bytes += bytes.len() as u64;
        let counted = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
        self.remaining -= counted as u64;
        if self.buffer.len() + counted > BUFFER_BYTES {
            self.flush();
        }
        if counted > BUFFER_BYTES {
            self.context.update(&bytes[..counted]);
        } else {
            self.buffer.extend_from_slice(&bytes[..counted]);
        }
    }

    fn flush(&mut self) {
        self.context.update(&self.buffer);
        self.buffer.clear();
    }
}
