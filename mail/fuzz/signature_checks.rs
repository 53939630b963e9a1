//! What the fuzz targets of signatures and SPF check, shared with the test that replays their corpora. Uses the public
//! interface only.
#![allow(unreachable_pub, dead_code)] // a module of several programs; each uses its own part

use mail::dkim::{
    BodyHash, BodyHasher, Canonicalization, KeyAnswer, SignOptions, Verdict, Verifier, sign_message,
};
use mail::keys::{Ed25519PrivateKey, Hash, PrivateKey};
use mail::limits::MAX_SPF_QUESTIONS;
use mail::message::Message;
use mail::spf::{Answer, Check, Identity, Step};

const NOW: u64 = 1_800_000_000;

/// A key record and a message, with a NUL between them: each signature of the message has an outcome; the body hash does
/// not depend on how the body is cut; the message can be signed so that it verifies, and not if it is changed.
pub fn dkim(data: &[u8]) {
    let at = data.iter().position(|&byte| byte == 0).unwrap_or(0);
    let (record, message) = (&data[..at], &data[data.len().min(at + 1)..]);
    let parsed = Message::parse(message.to_vec()).expect("it is small");
    for name in [b"dkim-signature".as_slice(), b"arc-message-signature"] {
        for field in parsed.root().fields_named(name) {
            verify(parsed.root().raw_field(field), message, record);
        }
    }
    for canonicalization in [Canonicalization::Simple, Canonicalization::Relaxed] {
        let whole = hash(canonicalization, message, message.len().max(1));
        assert_eq!(hash(canonicalization, message, 1 + at % 7), whole);
    }
    sign(message);
}

fn verify(field: &[u8], message: &[u8], record: &[u8]) -> Verdict {
    let mut verifier = match Verifier::new(field, NOW) {
        Ok(verifier) => verifier,
        Err(outcome) => return outcome.verdict,
    };
    assert!(verifier.query().len() <= 253 * 2 + "._domainkey.".len());
    match verifier.message(message) {
        Ok(()) => verifier.finish(&KeyAnswer::Txt(vec![record.to_vec()])).verdict,
        Err(outcome) => outcome.verdict,
    }
}

fn hash(canonicalization: Canonicalization, body: &[u8], size: usize) -> BodyHash {
    let mut hasher = BodyHasher::new(canonicalization, Hash::Sha256, None);
    body.chunks(size).for_each(|piece| hasher.update(piece));
    hasher.finish()
}

fn sign(message: &[u8]) {
    let key = Ed25519PrivateKey::from_seed(&[7; 32]).expect("any 32 bytes are a key");
    let public = key.public_key().iter().map(|byte| format!("{byte:08b}")).collect::<String>();
    let record = format!("k=ed25519; p={}", base64(&public));
    let options = SignOptions::new("sel", "example.org", PrivateKey::Ed25519(key));
    let field = sign_message(message, &[options], NOW).expect("the options are good").remove(0).into_field();
    let signed = [&field, message].concat();
    assert_eq!(verify(&field, &signed, record.as_bytes()), Verdict::Pass);
    let changed = [&field, b"From: other\r\n".as_slice(), message].concat();
    assert_ne!(verify(&field, &changed, record.as_bytes()), Verdict::Pass);
}

/// Base64 of binary digits, so that the targets need no other crate.
fn base64(bits: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let six = |chunk: &[u8]| {
        let text = format!("{:0<6}", String::from_utf8_lossy(chunk));
        char::from(DIGITS[usize::from_str_radix(&text, 2).expect("six binary digits")])
    };
    bits.as_bytes().chunks(6).map(six).collect()
}

/// Lines that answer the questions of a check one after the other, again from the start when they are used up: there is a
/// result within the number of questions that the limits allow.
pub fn spf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.lines().collect();
    let ip = if data.len().is_multiple_of(2) { "192.0.2.1" } else { "2001:db8::1" };
    let mut check = Check::new(Identity {
        ip: ip.parse().expect("an address"),
        helo: "helo.example".to_owned(),
        sender: "joe@example.org".to_owned(),
        receiver: "mx.example.net".to_owned(),
        now: NOW,
    });
    let mut questions = 0;
    while let Step::Ask(question) = check.step() {
        assert!(question.name.len() <= 253 && questions < MAX_SPF_QUESTIONS);
        check.answer(match lines.get(questions % lines.len().max(1)) {
            None | Some(&"") => Answer::Nothing,
            Some(&"!") => Answer::Temporary,
            Some(line) => Answer::Records(line.split('|').map(str::to_owned).collect()),
        });
        questions += 1;
    }
}
