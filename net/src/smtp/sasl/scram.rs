//! What SCRAM-SHA-256 computes (RFC 5802 section 3, RFC 7677).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A hash, or a key of its size.
pub(super) type Key = [u8; 32];

/// `Hi`: PBKDF2 with HMAC-SHA-256 for one block. Takes two hashes of a block for each iteration.
pub(super) fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Key {
    let keyed = keyed(password);
    let mut step = mac(keyed.clone(), &[salt, &1u32.to_be_bytes()]);
    let mut result = step;
    for _ in 1..iterations {
        step = mac(keyed.clone(), &[&step]);
        xor(&mut result, &step);
    }
    result
}

/// `ClientKey`.
pub(super) fn client_key(salted_password: &Key) -> Key {
    mac(keyed(salted_password), &[b"Client Key"])
}

/// `StoredKey`.
pub(super) fn stored_key(client_key: &Key) -> Key {
    Sha256::digest(client_key).into()
}

/// `ServerKey`.
pub(super) fn server_key(salted_password: &Key) -> Key {
    mac(keyed(salted_password), &[b"Server Key"])
}

/// `ClientSignature` or `ServerSignature`, after the key.
pub(super) fn signature(key: &Key, auth_message: &[u8]) -> Key {
    mac(keyed(key), &[auth_message])
}

/// `ClientProof`, from the client's key and signature.
pub(super) fn proof(client_key: &Key, client_signature: &Key) -> Key {
    let mut proof = *client_key;
    xor(&mut proof, client_signature);
    proof
}

/// Compares without telling by its duration where two differ.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |differing, (one, other)| differing | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differing) == 0
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac(mut keyed: Hmac<Sha256>, parts: &[&[u8]]) -> Key {
    parts.iter().for_each(|part| keyed.update(part));
    keyed.finalize().into_bytes().into()
}

fn xor(target: &mut Key, other: &Key) {
    target.iter_mut().zip(other).for_each(|(target, other)| *target ^= other);
}
