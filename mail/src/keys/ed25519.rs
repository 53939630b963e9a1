//! Ed25519 keys (RFC 8032), in PKCS#8 by RFC 8410.

use std::fmt;
use std::sync::Arc;

use ::rsa::pkcs8::der::Decode;
use ::rsa::pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::KeyError;
use super::pem::private_key_block;
use crate::limits::MAX_KEY_BYTES;

const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Bytes of a public key, and of the seed that is the private one.
const KEY_BYTES: usize = 32;

/// An Ed25519 private key. Cloning shares the key.
#[derive(Clone)]
pub struct Ed25519PrivateKey(Arc<Ed25519KeyPair>);

impl Ed25519PrivateKey {
    /// Reads `PRIVATE KEY` (PKCS#8); the first private key of the text counts.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = private_key_block(text)?;
        if block.label == "PRIVATE KEY" { Self::from_pkcs8_der(&block.der) } else { Err(KeyError::WrongKind) }
    }

    /// Reads `PrivateKeyInfo` or `OneAsymmetricKey` of PKCS#8.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLarge);
        }
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        if info.algorithm.oid != ID_ED25519 {
            return Err(KeyError::WrongKind);
        }
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyError::Malformed)?;
        Ok(Self(Arc::new(key)))
    }

    /// Takes the 32 bytes that RFC 8032 calls the private key. 64 bytes, the seed followed by the public key, are
    /// accepted as well, since other libraries write them.
    pub fn from_seed(raw: &[u8]) -> Result<Self, KeyError> {
        let key = match raw.len() {
            KEY_BYTES => Ed25519KeyPair::from_seed_unchecked(raw),
            64 => Ed25519KeyPair::from_seed_and_public_key(&raw[..KEY_BYTES], &raw[KEY_BYTES..]),
            _ => return Err(KeyError::Size),
        };
        key.map(|key| Self(Arc::new(key))).map_err(|_| KeyError::Malformed)
    }

    /// The signature of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.0.sign(message);
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }

    /// The 32 bytes of the public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes")
    }
}

impl fmt::Debug for Ed25519PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519PrivateKey")
    }
}

/// Whether `signature` is one of `message` by the key with these 32 public bytes.
pub fn verify_ed25519(public: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, KeyError> {
    if public.len() != KEY_BYTES {
        return Err(KeyError::Size);
    }
    Ok(UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok())
}
