//! Private keys as resources of scripts.

use std::sync::Arc;

use mail::keys::{EcPrivateKey, Ed25519PrivateKey, PrivateKey, RsaPrivateKey};
use script::fault::Fault;
use script::native::{Call, Native, NativeRun};
use script::value::{Frozen, Resource, Value};

/// The kinds of resources, as messages name them.
const RSA: &str = "RSAPrivateKey";
const EC: &str = "ECPrivateKey";
const ED25519: &str = "ED25519PrivateKey";

const PEM: &str = "string pem";

/// Reading an RSA key takes half a millisecond, since its numbers are checked.
pub(super) const RSA_PRIVATEKEY: Native = Native {
    name: "rsa_privatekey",
    params: PEM,
    doc: "An RSA private key from its PEM text (PKCS#1 or PKCS#8, not encrypted), or none.",
    min_args: 1,
    max_args: Some(1),
    run: NativeRun::Sized { above_bytes: 0, run: rsa_privatekey },
};

pub(super) const EC_PRIVATEKEY: Native = Native {
    name: "ec_privatekey",
    params: PEM,
    doc: "A private key on the curve P-256, P-384 or P-521 from its PEM text, or none.",
    min_args: 1,
    max_args: Some(1),
    run: NativeRun::Sized { above_bytes: 0, run: ec_privatekey },
};

pub(super) const ED25519_PRIVATEKEY: Native = Native::inline(
    "ed25519_privatekey",
    PEM,
    (1, Some(1)),
    "An Ed25519 private key from its PEM text (PKCS#8), or none.",
    |call| {
        Ok(Ed25519PrivateKey::from_pem(call.bytes(0)?).ok().map(|key| value(PrivateKey::Ed25519(key))).into())
    },
);

pub(super) const IS_RSA_PRIVATEKEY: Native = Native::inline(
    "is_rsa_privatekey",
    "any value",
    (1, Some(1)),
    "Whether the value is an RSA private key.",
    |call| Ok(is_kind(call, RSA)),
);

pub(super) const IS_EC_PRIVATEKEY: Native = Native::inline(
    "is_ec_privatekey",
    "any value",
    (1, Some(1)),
    "Whether the value is a private key on an elliptic curve.",
    |call| Ok(is_kind(call, EC)),
);

pub(super) const IS_ED25519_PRIVATEKEY: Native = Native::inline(
    "is_ed25519_privatekey",
    "any value",
    (1, Some(1)),
    "Whether the value is an Ed25519 private key.",
    |call| Ok(is_kind(call, ED25519)),
);

fn rsa_privatekey(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(RsaPrivateKey::from_pem(call.bytes(0)?).ok().map(|key| value(PrivateKey::Rsa(key))).into())
}

fn ec_privatekey(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(EcPrivateKey::from_pem(call.bytes(0)?).ok().map(|key| value(PrivateKey::Ec(key))).into())
}

fn is_kind(call: &Call<'_>, kind: &str) -> Value {
    call.arg(0).as_resource().is_some_and(|resource| resource.kind() == kind).into()
}

fn kind(key: &PrivateKey) -> &'static str {
    match key {
        PrivateKey::Rsa(_) => RSA,
        PrivateKey::Ec(_) => EC,
        PrivateKey::Ed25519(_) => ED25519,
    }
}

/// A key as a value of a script.
pub(super) fn value(key: PrivateKey) -> Value {
    Value::Resource(Resource::new(kind(&key), Arc::new(key)))
}

/// A key as a value that threads share.
pub(super) fn freeze(key: PrivateKey) -> Frozen {
    Frozen::Resource(kind(&key), Arc::new(key))
}

/// The key behind a value, if it is one.
pub(crate) fn private_key(value: &Value) -> Option<&PrivateKey> {
    value.as_resource()?.get()
}

/// How a text that stands for a key is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyText {
    /// PEM.
    Pem,
    /// The DER of `RSAPrivateKey`, PKCS#1.
    RsaPrivateKey,
    /// The DER of `PrivateKeyInfo`, PKCS#8.
    PrivateKeyInfo,
}

/// The private key that a text stands for.
pub(crate) fn key_of_text(text: &[u8], form: KeyText) -> Option<PrivateKey> {
    match form {
        KeyText::Pem => PrivateKey::from_pem(text).ok(),
        KeyText::RsaPrivateKey => RsaPrivateKey::from_pkcs1_der(text).ok().map(PrivateKey::Rsa),
        KeyText::PrivateKeyInfo => RsaPrivateKey::from_pkcs8_der(text).ok().map(PrivateKey::Rsa),
    }
}
