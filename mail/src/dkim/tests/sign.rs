//! What a signature looks like, and that it verifies.

use super::*;

fn tags(field: &[u8]) -> crate::taglist::TagList {
    let value = field.iter().position(|&byte| byte == b':').unwrap() + 1;
    crate::taglist::TagList::parse(&field[value..]).unwrap()
}

fn tag(field: &[u8], name: &str) -> String {
    let value = tags(field).get(name).unwrap_or_else(|| panic!("no tag {name}")).to_vec();
    String::from_utf8(value).unwrap().replace(['\t', ' '], "")
}

#[test]
fn every_key_and_canonicalisation_verifies() {
    for selector in ["rsa1024", "rsa2048", "ed25519"] {
        for header in [Canonicalization::Simple, Canonicalization::Relaxed] {
            for body in [Canonicalization::Simple, Canonicalization::Relaxed] {
                let options = SignOptions {
                    header_canonicalization: header,
                    body_canonicalization: body,
                    ..options(selector)
                };
                let (field, message) = signed(MESSAGE, options);
                assert_eq!(tag(&field, "c"), format!("{}/{}", header.name(), body.name()));
                assert_eq!(verify(&field, &message).verdict, Verdict::Pass, "{selector} {header:?} {body:?}");
            }
        }
    }
}

/// RFC 8616, section 5: verifiers that know nothing of other scripts understand A-labels.
#[test]
fn u_labels_are_signed_as_a_labels() {
    let identity = Some("\u{fc}@x.b\u{fc}cher.test".to_owned());
    let options = SignOptions::new("gr\u{fc}n", "b\u{fc}cher.test", ed25519());
    let (field, _) = signed(MESSAGE, SignOptions { identity, ..options });
    assert_eq!(tag(&field, "d"), "xn--bcher-kva.test");
    assert_eq!(tag(&field, "s"), "xn--grn-ioa");
    assert_eq!(tag(&field, "i"), "=C3=BC@x.xn--bcher-kva.test");
}

#[test]
fn relaxed_signatures_survive_refolding() {
    let (field, message) = signed(MESSAGE, options("rsa2048"));
    let refolded =
        String::from_utf8(message).unwrap().replace("Is dinner", " Is\r\n\t dinner").replace("Hi.", "Hi.  ");
    assert_eq!(verify(&field, refolded.as_bytes()).verdict, Verdict::Pass);
}

/// HK32: `h=` lists From twice and is otherwise the present headers of the default set.
#[test]
fn the_default_headers_are_signed_and_from_once_more() {
    let message =
        b"X-Other: 1\r\nsubject: s\r\nFROM: a@example.org\r\nTo: b\r\nList-Unsubscribe-Post: x\r\n\r\n";
    let (field, _) = signed(message, options("ed25519"));
    assert_eq!(tag(&field, "h"), "from:from:subject:to:list-unsubscribe-post");
}

#[test]
fn an_added_from_field_breaks_an_oversigned_message() {
    let (field, message) = signed(MESSAGE, options("ed25519"));
    let attacked = [b"From: mallory@example.com\r\n", message.as_slice()].concat();
    assert_eq!(verify(&field, &attacked).error, Some(VerifyError::Mismatch));
}

#[test]
fn headers_are_listed_as_the_options_say() {
    let message = b"From: a\r\nTo: 1\r\nTo: 2\r\nX: 1\r\nX: 2\r\nSubject: s\r\n\r\n";
    let list = |change: fn(&mut SignOptions)| {
        let mut options = options("ed25519");
        change(&mut options);
        let (field, message) = signed(message, options);
        assert_eq!(verify(&field, &message).verdict, Verdict::Pass);
        tag(&field, "h")
    };
    assert_eq!(list(|_| {}), "from:from:subject:to:to");
    assert_eq!(list(|o| o.headers = Some(vec!["To".into(), "From".into(), "absent".into()])), "to:from:from");
    assert_eq!(list(|o| o.headers = Some(vec!["X".into(), "x".into(), "X".into()])), "x:x:from:from");
    assert_eq!(list(|o| o.additional_headers = vec!["X".into()]), "from:from:subject:to:to:x:x");
    assert_eq!(
        list(|o| o.oversign_headers = vec!["subject".into(), "cc".into()]),
        "from:subject:subject:to:to:cc"
    );
    assert_eq!(list(|o| o.oversign_headers = vec![]), "from:subject:to:to");
    assert_eq!(
        list(|o| {
            o.oversign_headers = vec![];
            o.headers = Some(vec!["subject".into()]);
        }),
        "subject:from"
    );
}

#[test]
fn times_identity_and_length_become_tags() {
    let options = SignOptions {
        timestamp: Some(NOW - 5),
        expiration: Some(NOW + 60),
        identity: Some("joe; x=1@mail.example.org".into()),
        body_length: Some(3),
        ..options("ed25519")
    };
    let (field, message) = signed(MESSAGE, options);
    assert_eq!(tag(&field, "t"), (NOW - 5).to_string());
    assert_eq!(tag(&field, "x"), (NOW + 60).to_string());
    assert_eq!(tag(&field, "i"), "joe=3B=20x=3D1@mail.example.org");
    assert_eq!(tag(&field, "l"), "3");
    let appended = [&message, b"more\r\n".as_slice()].concat();
    assert_eq!(verify(&field, &appended).verdict, Verdict::Pass);
    let changed = String::from_utf8(message).unwrap().replace("Hi.", "Ho.");
    assert_eq!(verify(&field, changed.as_bytes()).error, Some(VerifyError::BodyHash));
}

#[test]
fn a_length_of_zero_signs_no_body() {
    let (field, message) = signed(MESSAGE, SignOptions { body_length: Some(0), ..options("ed25519") });
    assert_eq!(tag(&field, "bh"), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(verify(&field, &[&message, b"any".as_slice()].concat()).verdict, Verdict::Pass);
}

#[test]
fn several_signatures_are_made_in_one_pass() {
    let all =
        [options("rsa2048"), options("ed25519"), SignOptions { body_length: Some(1), ..options("rsa1024") }];
    let fields = sign_message(MESSAGE, &all, NOW).unwrap();
    assert_eq!(fields.len(), 3);
    let fields: Vec<Vec<u8>> = fields.into_iter().map(SignedField::into_field).collect();
    let message = [fields.concat().as_slice(), MESSAGE].concat();
    for field in &fields {
        assert_eq!(verify(field, &message).verdict, Verdict::Pass);
    }
}

#[test]
fn a_body_in_pieces_gives_the_same_signature() {
    let all = [options("rsa2048")];
    let (header, body) = fields::split_message(MESSAGE);
    let mut signer = Signer::new(&all).unwrap();
    body.chunks(1).for_each(|piece| signer.body(piece));
    assert_eq!(signer.finish(header, NOW), sign_message(MESSAGE, &all, NOW));
}

#[test]
fn an_arc_message_signature_has_an_instance_and_no_version() {
    let existing = b"ARC-Message-Signature: i=2; a=rsa-sha256; b=x\r\nARC-Message-Signature: i=1; b=x\r\n";
    let message = [existing, b"DKIM-Signature: v=1; b=y\r\n".as_slice(), MESSAGE].concat();
    let (field, message) =
        signed(&message, SignOptions { arc: Some(ArcInstance::Next), ..options("rsa2048") });
    assert!(field.starts_with(b"ARC-Message-Signature: i=3; a=rsa-sha256;"));
    assert_eq!(tags(&field).get("v"), None);
    assert_eq!(tag(&field, "h"), "from:from:subject:to:dkim-signature");
    assert_eq!(verify(&field, &message).verdict, Verdict::Pass);
    let instance = |number| {
        let options = SignOptions { arc: Some(ArcInstance::Number(number)), ..options("ed25519") };
        sign_message(MESSAGE, &[options], NOW).map(|fields| fields[0].value.starts_with(b"i="))
    };
    assert_eq!(instance(50), Ok(true));
    assert_eq!(instance(51), Err(SignError::Instance));
    assert_eq!(instance(0), Err(SignError::Instance));
}

#[test]
fn lines_of_a_field_are_short() {
    let message: String = (0..200).map(|number| format!("X-Header-Number-{number}: x\r\n")).collect();
    let names = (0..200).map(|number| format!("x-header-number-{number}")).collect();
    let options = SignOptions {
        additional_headers: names,
        identity: Some("joe@example.org".into()),
        timestamp: Some(NOW),
        ..options("rsa2048")
    };
    let (field, message) = signed(format!("{message}{}", "From: a\r\n\r\n").as_bytes(), options);
    for line in String::from_utf8(field.clone()).unwrap().lines() {
        assert!(line.len() <= 78, "{line}");
        assert!(!line.trim().is_empty());
    }
    assert_eq!(verify(&field, &message).verdict, Verdict::Pass);
}

#[test]
fn options_that_make_no_valid_signature_are_refused() {
    let refused = |change: fn(&mut SignOptions)| {
        let mut options = options("ed25519");
        change(&mut options);
        sign_message(MESSAGE, &[options], NOW).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|o| o.selector = "a b".into()), Some(SignError::Selector));
    assert_eq!(refused(|o| o.selector = String::new()), Some(SignError::Selector));
    assert_eq!(refused(|o| o.domain = "example.org; x=1".into()), Some(SignError::Domain));
    assert_eq!(refused(|o| o.domain = "a..b".into()), Some(SignError::Domain));
    assert_eq!(refused(|o| o.algorithm = Algorithm::RsaSha256), Some(SignError::KeyKind));
    assert_eq!(refused(|o| o.identity = Some("joe".into())), Some(SignError::Identity));
    assert_eq!(refused(|o| o.identity = Some("joe@badexample.org".into())), Some(SignError::Identity));
    assert_eq!(refused(|o| o.headers = Some(vec!["a:b".into()])), Some(SignError::HeaderName));
    assert_eq!(refused(|o| o.oversign_headers = vec!["a\r\nb".into()]), Some(SignError::HeaderName));
    assert_eq!(refused(|o| o.body_length = Some(6)), Some(SignError::BodyLength));
    assert_eq!(refused(|o| o.expiration = Some(NOW)), Some(SignError::Expiration));
    let backwards = |o: &mut SignOptions| (o.timestamp, o.expiration) = (Some(NOW + 9), Some(NOW + 8));
    assert_eq!(refused(backwards), Some(SignError::Expiration));
    let many = vec![options("ed25519"); crate::limits::MAX_SIGNATURES + 1];
    assert_eq!(sign_message(MESSAGE, &many, NOW), Err(SignError::TooMany));
}
