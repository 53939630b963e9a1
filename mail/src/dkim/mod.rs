//! DKIM signatures (RFC 6376, with RFC 8301 and Ed25519 of RFC 8463) and the ARC-Message-Signature of RFC 8617.
//!
//! Bytes in, bytes out: keys, time and DNS answers are arguments. Lines may end in CRLF or in LF alone; both count
//! as the CRLF that goes over the wire.
//!
//! ```
//! use mail::dkim::{KeyAnswer, SignOptions, Verdict, Verifier, sign_message};
//! use mail::keys::{Ed25519PrivateKey, PrivateKey};
//!
//! let key = Ed25519PrivateKey::from_seed(&[7; 32])?;
//! let record = format!("k=ed25519; p={}", data_encoding::BASE64.encode(&key.public_key()));
//! let message = b"From: joe@example.org\r\n\r\nHello\r\n";
//! let options = SignOptions::new("sel", "example.org", PrivateKey::Ed25519(key));
//! let signature = sign_message(message, &[options], 0)?.remove(0).into_field();
//!
//! let mut verifier = Verifier::new(&signature, 0).expect("well-formed");
//! assert_eq!(verifier.query(), "sel._domainkey.example.org");
//! verifier.message(message).expect("the body is what was signed");
//! assert_eq!(verifier.finish(&KeyAnswer::Txt(vec![record.into_bytes()])).verdict, Verdict::Pass);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod canonical;
mod fields;
mod record;
mod sign;
mod signature;
mod verify;

#[cfg(test)]
mod tests;

use std::fmt;

pub use body::{BodyHash, BodyHasher};
pub use canonical::Canonicalization;
pub use record::{KeyRecord, RecordError};
pub use sign::{ArcInstance, DEFAULT_HEADERS, SignError, SignOptions, SignedField, Signer, sign_message};
pub use signature::{Signature, SignatureError, SignatureKind};
pub use verify::{KeyAnswer, Outcome, Verdict, Verifier, VerifyError};

use crate::keys::Hash;

/// The algorithm of a signature, the `a=` tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `rsa-sha1`. RFC 8301 forbids it; a verifier here refuses it.
    RsaSha1,
    /// `rsa-sha256`.
    RsaSha256,
    /// `ed25519-sha256` of RFC 8463.
    Ed25519Sha256,
}

impl Algorithm {
    /// The algorithm with this name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"rsa-sha1" => Some(Self::RsaSha1),
            b"rsa-sha256" => Some(Self::RsaSha256),
            b"ed25519-sha256" => Some(Self::Ed25519Sha256),
            _ => None,
        }
    }

    /// Its name in the `a=` tag.
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaSha1 => "rsa-sha1",
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// The hash of the body and of what is signed.
    pub fn hash(self) -> Hash {
        match self {
            Self::RsaSha1 => Hash::Sha1,
            Self::RsaSha256 | Self::Ed25519Sha256 => Hash::Sha256,
        }
    }

    /// The name of the hash in the `h=` tag of a key record.
    fn hash_name(self) -> &'static [u8] {
        match self {
            Self::RsaSha1 => b"sha1",
            Self::RsaSha256 | Self::Ed25519Sha256 => b"sha256",
        }
    }

    /// The name of the key type in the `k=` tag of a key record.
    fn key_type(self) -> &'static [u8] {
        match self {
            Self::RsaSha1 | Self::RsaSha256 => b"rsa",
            Self::Ed25519Sha256 => b"ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether `name` can stand in `d=` or `s=`: labels of letters, digits, hyphens and underscores, separated by
/// single dots, within the lengths of the DNS.
fn is_domain(name: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split(|&byte| byte == b'.').all(is_label)
}

/// The elements of a colon-separated list, without white space.
fn colon_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b':').map(<[u8]>::trim_ascii)
}

/// Decodes base64 as people write it: white space anywhere, padding or none.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut compact: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    while compact.last() == Some(&b'=') {
        compact.pop();
    }
    let mut spec = data_encoding::BASE64_NOPAD.specification();
    spec.check_trailing_bits = false;
    spec.encoding().ok()?.decode(&compact).ok()
}
