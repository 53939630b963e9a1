//! The keys and certificates of the configuration (`pki`), which scripts name by their id.

use std::collections::HashMap;
use std::fmt;

use mail::keys::{KeyError, PrivateKey, RsaPublicKey};
use script::host::Host;
use script::value::Value;

use super::x509::Certificate;
use crate::ScriptHost;

/// Keys and certificates by id. The embedding program reads the files and puts the PEM texts in.
#[derive(Debug, Default)]
pub struct Pki {
    private: HashMap<String, PrivateEntry>,
    public: HashMap<String, PublicEntry>,
}

#[derive(Debug)]
struct PrivateEntry {
    key: Option<PrivateKey>,
    chain: Vec<Certificate>,
    /// Certificates and key as they were given, for TLS.
    text: Vec<u8>,
}

#[derive(Debug)]
enum PublicEntry {
    Key(RsaPublicKey),
    Chain(Vec<Certificate>),
}

/// Why an entry was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PkiError {
    /// The key.
    Key(KeyError),
    /// The certificate is none, or broken.
    Certificate,
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => error.fmt(f),
            Self::Certificate => f.write_str("the text holds no certificate, or a broken one"),
        }
    }
}

impl std::error::Error for PkiError {}

impl Pki {
    /// An entry of `pki.private`: the PEM texts of a private key and of a chain of certificates, leaf first.
    pub fn add_private(
        &mut self,
        id: &str,
        key: Option<&[u8]>,
        certificate: Option<&[u8]>,
    ) -> Result<(), PkiError> {
        let text = [certificate.unwrap_or_default(), b"\n", key.unwrap_or_default()].concat();
        let key = key.map(PrivateKey::from_pem).transpose().map_err(PkiError::Key)?;
        let chain = certificate.map_or(Ok(Vec::new()), chain)?;
        self.private.insert(id.to_owned(), PrivateEntry { key, chain, text });
        Ok(())
    }

    /// An entry of `pki.public` with a certificate.
    pub fn add_certificate(&mut self, id: &str, certificate: &[u8]) -> Result<(), PkiError> {
        self.public.insert(id.to_owned(), PublicEntry::Chain(chain(certificate)?));
        Ok(())
    }

    /// An entry of `pki.public` with an RSA public key.
    pub fn add_public_key(&mut self, id: &str, key: &[u8]) -> Result<(), PkiError> {
        let key = RsaPublicKey::from_pem(key).map_err(PkiError::Key)?;
        self.public.insert(id.to_owned(), PublicEntry::Key(key));
        Ok(())
    }

    /// The private key of this id; `pki:` may stand before it.
    pub fn private_key(&self, id: &[u8]) -> Option<&PrivateKey> {
        self.private.get(plain(id)?)?.key.as_ref()
    }

    /// The PEM texts of this id: certificates, then the private key.
    pub(crate) fn identity(&self, id: &[u8]) -> Option<&[u8]> {
        Some(&self.private.get(plain(id)?)?.text)
    }

    /// The RSA public key of this id: a public one, or that of a private entry.
    pub(crate) fn rsa_public_key(&self, id: &[u8]) -> Option<RsaPublicKey> {
        let id = plain(id)?;
        match self.public.get(id) {
            Some(PublicEntry::Key(key)) => return Some(key.clone()),
            Some(PublicEntry::Chain(chain)) => return chain.first()?.rsa_public_key(),
            None => {}
        }
        let entry = self.private.get(id)?;
        match &entry.key {
            Some(PrivateKey::Rsa(key)) => RsaPublicKey::from_pkcs1_der(&key.public_pkcs1_der()).ok(),
            Some(_) => None,
            None => entry.chain.first()?.rsa_public_key(),
        }
    }
}

fn chain(text: &[u8]) -> Result<Vec<Certificate>, PkiError> {
    Certificate::list_from_text(text).ok_or(PkiError::Certificate)
}

fn plain(id: &[u8]) -> Option<&str> {
    std::str::from_utf8(id.strip_prefix(b"pki:").unwrap_or(id)).ok()
}

/// The private key that the configuration has under this id, as a value.
pub(super) fn configured_key(host: &mut dyn Host, id: &[u8]) -> Option<Value> {
    configured_private_key(host, id).map(super::keys::value)
}

/// The private key that the configuration has under this id.
pub(crate) fn configured_private_key(host: &mut dyn Host, id: &[u8]) -> Option<PrivateKey> {
    ScriptHost::of(host)?.execution.environment.settings.pki.private_key(id).cloned()
}

/// The public key that the configuration has under this id, as the DER of PKCS#1.
pub(super) fn configured_public_key(host: &mut dyn Host, id: &[u8]) -> Option<Value> {
    let key = ScriptHost::of(host)?.execution.environment.settings.pki.rsa_public_key(id)?;
    Some(key.pkcs1_der().into())
}
