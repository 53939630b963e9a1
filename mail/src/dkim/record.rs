//! Key records: the TXT records at `selector._domainkey.domain` (RFC 6376, section 3.6.1).

use std::fmt;

use super::{Algorithm, Signature, colon_list, decode_base64};
use crate::keys::{RsaPublicKey, verify_ed25519};
use crate::limits::MIN_RSA_BITS;
use crate::taglist::{TagList, TagListError};

/// A key record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    key: PublicKey,
    hashes: Option<Vec<Vec<u8>>>,
    /// `t=y`: the domain is testing DKIM; a failure means nothing.
    pub testing: bool,
    /// `t=s`: `i=` must have exactly the domain of `d=`.
    pub strict: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PublicKey {
    Rsa(RsaPublicKey),
    Ed25519([u8; 32]),
}

/// Why a key record does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordError {
    /// The record is no tag list.
    Tags(TagListError),
    /// `v=` is not DKIM1.
    Version,
    /// `k=` names a key type that is not known.
    KeyType,
    /// `p=` is missing.
    NoKey,
    /// `p=` is empty: the key was revoked.
    Revoked,
    /// `p=` is no public key.
    InvalidKey,
    /// The key is shorter than 1024 bits.
    TooShort,
    /// `s=` does not allow electronic mail.
    Service,
    /// The key is of another type than the signature.
    OtherKeyType,
    /// `h=` does not allow the hash of the signature.
    HashNotAllowed,
    /// `t=s`, but the domain of `i=` is below that of `d=`.
    Subdomain,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tags(error) => return write!(f, "the key record is invalid: {error}"),
            Self::Version => "the key record has an unsupported version",
            Self::KeyType => "the key record has an unsupported key type",
            Self::NoKey => "the key record has no public key",
            Self::Revoked => "the key was revoked",
            Self::InvalidKey => "the public key is invalid",
            Self::TooShort => "the public key is too short",
            Self::Service => "the key is not meant for email",
            Self::OtherKeyType => "the key is of another type than the signature",
            Self::HashNotAllowed => "the key does not allow this hash",
            Self::Subdomain => "the key does not allow the subdomain of tag i",
        }
        .fmt(f)
    }
}

impl std::error::Error for RecordError {}

impl KeyRecord {
    /// Reads the text of a TXT record, its strings concatenated.
    pub fn parse(text: &[u8]) -> Result<Self, RecordError> {
        let tags = TagList::parse(text).map_err(RecordError::Tags)?;
        if tags.get("v").is_some_and(|version| version != b"DKIM1") {
            return Err(RecordError::Version);
        }
        let services = tags.get("s").unwrap_or(b"*");
        if !colon_list(services).any(|service| service == b"*" || service == b"email") {
            return Err(RecordError::Service);
        }
        let has_flag =
            |flag: &[u8]| tags.get("t").is_some_and(|flags| colon_list(flags).any(|one| one == flag));
        Ok(Self {
            key: public_key(&tags)?,
            hashes: tags.get("h").map(|hashes| colon_list(hashes).map(<[u8]>::to_vec).collect()),
            testing: has_flag(b"y"),
            strict: has_flag(b"s"),
        })
    }

    /// Whether this record may be used for `signature`.
    pub(super) fn allows(&self, signature: &Signature) -> Result<(), RecordError> {
        if signature.algorithm.key_type() != self.key_type() {
            return Err(RecordError::OtherKeyType);
        }
        let hash = signature.algorithm.hash_name();
        if self.hashes.as_ref().is_some_and(|hashes| !hashes.iter().any(|allowed| allowed == hash)) {
            return Err(RecordError::HashNotAllowed);
        }
        if self.strict && signature.identity_domain != signature.domain {
            return Err(RecordError::Subdomain);
        }
        Ok(())
    }

    /// Whether `signature` is one of `input`, the canonical header, by this key.
    pub(super) fn verify(&self, algorithm: Algorithm, input: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            PublicKey::Rsa(key) => key.verify(algorithm.hash(), input, signature),
            // RFC 8463, section 3: Ed25519 signs the SHA-256 hash, it is not the variant that hashes itself.
            PublicKey::Ed25519(key) => {
                verify_ed25519(key, &algorithm.hash().digest(input), signature).unwrap_or(false)
            }
        }
    }

    fn key_type(&self) -> &'static [u8] {
        match self.key {
            PublicKey::Rsa(_) => Algorithm::RsaSha256.key_type(),
            PublicKey::Ed25519(_) => Algorithm::Ed25519Sha256.key_type(),
        }
    }
}

fn public_key(tags: &TagList) -> Result<PublicKey, RecordError> {
    let text = tags.get("p").ok_or(RecordError::NoKey)?;
    let key_type = tags.get("k").unwrap_or(b"rsa");
    if text.is_empty() {
        return Err(RecordError::Revoked);
    }
    let bytes = decode_base64(text).ok_or(RecordError::InvalidKey)?;
    match key_type {
        b"ed25519" => bytes.try_into().map(PublicKey::Ed25519).map_err(|_| RecordError::InvalidKey),
        b"rsa" => rsa_key(&bytes).map(PublicKey::Rsa),
        _ => Err(RecordError::KeyType),
    }
}

/// RFC 6376 asks for RSAPublicKey, everybody publishes SubjectPublicKeyInfo; erratum 3017 has both.
fn rsa_key(der: &[u8]) -> Result<RsaPublicKey, RecordError> {
    use crate::keys::KeyError;

    let key = RsaPublicKey::from_spki_der(der).or_else(|error| match error {
        KeyError::Size => Err(error),
        _ => RsaPublicKey::from_pkcs1_der(der),
    });
    match key {
        Ok(key) if key.bits() >= MIN_RSA_BITS => Ok(key),
        Ok(_) | Err(KeyError::Size) => Err(RecordError::TooShort),
        Err(_) => Err(RecordError::InvalidKey),
    }
}
