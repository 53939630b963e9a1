//! `ed25519_sign` and `ed25519_verify`.

use mail::keys::{Ed25519PrivateKey, PrivateKey, verify_ed25519};
use script::fault::Fault;
use script::native::{Call, Native, NativeRun};
use script::value::Value;

use super::private_key;

/// Bytes of a message that are signed at once: about 100 µs.
const ABOVE_BYTES: usize = 32 * 1024;

pub(super) const ED25519_SIGN: Native = Native {
    name: "ed25519_sign",
    params: "string message, resource or string key",
    doc: "The Ed25519 signature of a message, 64 bytes, or none. A key given as string is the 32 raw bytes.",
    min_args: 2,
    max_args: Some(2),
    run: NativeRun::Sized { above_bytes: ABOVE_BYTES, run: sign },
};

pub(super) const ED25519_VERIFY: Native = Native {
    name: "ed25519_verify",
    params: "string message, string signature, string publickey",
    doc: "Whether an Ed25519 signature is one of the message; none if the key does not have 32 bytes.",
    min_args: 3,
    max_args: Some(3),
    run: NativeRun::Sized { above_bytes: ABOVE_BYTES, run: verify },
};

fn sign(call: &mut Call<'_>) -> Result<Value, Fault> {
    let message = call.bytes(0)?;
    let signature = match (private_key(call.arg(1)), call.arg(1)) {
        (Some(PrivateKey::Ed25519(key)), _) => Some(key.sign(message)),
        (Some(_), _) => None,
        (None, Value::Str(raw)) => Ed25519PrivateKey::from_seed(raw).ok().map(|key| key.sign(message)),
        (None, _) => return Err(call.wrong(1, "an ED25519PrivateKey or a string")),
    };
    Ok(signature.map(|signature| signature.to_vec()).into())
}

fn verify(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (message, signature, key) = (call.bytes(0)?, call.bytes(1)?, call.bytes(2)?);
    Ok(verify_ed25519(key, message, signature).ok().into())
}
