//! Elliptic curve keys: read, checked and carried for those who need one (TLS, CMS).

use std::fmt;
use std::sync::Arc;

use ::rsa::pkcs8::der::Decode;
use ::rsa::pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm,
};

use super::KeyError;
use super::pem::private_key_block;
use crate::limits::MAX_KEY_BYTES;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// The curves that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256, also called prime256v1.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    fn algorithm(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }
}

/// An elliptic curve private key. Cloning shares the key.
#[derive(Clone)]
pub struct EcPrivateKey(Arc<Private>);

struct Private {
    curve: Curve,
    der: Vec<u8>,
}

impl EcPrivateKey {
    /// Reads `EC PRIVATE KEY` (RFC 5915) or `PRIVATE KEY` (PKCS#8); the first private key of the text counts.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = private_key_block(text)?;
        match block.label {
            "EC PRIVATE KEY" => Self::read(block.der),
            "PRIVATE KEY" => {
                let info = PrivateKeyInfoRef::from_der(&block.der).map_err(|_| KeyError::Malformed)?;
                if info.algorithm.oid != EC_PUBLIC_KEY {
                    return Err(KeyError::WrongKind);
                }
                Self::read(block.der)
            }
            _ => Err(KeyError::WrongKind),
        }
    }

    /// The curve of the key.
    pub fn curve(&self) -> Curve {
        self.0.curve
    }

    /// The key as it was read: `ECPrivateKey` of RFC 5915, or PKCS#8.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    fn read(der: Vec<u8>) -> Result<Self, KeyError> {
        if der.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLarge);
        }
        let fits = |curve: &Curve| EcdsaKeyPair::from_private_key_der(curve.algorithm(), &der).is_ok();
        let curve = Curve::ALL.into_iter().find(fits).ok_or(KeyError::Malformed)?;
        Ok(Self(Arc::new(Private { curve, der })))
    }
}

impl fmt::Debug for EcPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcPrivateKey({:?})", self.0.curve)
    }
}
