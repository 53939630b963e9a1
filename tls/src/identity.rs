//! A certificate chain with its key: who we are.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::info::subject;
use crate::limits::{CHAIN_CERTIFICATES, PEM_BYTES};

/// A certificate chain and the private key of its leaf. They fit together.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    /// Subject of the leaf, on one line.
    pub subject: Box<str>,
    /// From when the leaf is valid, in seconds since 1970.
    pub not_before_s: i64,
    /// Until when the leaf is valid, in seconds since 1970.
    pub not_after_s: i64,
}

/// Why texts are no [`Identity`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// What stands for the certificate.
    Certificate(String),
    /// What stands for the key.
    Key(String),
    /// Both can be read, and the key is that of another certificate.
    Mismatch,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityError::Certificate(why) => write!(f, "the certificate cannot be used: {why}"),
            IdentityError::Key(why) => write!(f, "the private key cannot be used: {why}"),
            IdentityError::Mismatch => f.write_str("the private key is not that of the certificate"),
        }
    }
}

impl std::error::Error for IdentityError {}

impl Identity {
    /// From PEM texts: a chain, leaf first, and an unencrypted key in PKCS#8, PKCS#1 or SEC 1 form. What else stands in
    /// the texts is passed over, so that both may be the same.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Identity, IdentityError> {
        let chain = certificates(chain).map_err(IdentityError::Certificate)?;
        let key = private_key(key).map_err(IdentityError::Key)?;
        let key = any_supported_type(&key).map_err(|error| IdentityError::Key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(IdentityError::Mismatch),
            Err(error) => return Err(IdentityError::Certificate(error.to_string())),
        }
        let leaf = &certified.cert[0];
        let validity = match X509Certificate::from_der(leaf) {
            Ok((_, certificate)) => certificate.validity().clone(),
            Err(error) => return Err(IdentityError::Certificate(error.to_string())),
        };
        Ok(Identity {
            subject: subject(leaf).into(),
            not_before_s: validity.not_before.timestamp(),
            not_after_s: validity.not_after.timestamp(),
            certified: Arc::new(certified),
        })
    }
}

/// The certificates of a PEM text: at least one.
///
/// # Errors
/// A sentence about the text.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if pem.len() > PEM_BYTES {
        return Err(format!("it is larger than {PEM_BYTES} bytes"));
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(CHAIN_CERTIFICATES + 1).collect();
    let chain = chain.map_err(|_| "its PEM text is damaged".to_owned())?;
    match chain.len() {
        0 => Err("there is no PEM block CERTIFICATE in it".to_owned()),
        1..=CHAIN_CERTIFICATES => Ok(chain),
        _ => Err(format!("it has more than {CHAIN_CERTIFICATES} certificates")),
    }
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if text.len() > PEM_BYTES {
        return Err(format!("it is larger than {PEM_BYTES} bytes"));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        _ if contains(text, b"ENCRYPTED") => "it is encrypted: store it without a pass phrase".to_owned(),
        pem::Error::NoItemsFound => "there is no PEM block with a private key in it".to_owned(),
        _ => "its PEM text is damaged".to_owned(),
    })
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
