//! Keys and certificates: the functions of hsl-stdlib 9.4 and 9.5, the classes X509 and X509CRL, and the imports of
//! `.crt` and `.key` files.
//!
//! A key is a resource: `RSAPrivateKey`, `ECPrivateKey` or `ED25519PrivateKey`. What takes longer than a shard may be
//! blocked (everything with an RSA private key, checking a chain of certificates) runs on another thread.

mod ed25519;
mod keys;
mod pki;
mod rsa;
pub mod x509;

#[cfg(test)]
mod tests;

use script::fault::Fault;
use script::native::Native;
use script::value::{Array, Frozen};

pub(crate) use keys::{KeyText, key_of_text, private_key};
pub(crate) use pki::configured_private_key;
pub use pki::{Pki, PkiError};

use crate::library::Family;

pub(crate) static FAMILY: Family = Family {
    natives: NATIVES,
    classes: &[&x509::CLASS, &x509::crl::CLASS],
    absent: &[
        ("pkcs7_sign", CMS_ABSENT),
        ("cms_sign", CMS_ABSENT),
        ("cms_verify", CMS_ABSENT),
        ("cms_encrypt", CMS_ABSENT),
        ("cms_decrypt", CMS_ABSENT),
        ("cms_type", CMS_ABSENT),
    ],
    loaders: &[("crt", load_crt), ("key", load_key)],
    ..Family::EMPTY
};

const CMS_ABSENT: &str = "S/MIME (CMS, PKCS#7) is not available";

static NATIVES: &[Native] = &[
    keys::RSA_PRIVATEKEY,
    keys::EC_PRIVATEKEY,
    keys::ED25519_PRIVATEKEY,
    keys::IS_RSA_PRIVATEKEY,
    keys::IS_EC_PRIVATEKEY,
    keys::IS_ED25519_PRIVATEKEY,
    rsa::RSA_SIGN,
    rsa::RSA_VERIFY,
    ed25519::ED25519_SIGN,
    ed25519::ED25519_VERIFY,
];

/// `import $certificates from "x.crt"`: the certificates of a PEM file as X509 objects, or as resources.
fn load_crt(bytes: &[u8], options: &Array) -> Result<Frozen, Fault> {
    let resource = options.get_str("resource").is_some_and(|value| value.truthy());
    let certificates = x509::Certificate::list_from_text(bytes)
        .ok_or_else(|| Fault::error("the file holds no certificates, or a broken one"))?;
    let freeze = |certificate: x509::Certificate| match resource {
        true => certificate.into_frozen_resource(),
        false => certificate.into_frozen_object(),
    };
    Frozen::list(certificates.into_iter().map(freeze).collect())
}

/// `import $key from "x.key"`: the private key of a PEM file.
fn load_key(bytes: &[u8], _options: &Array) -> Result<Frozen, Fault> {
    let key = mail::keys::PrivateKey::from_pem(bytes).map_err(|error| Fault::error(error.to_string()))?;
    Ok(keys::freeze(key))
}
