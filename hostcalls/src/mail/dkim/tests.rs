use std::cell::RefCell;

use script::fault::Fault;
use script::host::HostCall;
use script::native::{Native, NativeRun};
use script::value::{Array, Value};

use super::super::{FAMILY, message};
use crate::testing::{World, call, method, plain};

const SOURCE: &str = "From: joe@example.org\r\nTo: suzie@example.net\r\nSubject: Is dinner ready?\r\n\r\nHi.\r\n\r\nWe lost.\r\n";
const RSA: &str = include_str!("../../../../mail/src/keys/testdata/rsa2048.pkcs8.pem");
const ED25519: &str = include_str!("../../../../mail/src/keys/testdata/ed25519.pem");

/// The key record at a name.
fn record(query: &str) -> Option<&'static str> {
    let lines = include_str!("../../../../mail/src/dkim/testdata/keys.txt").lines();
    lines.filter_map(|line| line.split_once(' ')).find(|(name, _)| *name == query).map(|(_, record)| record)
}

fn message(source: &str) -> Value {
    plain(message::MESSAGE.static_function(b"String").unwrap(), &[source.into()]).unwrap()
}

fn options(entries: &[(&str, Value)]) -> Value {
    let mut array = Array::new();
    entries.iter().for_each(|(key, value)| array.set_str(key, value.clone()));
    array.into()
}

fn list(items: &[&str]) -> Value {
    items.iter().map(|item| Value::from(*item)).collect::<Vec<_>>().into()
}

fn text(value: &Value) -> String {
    value.to_text().unwrap().to_string_lossy().into_owned()
}

fn source(object: &Value) -> String {
    text(&method(object, "toString", &[]).unwrap())
}

fn sign(object: &Value, selector: &str, key: &str, entries: &[(&str, Value)]) -> Value {
    let args = [selector.into(), "example.org".into(), key.into(), options(entries)];
    method(object, "signDKIM", &args).unwrap()
}

/// Verifies all signature fields of a source, each with a DNS that knows the records of the test data.
fn verdicts(source: &str) -> Vec<String> {
    let object = message(source);
    let field = options(&[("field", true.into())]);
    let mut verdicts = Vec::new();
    for name in ["DKIM-Signature", "ARC-Message-Signature"] {
        let fields = method(&object, "getHeaders", &[name.into(), field.clone()]).unwrap();
        for field in fields.as_array().unwrap().values() {
            let result = verify(&object, &[field], &mut answer_from_records).unwrap();
            let get = |key| result.as_array().unwrap().get_str(key).map(|value| text(&value));
            verdicts.push(get("error").or(get("result")).unwrap());
        }
    }
    verdicts
}

fn answer_from_records(call: HostCall) -> Result<Value, Fault> {
    assert_eq!(call.function, crate::dns::QUERY);
    assert_eq!(text(&call.args[1]), r#"["type"=>"txt"]"#);
    let mut reply = Array::new();
    match record(&text(&call.args[0])) {
        Some(record) => reply.set_str("result", list(&[record])),
        None => reply.set_str("error", "NXDOMAIN"),
    }
    Ok(reply.into())
}

fn verify(
    object: &Value,
    args: &[Value],
    answer: &mut dyn FnMut(HostCall) -> Result<Value, Fault>,
) -> Result<Value, Fault> {
    let mut world = World { now: 1_800_000_000.0, answer, script: &mut |_| panic!("calls the script") };
    call(&mut world, verify_native(object), object.as_object(), args)
}

fn verify_native(object: &Value) -> &'static Native {
    object.as_object().unwrap().native_class().unwrap().method(b"verifyDKIM").unwrap()
}

/// A function in the place of one of a script: the world answers it.
static LOOKUP: Native = Native {
    name: "lookup",
    params: "string hostname",
    doc: "",
    min_args: 1,
    max_args: Some(1),
    run: NativeRun::Host(0xffff),
};

#[test]
fn a_signed_message_verifies() {
    for (selector, key) in [("rsa2048", RSA), ("ed25519", ED25519)] {
        for canonicalization in ["simple", "relaxed"] {
            let object = message(SOURCE);
            let entries = [
                ("canonicalization_header", Value::from(canonicalization)),
                ("canonicalization_body", canonicalization.into()),
            ];
            let returned = sign(&object, selector, key, &entries);
            assert!(returned.as_object().unwrap().same(object.as_object().unwrap()));
            let signed = source(&object);
            assert!(signed.starts_with("DKIM-Signature: v=1;"), "{signed}");
            assert_eq!(verdicts(&signed), ["pass"], "{selector} {canonicalization}");
        }
    }
}

#[test]
fn the_changes_are_signed_and_the_original_is_verified() {
    let object = message(SOURCE);
    method(&object, "setHeader", &["Subject".into(), "other".into()]).unwrap();
    sign(&object, "rsa2048", RSA, &[]);
    let signed = source(&object);
    assert_eq!(verdicts(&signed), ["pass"]);
    let object = message(&signed);
    method(&object, "setHeader", &["Subject".into(), "third".into()]).unwrap();
    let field =
        method(&object, "getHeader", &["DKIM-Signature".into(), options(&[("field", true.into())])]).unwrap();
    let result = verify(&object, &[field], &mut answer_from_records).unwrap();
    assert!(text(&result).starts_with(r#"["result"=>"pass","tags"=>["v"=>"1","#), "{}", text(&result));
}

/// The signature was over a Date that was never written.
#[test]
fn a_date_that_is_set_later_is_the_one_that_was_signed() {
    for returned in [false, true] {
        let object = message(SOURCE);
        method(&object, "setDateLater", &[]).unwrap();
        let field = sign(&object, "rsa2048", RSA, &[("return_header", returned.into())]);
        if returned {
            let verbatim = options(&[("encode", false.into())]);
            method(&object, "addHeader", &["DKIM-Signature".into(), field, verbatim]).unwrap();
        }
        let to_string = object.as_object().unwrap().native_class().unwrap().method(b"toString").unwrap();
        let answer = &mut |_: HostCall| panic!("asks nobody");
        let mut world = World { now: 1_900_000_000.0, answer, script: &mut |_| panic!("calls nothing") };
        let written = text(&call(&mut world, to_string, object.as_object(), &[]).unwrap());
        assert!(written.contains("Date: Fri, 15 Jan 2027"), "{written}");
        assert_eq!(verdicts(&written), ["pass"]);
    }
}

/// It made a signature of none of the body.
#[test]
fn a_length_below_zero_signs_nothing() {
    let object = message(SOURCE);
    assert!(sign(&object, "rsa2048", RSA, &[("body_length", (-5.0).into())]).is_none());
    assert_eq!(source(&object), SOURCE);
}

#[test]
fn several_signatures_stand_on_top_in_order() {
    let object = message(SOURCE);
    let second =
        options(&[("selector", "ed25519".into()), ("domain", "example.org".into()), ("key", ED25519.into())]);
    sign(&object, "rsa2048", RSA, &[("additional_signatures", vec![second].into())]);
    let signed = source(&object);
    assert_eq!(verdicts(&signed), ["pass", "pass"]);
    assert!(signed.find("s=rsa2048") < signed.find("s=ed25519"));
}

#[test]
fn a_built_message_is_signed_repeatedly() {
    let class = FAMILY.classes.iter().find(|class| class.name == "MIME").unwrap();
    let object = plain(class.constructor.as_ref().unwrap(), &[]).unwrap();
    method(&object, "addHeader", &["From".into(), "joe@example.org".into()]).unwrap();
    method(&object, "setBody", &["Hej på dig\n".into()]).unwrap();
    sign(&object, "rsa2048", RSA, &[("arc", true.into())]);
    sign(&object, "ed25519", ED25519, &[]);
    assert_eq!(verdicts(&source(&object)), ["pass", "pass"]);
}

#[test]
fn the_header_is_returned_instead() {
    let object = message(SOURCE);
    let value = sign(&object, "rsa2048", RSA, &[("return_header", true.into())]);
    assert_eq!(source(&object), SOURCE);
    let args = ["DKIM-Signature".into(), value, options(&[("encode", false.into())])];
    method(&object, "addHeader", &args).unwrap();
    assert_eq!(verdicts(&source(&object)), ["pass"]);
}

#[test]
fn options_become_tags() {
    let object = message(SOURCE);
    let entries = [
        ("timestamp", true.into()),
        ("expiration_relative", 60.0.into()),
        ("identity", "@mail.example.org".into()),
        ("body_length", 2.0.into()),
        ("headers", list(&["from", "to"])),
        ("additional_headers", list(&["subject"])),
        ("oversign_headers", list(&["cc"])),
        ("unknown", 1.0.into()),
    ];
    sign(&object, "rsa2048", RSA, &entries);
    let signed = source(&object).replace("\r\n\t", " ");
    for tag in ["t=1800000000;", "x=1800000060;", "i=@mail.example.org;", "l=2;", "h=from:to:subject:cc;"] {
        assert!(signed.contains(tag), "{tag}: {signed}");
    }
}

#[test]
fn an_arc_message_signature_is_made() {
    let object = message(SOURCE);
    sign(&object, "rsa2048", RSA, &[("arc", 2.0.into())]);
    let signed = source(&object);
    assert!(signed.starts_with("ARC-Message-Signature: i=2;"), "{signed}");
    assert_eq!(verdicts(&signed), ["pass"]);
}

/// HK33: none, no header added, the script goes on.
#[test]
fn what_makes_no_signature_gives_none() {
    let cases: &[(&str, &[(&str, Value)])] = &[
        ("nonsense", &[]),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", &[]),
        (RSA, &[("algorithm", "ed25519-sha256".into())]),
        (RSA, &[("algorithm", "dsa".into())]),
        (RSA, &[("canonicalization_body", "loose".into())]),
        (RSA, &[("id", true.into())]),
        (RSA, &[("body_length", 1e9.into())]),
        (RSA, &[("identity", "joe@example.com".into())]),
    ];
    for (key, entries) in cases {
        let object = message(SOURCE);
        assert!(sign(&object, "s", key, entries).is_none(), "{key} {entries:?}");
        assert_eq!(source(&object), SOURCE);
    }
    let args = ["s".into(), "example.org".into(), Value::None];
    assert!(method(&message(SOURCE), "signDKIM", &args).unwrap().is_none());
    let args = ["s".into(), "example.org".into(), 1.0.into()];
    let fault = method(&message(SOURCE), "signDKIM", &args).unwrap_err();
    assert!(fault.to_string().contains("argument 3 must be a private key or a string"), "{fault}");
}

/// HK34: `result` temperror, `tags` present; and the other answers of a function.
#[test]
fn a_function_answers_for_the_dns() {
    let object = message(SOURCE);
    sign(&object, "rsa2048", RSA, &[]);
    let object = message(&source(&object));
    let field =
        method(&object, "getHeader", &["DKIM-Signature".into(), options(&[("field", true.into())])]).unwrap();
    let function = super::function(&LOOKUP);
    let run = |answer: Value| {
        let asked = RefCell::new(String::new());
        let mut lookup = |call: HostCall| {
            assert_eq!(call.name, "lookup");
            *asked.borrow_mut() = text(&call.args[0]);
            Ok(answer.clone())
        };
        let mut world =
            World { now: 1_800_000_000.0, answer: &mut lookup, script: &mut |_| panic!("calls the script") };
        let args = [field.clone(), options(&[("dns_function", function.clone())])];
        let result = call(&mut world, verify_native(&object), object.as_object(), &args);
        assert_eq!(asked.borrow().as_str(), "rsa2048._domainkey.example.org");
        result.map(|result| text(&result))
    };
    let starts = |answer: Value, expected: &str| {
        let found = run(answer).unwrap();
        assert!(found.starts_with(expected) && found.contains("\"tags\"=>["), "{found}");
    };
    let good = record("rsa2048._domainkey.example.org").unwrap();
    starts(options(&[("result", good.into())]), r#"["result"=>"pass","#);
    starts(options(&[("result", list(&["x", good]))]), r#"["result"=>"pass","#);
    starts(
        options(&[("result", "".into())]),
        r#"["result"=>"permerror","error"=>"the key record has no public key","#,
    );
    starts(options(&[("error", "temperror".into())]), r#"["result"=>"temperror","error"=>"#);
    starts(options(&[("error", "permerror".into())]), r#"["result"=>"permerror","error"=>"no key record","#);
    assert!(run("text".into()).unwrap_err().to_string().contains("dns_function must return an array"));
}

#[test]
fn a_large_message_is_read_elsewhere() {
    let large = format!("{SOURCE}{}", "line\r\n".repeat(20_000));
    let object = message(&large);
    sign(&object, "rsa2048", RSA, &[]);
    let signed = source(&object);
    assert_eq!(verdicts(&signed), ["pass"]);
    assert_eq!(verdicts(&signed.replace("line\r\n", "lime\r\n")), ["body hash did not verify"]);
}

#[test]
fn what_is_no_signature_is_a_permanent_error() {
    let object = message(SOURCE);
    let result = |field: &str| text(&verify(&object, &[field.into()], &mut answer_from_records).unwrap());
    assert_eq!(result("Subject: x"), r#"["result"=>"permerror","error"=>"not a signature field"]"#);
    assert_eq!(
        result("DKIM-Signature: v=2; a=b"),
        r#"["result"=>"permerror","error"=>"unsupported value of tag v","tags"=>["v"=>"2","a"=>"b"]]"#
    );
}
