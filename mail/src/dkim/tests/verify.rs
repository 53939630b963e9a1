//! The rules of RFC 6376, section 6, and of the key records.

use super::*;

/// A valid field whose tags are changed by `edit` before it is verified.
fn edited(edit: impl Fn(&str) -> String) -> Outcome {
    let (field, message) = signed(MESSAGE, options("ed25519"));
    let field = edit(std::str::from_utf8(&field).unwrap());
    verify(field.as_bytes(), &message)
}

fn error(edit: impl Fn(&str) -> String) -> String {
    let outcome = edited(edit);
    assert_eq!(outcome.verdict, Verdict::PermError);
    outcome.error.unwrap().to_string()
}

#[test]
fn a_field_needs_its_tags() {
    assert_eq!(edited(|field| field.to_owned()).verdict, Verdict::Pass);
    let cases = [
        ("v=1;", "", "missing tag v"),
        ("v=1;", "v=2;", "unsupported value of tag v"),
        ("a=ed25519-sha256", "a=dsa-sha256", "unsupported value of tag a"),
        ("a=ed25519-sha256;", "", "missing tag a"),
        ("c=relaxed/relaxed", "c=relaxed/loose", "unsupported value of tag c"),
        ("d=example.org;", "", "missing tag d"),
        ("d=example.org", "d=", "missing tag d"),
        ("d=example.org", "d=exa mple.org", "invalid value of tag d"),
        ("d=example.org", "d=..", "invalid value of tag d"),
        ("s=ed25519;", "", "missing tag s"),
        ("h=from:from:", "h=", "the From field is not signed"),
        ("h=from:", "h=from::", "invalid value of tag h"),
        ("bh=", "bx=", "missing tag bh"),
        ("bh=", "bh=AA", "invalid value of tag bh"),
        ("\tb=", "\tb2=", "missing tag b"),
        ("\tb=", "\tb=*", "invalid value of tag b"),
        ("v=1;", "v=1; q=http;", "unsupported value of tag q"),
        ("v=1;", "v=1; i=joe@example.com;", "the domain of tag i is not within tag d"),
        ("v=1;", "v=1; i=joe@badexample.org;", "the domain of tag i is not within tag d"),
        ("v=1;", "v=1; i=joe;", "invalid value of tag i"),
        ("v=1;", "v=1; l=x;", "invalid value of tag l"),
        ("v=1;", "v=1; l=-1;", "invalid value of tag l"),
        ("v=1;", "v=1; l=99999999999999999999999999;", "invalid value of tag l"),
        ("v=1;", "v=1; l=99;", "tag l is more than the length of the body"),
        ("v=1;", "v=1; x=1799999999;", "the signature has expired"),
        ("v=1;", "v=1; t=1800000002; x=1800000001;", "invalid value of tag x"),
        ("v=1;", "v=1; t=1e9;", "invalid value of tag t"),
        ("v=1;", "v=1; v=1;", "invalid tag list: the tag at byte 6 occurred before"),
        ("DKIM-Signature:", "Subject:", "not a signature field"),
        ("DKIM-Signature:", "", "not a signature field"),
        ("a=ed25519-sha256", "a=rsa-sha256", "the key is of another type than the signature"),
    ];
    for (from, to, expected) in cases {
        assert_eq!(error(|field| field.replacen(from, to, 1)), expected, "{from} -> {to}");
    }
}

#[test]
fn harmless_tags_change_only_the_signature() {
    for tag in [
        "q=http:dns/txt;",
        "x=1800000000;",
        "i=@sub.EXAMPLE.org;",
        "t=1;",
        "z=From:x|y;",
        "unknown=1;",
        "l=5;",
    ] {
        let found = error(|field| field.replacen("v=1;", &format!("v=1; {tag}"), 1));
        assert_eq!(found, "signature did not verify", "{tag}");
    }
}

/// RFC 8616, section 5. What is signed is the field as it is.
#[test]
fn u_labels_are_asked_for_as_a_labels() {
    let (field, message) = signed(MESSAGE, options("ed25519"));
    let with = "d=B\u{fc}cher.test; s=gr\u{fc}n; i=\u{fc}@x.b\u{fc}cher.test;";
    let field = String::from_utf8(field).unwrap().replacen("d=example.org; s=ed25519;", with, 1);
    let verifier = Verifier::new(field.as_bytes(), NOW).unwrap();
    assert_eq!(verifier.query(), "xn--grn-ioa._domainkey.xn--bcher-kva.test");
    assert_eq!(verifier.signature().identity_domain, "x.xn--bcher-kva.test");
    assert_eq!(verifier.tags().get("d"), Some("B\u{fc}cher.test".as_bytes()));
    let refused =
        |from: &str, to: &str| verify(field.replacen(from, to, 1).as_bytes(), &message).error.unwrap();
    assert_eq!(refused("@x.b", "@x.d"), VerifyError::Signature(SignatureError::Identity));
    assert_eq!(refused("s=gr", "s=g r"), VerifyError::Signature(SignatureError::Invalid("s")));
}

#[test]
fn a_key_whose_name_is_too_long_for_the_dns_is_none() {
    let long = ["x".repeat(60).as_str(); 4].join(".");
    let found = error(|field| field.replacen("s=ed25519", &format!("s={long}"), 1));
    assert_eq!(found, "invalid value of tag s");
}

#[test]
fn rsa_sha1_is_refused() {
    let options = SignOptions { algorithm: Algorithm::RsaSha1, ..options("rsa1024") };
    let (field, message) = signed(MESSAGE, options);
    assert_eq!(verify(&field, &message).error, Some(VerifyError::Sha1));
}

#[test]
fn tags_are_there_whenever_the_field_parsed() {
    let outcome = edited(|field| field.replacen("v=1;", "v=2;", 1));
    assert_eq!(outcome.tags.unwrap().get("d"), Some(&b"example.org"[..]));
    assert_eq!(edited(|field| field.replacen("v=1;", "v=1; v=1;", 1)).tags, None);
    let (field, _) = signed(MESSAGE, options("ed25519"));
    let outcome = verify(&field, b"From: joe@example.org\r\n\r\nother");
    assert_eq!(outcome.error, Some(VerifyError::BodyHash));
    assert!(outcome.tags.is_some());
}

/// HK34, and its companions.
#[test]
fn what_the_dns_says_decides() {
    let (field, message) = signed(MESSAGE, options("rsa2048"));
    let finish = |answer| {
        let mut verifier = Verifier::new(&field, NOW).unwrap();
        verifier.message(&message).unwrap();
        verifier.finish(&answer)
    };
    let outcome = finish(KeyAnswer::TempError("timeout".into()));
    assert_eq!(
        (outcome.verdict, outcome.error),
        (Verdict::TempError, Some(VerifyError::Dns("timeout".into())))
    );
    assert!(outcome.tags.is_some());
    let outcome = finish(KeyAnswer::PermError("NXDOMAIN".into()));
    assert_eq!(outcome.verdict, Verdict::PermError);
    assert_eq!(outcome.error.unwrap().to_string(), "NXDOMAIN");
    let outcome = finish(KeyAnswer::Txt(vec![]));
    assert_eq!(outcome.error.unwrap().to_string(), "no key record at rsa2048._domainkey.example.org");
}

fn with_records(selector: &str, records: &[&str]) -> Outcome {
    let identity = Some("@sub.example.org".to_owned());
    let (field, message) = signed(MESSAGE, SignOptions { identity, ..options(selector) });
    let p = |name: &str| {
        let record = String::from_utf8(record(&format!("{name}._domainkey.example.org")).unwrap()).unwrap();
        record[record.find("p=").unwrap() + 2..].to_owned()
    };
    let fill = |text: &&str| text.replace("RSA", &p("rsa2048")).replace("ED", &p("ed25519")).into_bytes();
    verify_with(&field, &message, |_| records.iter().map(fill).collect())
}

#[test]
fn key_records_follow_their_rules() {
    let cases = [
        ("rsa2048", "p=RSA", "pass"),
        ("rsa2048", "v=DKIM1; h=sha1:sha256; s=email:x; k=rsa; n=notes; p=RSA; t=z;", "pass"),
        ("rsa2048", "p=RSA; v=DKIM1", "the key record is invalid: the v tag is not the first one"),
        ("rsa2048", "v=DKIM2; p=RSA", "the key record has an unsupported version"),
        ("rsa2048", "v=DKIM1; h=sha1; p=RSA", "the key does not allow this hash"),
        ("rsa2048", "v=DKIM1; h=; p=RSA", "the key does not allow this hash"),
        ("rsa2048", "v=DKIM1; s=tlsrpt; p=RSA", "the key is not meant for email"),
        ("rsa2048", "v=DKIM1; k=ed25519; p=ED", "the key is of another type than the signature"),
        ("ed25519", "v=DKIM1; p=RSA", "the key is of another type than the signature"),
        ("rsa2048", "v=DKIM1; k=dsa; p=RSA", "the key record has an unsupported key type"),
        ("rsa2048", "v=DKIM1; p=", "the key was revoked"),
        ("rsa2048", "v=DKIM1", "the key record has no public key"),
        ("rsa2048", "v=DKIM1; p=xyz*", "the public key is invalid"),
        ("rsa2048", "v=DKIM1; p=AAAA", "the public key is invalid"),
        ("ed25519", "v=DKIM1; k=ed25519; p=AAAA", "the public key is invalid"),
        ("rsa2048", "v=DKIM1; t=y:s; p=RSA", "the key does not allow the subdomain of tag i"),
        ("rsa2048", "v=spf1 -all", "the key record has an unsupported version"),
        ("rsa2048", "", "the key record has no public key"),
        // 512 bits
        (
            "rsa2048",
            "p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAM+Nh6RA7hVs4iTWE9KkLmRqSxFNZ6kCDyq4jMnWGfoHXu2kvPrt9ibyoASHjp8GOHnbLhhBSfIxNJtuBqXRin0CAwEAAQ==",
            "the public key is too short",
        ),
    ];
    for (selector, record, expected) in cases {
        let outcome = with_records(selector, &[record]);
        let found = outcome.error.map_or("pass".to_owned(), |error| error.to_string());
        assert_eq!(found, expected, "{record}");
    }
}

#[test]
fn one_of_several_records_may_fit() {
    let pass = |records: &[&str]| with_records("rsa2048", records).verdict == Verdict::Pass;
    assert!(pass(&["nonsense", "v=DKIM1; k=ed25519; p=ED", "p=RSA"]));
    assert!(!pass(&["x", "x", "x", "x", "p=RSA"]));
    let outcome = with_records("rsa2048", &["p=", "x"]);
    assert_eq!(outcome.error, Some(VerifyError::Record(RecordError::Revoked)));
}

#[test]
fn a_testing_domain_is_told() {
    assert!(with_records("rsa2048", &["t=y; p=RSA"]).testing);
    assert!(!with_records("rsa2048", &["p=RSA"]).testing);
    let outcome = with_records("rsa2048", &["t=s:y; p=RSA"]);
    assert_eq!((outcome.verdict, outcome.testing), (Verdict::PermError, true));
}

/// RFC 6376, section 5.4.2: several fields of one name are taken from the bottom up.
#[test]
fn fields_are_taken_from_the_bottom() {
    let message = b"From: a\r\nX: top\r\nX: bottom\r\n\r\n";
    let one = SignOptions { headers: Some(vec!["x".into()]), ..options("ed25519") };
    let (field, message) = signed(message, one);
    let changed = |from, to| String::from_utf8(message.clone()).unwrap().replace(from, to);
    assert_eq!(verify(&field, changed("top", "new").as_bytes()).verdict, Verdict::Pass);
    assert_eq!(verify(&field, changed("bottom", "new").as_bytes()).verdict, Verdict::PermError);
    assert_eq!(verify(&field, &[b"X: 0\r\n", message.as_slice()].concat()).verdict, Verdict::Pass);
}

/// A signature can sign another one, but its own field never counts among those that `h=` names.
#[test]
fn a_signature_of_signatures_leaves_itself_out() {
    let (_, message) = signed(MESSAGE, options("rsa2048"));
    let both = SignOptions { oversign_headers: vec!["dkim-signature".into()], ..options("ed25519") };
    let (field, message) = signed(&message, both);
    assert_eq!(verify(&field, &message).verdict, Verdict::Pass);
}

#[test]
fn white_space_around_the_value_of_b_does_not_count() {
    let options = SignOptions { header_canonicalization: Canonicalization::Simple, ..options("ed25519") };
    let (field, message) = signed(MESSAGE, options);
    let text = String::from_utf8(field).unwrap();
    let spaced = text.replacen("\tb=", "\tb=\r\n\t  ", 1);
    assert_eq!(verify(spaced.as_bytes(), &message).verdict, Verdict::Pass);
    let before = text.replacen("\tb=", "\tb =", 1);
    assert_eq!(verify(before.as_bytes(), &message).verdict, Verdict::PermError);
}
