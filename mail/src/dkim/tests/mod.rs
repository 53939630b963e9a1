mod canonical;
mod hostile;
mod sign;
mod vectors;
mod verify;

use super::*;
use crate::keys::{Ed25519PrivateKey, PrivateKey, RsaPrivateKey};

/// A time after all test messages were signed.
const NOW: u64 = 1_800_000_000;

const MESSAGE: &[u8] =
    b"From: joe@example.org\r\nTo: suzie@example.net\r\nSubject: Is dinner ready?\r\n\r\nHi.\r\n";

fn rsa(name: &str) -> PrivateKey {
    let pem: &[u8] = match name {
        "rsa1024" => include_bytes!("../../keys/testdata/rsa1024.pkcs1.pem"),
        "rsa2048" => include_bytes!("../../keys/testdata/rsa2048.pkcs1.pem"),
        other => panic!("no key {other}"),
    };
    PrivateKey::Rsa(RsaPrivateKey::from_pem(pem).unwrap())
}

fn ed25519() -> PrivateKey {
    let pem = include_bytes!("../../keys/testdata/ed25519.pem");
    PrivateKey::Ed25519(Ed25519PrivateKey::from_pem(pem).unwrap())
}

fn options(selector: &str) -> SignOptions {
    let key = if selector == "ed25519" { ed25519() } else { rsa(selector) };
    SignOptions::new(selector, "example.org", key)
}

/// The key record at this name, from the test data.
fn record(query: &str) -> Option<Vec<u8>> {
    let lines = include_str!("../testdata/keys.txt").lines();
    let mut records = lines.filter_map(|line| line.split_once(' '));
    records.find(|(name, _)| *name == query).map(|(_, record)| record.as_bytes().to_vec())
}

/// Verifies a field of a message with the records of the test data.
fn verify(field: &[u8], message: &[u8]) -> Outcome {
    verify_with(field, message, |query| record(query).into_iter().collect())
}

fn verify_with(field: &[u8], message: &[u8], records: impl FnOnce(&str) -> Vec<Vec<u8>>) -> Outcome {
    let mut verifier = match Verifier::new(field, NOW) {
        Ok(verifier) => verifier,
        Err(outcome) => return outcome,
    };
    if let Err(outcome) = verifier.message(message) {
        return outcome;
    }
    let answer = KeyAnswer::Txt(records(&verifier.query()));
    verifier.finish(&answer)
}

/// Signs `message` and puts the field on top.
fn signed(message: &[u8], options: SignOptions) -> (Vec<u8>, Vec<u8>) {
    let field = sign_message(message, &[options], NOW).unwrap().remove(0).into_field();
    let message = [&field, message].concat();
    (field, message)
}

/// The first signature field of a message.
fn signature_fields(message: &[u8]) -> Vec<Vec<u8>> {
    let (header, _) = fields::split_message(message);
    let fields = fields::Fields::parse(header);
    fields.all(b"dkim-signature").iter().map(|field| field.to_vec()).collect()
}

#[test]
fn algorithms_have_their_names() {
    for algorithm in [Algorithm::RsaSha1, Algorithm::RsaSha256, Algorithm::Ed25519Sha256] {
        assert_eq!(Algorithm::from_name(algorithm.name().as_bytes()), Some(algorithm));
    }
    assert_eq!(Algorithm::from_name(b"RSA-SHA256"), None);
}

#[test]
fn base64_is_read_with_white_space_and_without_padding() {
    for text in ["Zm9vYg==", "Zm9vYg", "Zm9\r\n\tvYg = =", "Zm9vYh"] {
        assert_eq!(decode_base64(text.as_bytes()).as_deref(), Some(&b"foob"[..]), "{text}");
    }
    assert_eq!(decode_base64(b"Zm9v*Yg"), None);
    assert_eq!(decode_base64(b"Z"), None);
}
