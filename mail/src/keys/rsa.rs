//! RSA keys, signatures by PKCS#1 v1.5 (RFC 8017, section 8.2).

use std::fmt;
use std::sync::{Arc, OnceLock};

use ::rsa::Pkcs1v15Sign;
use ::rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey, RsaPrivateKeyRef, RsaPublicKeyRef};
use ::rsa::pkcs8::der::{Decode, Encode};
use ::rsa::pkcs8::{ObjectIdentifier, PrivateKeyInfoRef, SubjectPublicKeyInfoRef};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::{digest, signature};
use md5::{Digest as _, Md5};

use super::KeyError;
use super::pem::{pem_blocks, private_key_block};
use crate::limits::{MAX_KEY_BYTES, MAX_RSA_BITS, MIN_RSA_BITS};

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The hash of an RSA signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// MD5: broken, for old peers only.
    Md5,
    /// SHA-1: broken, for old peers only.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// The hash of `message`.
    pub fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => Md5::digest(message).to_vec(),
            Self::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message).as_ref().to_vec(),
            Self::Sha256 => digest::digest(&digest::SHA256, message).as_ref().to_vec(),
            Self::Sha512 => digest::digest(&digest::SHA512, message).as_ref().to_vec(),
        }
    }

    /// What stands before the hash in the signed block: the `DigestInfo` of RFC 8017, section 9.2, note 1.
    fn digest_info(self) -> &'static [u8] {
        match self {
            Self::Md5 => b"\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00\x04\x10",
            Self::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
            Self::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
            Self::Sha512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
        }
    }

    fn padding(self) -> Pkcs1v15Sign {
        Pkcs1v15Sign { hash_len: None, prefix: self.digest_info().into() }
    }
}

/// An RSA private key of 1024 to 8192 bits. Cloning shares the key.
#[derive(Clone)]
pub struct RsaPrivateKey(Arc<Private>);

struct Private {
    /// `RSAPrivateKey` of PKCS#1.
    der: Vec<u8>,
    bits: usize,
    /// Absent when aws-lc refuses the key.
    fast: Option<signature::RsaKeyPair>,
    /// Read when first needed, if aws-lc took the key.
    portable: OnceLock<Result<::rsa::PrivateKey, KeyError>>,
}

impl RsaPrivateKey {
    /// Reads `RSA PRIVATE KEY` (PKCS#1) or `PRIVATE KEY` (PKCS#8); the first private key of the text counts.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = private_key_block(text)?;
        match block.label {
            "RSA PRIVATE KEY" => Self::from_pkcs1_der(&block.der),
            "PRIVATE KEY" => Self::from_pkcs8_der(&block.der),
            _ => Err(KeyError::WrongKind),
        }
    }

    /// Reads `PrivateKeyInfo` of PKCS#8.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        check_size(der)?;
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        if info.algorithm.oid != RSA_ENCRYPTION {
            return Err(KeyError::WrongKind);
        }
        Self::from_pkcs1_der(info.private_key.as_bytes())
    }

    /// Reads `RSAPrivateKey` of PKCS#1.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        check_size(der)?;
        let key = RsaPrivateKeyRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        let bits = bits(key.modulus.as_bytes());
        if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            return Err(KeyError::Size);
        }
        let key = Self(Arc::new(Private {
            der: der.to_vec(),
            bits,
            fast: signature::RsaKeyPair::from_der(der).ok(),
            portable: OnceLock::new(),
        }));
        if key.0.fast.is_none() {
            key.portable()?;
        }
        Ok(key)
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        self.0.bits
    }

    /// The key as `RSAPrivateKey` of PKCS#1.
    pub fn pkcs1_der(&self) -> &[u8] {
        &self.0.der
    }

    /// The public half as `RSAPublicKey` of PKCS#1.
    pub fn public_pkcs1_der(&self) -> Vec<u8> {
        RsaPrivateKeyRef::from_der(&self.0.der)
            .and_then(|key| key.public_key().to_der())
            .expect("the constructor has read the same bytes")
    }

    /// Signs the hash of `message`. One to two milliseconds for 2048 bits, ten and more for keys and hashes that
    /// aws-lc refuses: callers on a shard offload it.
    pub fn sign(&self, hash: Hash, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let encoding: &'static dyn signature::RsaEncoding = match hash {
            Hash::Sha256 => &signature::RSA_PKCS1_SHA256,
            Hash::Sha512 => &signature::RSA_PKCS1_SHA512,
            Hash::Md5 | Hash::Sha1 => return self.sign_portable(hash, message),
        };
        let Some(fast) = &self.0.fast else { return self.sign_portable(hash, message) };
        let mut out = vec![0; fast.public_modulus_len()];
        fast.sign(encoding, &SystemRandom::new(), message, &mut out).map_err(|_| KeyError::Signing)?;
        Ok(out)
    }

    fn sign_portable(&self, hash: Hash, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let key = self.portable()?;
        key.sign(hash.padding(), &hash.digest(message)).map_err(|_| KeyError::Signing)
    }

    fn portable(&self) -> Result<&::rsa::PrivateKey, KeyError> {
        let read = || ::rsa::PrivateKey::from_pkcs1_der(&self.0.der).map_err(|_| KeyError::Malformed);
        self.0.portable.get_or_init(read).as_ref().map_err(|&error| error)
    }
}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPrivateKey({} bits)", self.0.bits)
    }
}

/// An RSA public key of 1024 to 8192 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    /// `RSAPublicKey` of PKCS#1.
    der: Vec<u8>,
    bits: usize,
}

impl RsaPublicKey {
    /// Reads `RSAPublicKey` of PKCS#1.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        check_size(der)?;
        let key = RsaPublicKeyRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        let bits = bits(key.modulus.as_bytes());
        if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            return Err(KeyError::Size);
        }
        Ok(Self { der: der.to_vec(), bits })
    }

    /// Reads `SubjectPublicKeyInfo` of RFC 5280.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        check_size(der)?;
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        if info.algorithm.oid != RSA_ENCRYPTION {
            return Err(KeyError::WrongKind);
        }
        Self::from_pkcs1_der(info.subject_public_key.as_bytes().ok_or(KeyError::Malformed)?)
    }

    /// Reads `RSA PUBLIC KEY` (PKCS#1) or `PUBLIC KEY` (RFC 5280).
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_BYTES * 2 {
            return Err(KeyError::TooLarge);
        }
        for block in pem_blocks(text)? {
            match block.label {
                "RSA PUBLIC KEY" => return Self::from_pkcs1_der(&block.der),
                "PUBLIC KEY" => return Self::from_spki_der(&block.der),
                _ => {}
            }
        }
        Err(KeyError::NoPem)
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The key as `RSAPublicKey` of PKCS#1.
    pub fn pkcs1_der(&self) -> &[u8] {
        &self.der
    }

    /// Whether `signature` is one of the hash of `message` by this key.
    pub fn verify(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match hash {
            Hash::Md5 => return self.verify_portable(hash, message, signature),
            Hash::Sha1 => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            Hash::Sha512 => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        };
        signature::UnparsedPublicKey::new(algorithm, &self.der).verify(message, signature).is_ok()
    }

    fn verify_portable(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = ::rsa::PublicKey::from_pkcs1_der(&self.der) else { return false };
        key.verify(hash.padding(), &hash.digest(message), signature).is_ok()
    }
}

fn check_size(der: &[u8]) -> Result<(), KeyError> {
    if der.len() > MAX_KEY_BYTES { Err(KeyError::TooLarge) } else { Ok(()) }
}

/// Bits of an unsigned big-endian number.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    match number.get(zeros) {
        Some(first) => (number.len() - zeros) * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}
