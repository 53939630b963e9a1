//! Messages that others signed.

use super::*;

/// The messages of `messages.txt`, by name.
fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let text = include_str!("../testdata/messages.txt");
    text.split("\n=== ")
        .skip(1)
        .map(|section| {
            let (name, body) = section.split_once('\n').unwrap();
            (name, unescape(body))
        })
        .collect()
}

/// `\xHH` is a byte, a line end is CRLF.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\n' => out.extend_from_slice(b"\r\n"),
            b'\\' => {
                let hex = std::str::from_utf8(&rest[1..3]).unwrap();
                out.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &rest[3..];
            }
            _ => out.push(byte),
        }
    }
    out
}

#[test]
fn what_others_signed_verifies() {
    let messages = messages();
    assert_eq!(messages.len(), 43);
    for (name, message) in messages {
        for field in signature_fields(&message) {
            let outcome = verify(&field, &message);
            assert_eq!(outcome.verdict, Verdict::Pass, "{name}: {:?}", outcome.error);
        }
    }
}

#[test]
fn what_others_signed_verifies_with_bare_line_feeds() {
    for (name, message) in messages() {
        let message: Vec<u8> = message.into_iter().filter(|&byte| byte != b'\r').collect();
        if name.starts_with("eightbit") {
            continue;
        }
        for field in signature_fields(&message) {
            let outcome = verify(&field, &message);
            assert_eq!(outcome.verdict, Verdict::Pass, "{name}: {:?}", outcome.error);
        }
    }
}

/// Every byte of the signed header, of the body and of the signature field counts, unless it is white space.
#[test]
fn a_changed_byte_breaks_the_signature() {
    let (_, message) =
        messages().into_iter().find(|(name, _)| *name == "plain-simple-simple-ed25519").unwrap();
    for at in 0..message.len() {
        let mut changed = message.clone();
        changed[at] ^= 1;
        let Some(field) = signature_fields(&changed).pop() else { continue };
        let outcome = verify(&field, &changed);
        let harmless = changed[at].is_ascii_whitespace() || message[at].is_ascii_whitespace();
        if !harmless {
            assert_ne!(outcome.verdict, Verdict::Pass, "byte {at}, {:?}", char::from(message[at]));
        }
    }
}
