//! Input that wants to hurt.

use proptest::prelude::*;

use super::*;
use crate::limits::MAX_SIGNED_HEADERS;

#[test]
fn many_signed_headers_are_refused() {
    let names = vec!["from"; MAX_SIGNED_HEADERS + 1].join(":");
    let field = format!("DKIM-Signature: v=1; a=rsa-sha256; d=a; s=b; h={names}; bh=x; b=x");
    let outcome = Verifier::new(field.as_bytes(), NOW).unwrap_err();
    assert_eq!(outcome.verdict, Verdict::PermError);
}

/// A header with as many fields as fit into a message must not cost more than its bytes: the work is counted by
/// the size of what is signed.
#[test]
fn many_fields_cost_their_bytes_only() {
    let message = [&b"From: a\r\n".repeat(20_000), b"\r\n".as_slice()].concat();
    let options = SignOptions { headers: Some(vec!["from".into()]), ..options("ed25519") };
    assert_eq!(sign_message(&message, &[options], NOW).err(), Some(SignError::TooMany));
    let options = SignOptions {
        headers: Some(vec!["from".into()]),
        oversign_headers: vec![],
        ..super::options("ed25519")
    };
    let (field, message) = signed(&message, options);
    assert_eq!(verify(&field, &message).verdict, Verdict::Pass);
}

#[test]
fn a_body_of_line_ends_is_an_empty_body() {
    let message = [b"From: a\r\n\r\n".as_slice(), &b"\r\n".repeat(100_000)].concat();
    let (field, message) = signed(&message, options("ed25519"));
    assert_eq!(verify(&field, &message).verdict, Verdict::Pass);
    assert_eq!(verify(&field, b"From: a\r\n\r\n").verdict, Verdict::Pass);
}

#[test]
fn a_message_without_a_body_or_header_is_signed() {
    for message in
        [&b""[..], b"\r\n", b"From: a", b"From: a\r\n", b"no header\r\n\r\nbody", b" x\r\n\r\n", b":\r\n"]
    {
        let (field, message) = signed(message, options("ed25519"));
        assert_eq!(verify(&field, &message).verdict, Verdict::Pass, "{message:?}");
    }
}

fn field_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("DKIM-Signature:".to_owned()),
        Just("ARC-Message-Signature: i=1;".to_owned()),
        Just("v=1;".to_owned()),
        Just(
            "a=rsa-sha256; d=x.org; s=y; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;".to_owned()
        ),
        Just("b=".to_owned()),
        Just("\r\n\t".to_owned()),
        "[a-z]{0,2}=[ -~]{0,6};",
        "[ -~\r\n\t\u{e9}]{0,8}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_field_record_and_message_give_an_outcome(field in field_text(), message: Vec<u8>, record: Vec<u8>) {
        for message in [&message, &[field.as_bytes(), b"\r\n", &message].concat()] {
            let outcome = verify_with(field.as_bytes(), message, |_| vec![record.clone()]);
            prop_assert_ne!(outcome.verdict, Verdict::Pass);
        }
    }

    #[test]
    fn any_message_is_signed_so_that_it_verifies(message: Vec<u8>, names in proptest::collection::vec("[a-z]{1,3}", 0..5)) {
        let options = SignOptions { headers: Some(names.clone()), oversign_headers: names, ..options("ed25519") };
        let (field, message) = signed(&message, options);
        prop_assert_eq!(verify(&field, &message).error, None);
    }
}
