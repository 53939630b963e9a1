//! Private and public keys: reading them, signing and verifying.
//!
//! RSA is PKCS#1 v1.5 as DKIM, ARC and the script functions use it. aws-lc does the work where it can; what it
//! refuses (keys below 2048 bits, MD5 and SHA-1 signatures) goes to the crate `rsa`. Nothing here reads a file or
//! a clock; both libraries draw the randomness of RSA blinding from the system, which does not show in the result.
//!
//! ```
//! use mail::keys::{Ed25519PrivateKey, verify_ed25519};
//!
//! let key = Ed25519PrivateKey::from_seed(&[7; 32])?;
//! let signature = key.sign(b"message");
//! assert!(verify_ed25519(&key.public_key(), b"message", &signature)?);
//! # Ok::<(), mail::keys::KeyError>(())
//! ```

mod ec;
mod ed25519;
mod pem;
mod rsa;

#[cfg(test)]
mod tests;

use std::fmt;

pub use ec::{Curve, EcPrivateKey};
pub use ed25519::{Ed25519PrivateKey, verify_ed25519};
pub use pem::{PemBlock, pem_blocks};
pub use rsa::{Hash, RsaPrivateKey, RsaPublicKey};

/// Why a key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// The text holds no PEM block of a kind that fits.
    NoPem,
    /// The key is encrypted; give it without a passphrase.
    Encrypted,
    /// The structure is broken, or its numbers do not belong together.
    Malformed,
    /// The key is sound but of another kind than asked for.
    WrongKind,
    /// The modulus or curve is outside of what this crate accepts.
    Size,
    /// More bytes than any key has: see [`crate::limits::MAX_KEY_BYTES`].
    TooLarge,
    /// The key is too short for a signature with this hash.
    Signing,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPem => "no PEM block with such a key",
            Self::Encrypted => "the key is encrypted: give it without a passphrase",
            Self::Malformed => "the key is malformed",
            Self::WrongKind => "the key is of another kind",
            Self::Size => "the size of the key is not supported",
            Self::TooLarge => "more bytes than a key can have",
            Self::Signing => "the key is too short for this hash",
        })
    }
}

impl std::error::Error for KeyError {}

/// A private key of any supported kind. Cloning shares the key.
#[derive(Clone, Debug)]
pub enum PrivateKey {
    /// An RSA key.
    Rsa(RsaPrivateKey),
    /// An Ed25519 key.
    Ed25519(Ed25519PrivateKey),
    /// An elliptic curve key: carried, nothing here signs with it.
    Ec(EcPrivateKey),
}

impl PrivateKey {
    /// Reads the first private key of a PEM text, of whatever kind it is.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        match RsaPrivateKey::from_pem(text) {
            Ok(key) => return Ok(Self::Rsa(key)),
            Err(KeyError::WrongKind) => {}
            Err(error) => return Err(error),
        }
        match Ed25519PrivateKey::from_pem(text) {
            Ok(key) => return Ok(Self::Ed25519(key)),
            Err(KeyError::WrongKind) => {}
            Err(error) => return Err(error),
        }
        EcPrivateKey::from_pem(text).map(Self::Ec)
    }
}
