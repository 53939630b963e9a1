use script::fault::Fault;
use script::native::Native;
use script::value::{Array, Key, Value};

use super::builder::MIME;
use super::message::MESSAGE;
use crate::testing::{World, call, method, plain};

fn native(name: &str) -> &'static Native {
    super::FAMILY
        .natives
        .iter()
        .find(|native| native.name == name)
        .unwrap_or_else(|| panic!("no function {name}"))
}

fn function(name: &str, args: &[Value]) -> Value {
    plain(native(name), args).expect("no error")
}

fn message(source: &str) -> Value {
    plain(MESSAGE.static_function(b"String").expect("String"), &[source.into()]).expect("no error")
}

fn mime() -> Value {
    plain(MIME.constructor.as_ref().expect("a constructor"), &[]).expect("no error")
}

fn on(object: &Value, name: &str, args: &[Value]) -> Value {
    method(object, name, args).expect("no error")
}

fn text(value: &Value) -> String {
    value.to_text().expect("short").to_string_lossy().into_owned()
}

fn options(entries: &[(&str, Value)]) -> Value {
    let entries = entries.iter().map(|(name, value)| (Key::from_bytes(name.as_bytes()), value.clone()));
    entries.collect::<Array>().into()
}

fn fault(result: Result<Value, Fault>) -> String {
    result.expect_err("a fault").to_string()
}

/// Function, arguments, and the text form of the result.
type Case = (&'static str, &'static str, Option<(&'static str, bool)>, &'static str);

#[test]
fn the_functions_give_what_the_reference_says() {
    let cases: &[Case] = &[
        (
            "envelope_address_parse",
            "user@example.com",
            None,
            r#"["localpart"=>"user","domain"=>"example.com"]"#,
        ),
        ("envelope_address_parse", "user", None, ""),
        ("envelope_localpart_escape", "two words", None, r#""two words""#),
        (
            "header_addresslist_extract",
            "A <a@example.com>, b@example.org",
            None,
            r#"[0=>"a@example.com",1=>"b@example.org"]"#,
        ),
        (
            "GetAddressList",
            "A <a@example.com>; b@example.org",
            Some(("name", true)),
            r#"[0=>["name"=>"A","address"=>"a@example.com"],1=>["name"=>"","address"=>"b@example.org"]]"#,
        ),
        ("header_addresslist_extract", "To: a@example.com", Some(("field", true)), r#"[0=>"a@example.com"]"#),
        ("header_addresslist_extract", "nobody:;", None, "[]"),
        ("header_addresslist_extract", "\"", None, ""),
        (
            "header_dkim_decode",
            "v=1; a=rsa-sha256; d=example.com; s=sel",
            None,
            r#"["v"=>"1","a"=>"rsa-sha256","d"=>"example.com","s"=>"sel"]"#,
        ),
        ("header_dkim_decode", "v=1; v=2", None, ""),
        (
            "header_dkim_decode",
            "DKIM-Signature: v=1;\r\n\td=x",
            Some(("field", true)),
            r#"["v"=>"1","d"=>"x"]"#,
        ),
        (
            "mimeword_decode",
            "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=",
            None,
            "If you can read this yo",
        ),
        ("mimeword_encode", "åäö", None, "=?UTF-8?Q?=C3=A5=C3=A4=C3=B6?="),
    ];
    for (name, argument, option, expected) in cases {
        let mut args = vec![Value::from(*argument)];
        args.extend(option.map(|(key, value)| options(&[(key, value.into())])));
        assert_eq!(text(&function(name, &args)), *expected, "{name}({argument})");
    }
}

#[test]
fn address_lists_are_compiled_from_arrays_and_strings() {
    let item = options(&[("name", "Å".into()), ("address", "a@example.com".into())]);
    let list = Array::from_list(vec![item, "b@example.com".into()]);
    let compiled = function("header_addresslist_compile", &[list.into()]);
    assert_eq!(text(&compiled), "=?UTF-8?Q?=C3=85?= <a@example.com>, b@example.com");
    let wrong = plain(native("header_addresslist_compile"), &[Array::from_list(vec![5.0.into()]).into()]);
    assert!(fault(wrong).contains("name and address"));
}

#[test]
fn headers_are_read_as_the_reference_says() {
    let folded = message("Subject: =?utf-8?Q?h=C3=A9?=\r\nX: a\r\n b\r\nx: second\r\n\r\nbody");
    for (name, args, expected) in [
        ("getHeader", vec!["subject".into()], "hé"),
        (
            "getHeader",
            vec!["Subject".into(), options(&[("field", true.into())])],
            "Subject: =?utf-8?Q?h=C3=A9?=\r\n",
        ),
        ("getHeader", vec!["Subject".into(), options(&[("decode", false.into())])], "=?utf-8?Q?h=C3=A9?="),
        ("getHeader", vec!["x".into()], "a b"),
        ("getHeader", vec!["x".into(), options(&[("decode", false.into())])], "a\r\n b"),
        ("getHeader", vec!["x".into(), options(&[("index", 1.0.into())])], "second"),
        ("getHeader", vec!["x".into(), options(&[("index", 2.0.into())])], ""),
        ("getHeader", vec!["x".into(), options(&[("index", (-1.0).into())])], ""),
        ("getHeaders", vec!["x".into()], r#"[0=>"a b",1=>"second"]"#),
        ("getHeaders", vec!["Y".into()], "[]"),
        ("getHeaderNames", vec![], r#"[0=>"subject",1=>"x",2=>"x"]"#),
        ("getSize", vec![], "57"),
        ("getID", vec![], "0"),
        ("getBody", vec![], "body"),
        ("getErrors", vec![], "[]"),
        ("getParts", vec![], "[]"),
    ] {
        assert_eq!(text(&on(&folded, name, &args)), expected, "{name} {args:?}");
    }
    for name in ["getType", "getFileName", "getPreamble", "getEpilogue"] {
        assert!(on(&folded, name, &[]).is_none(), "{name}");
    }
    assert!(on(&message("X: 1\r\n\r\nbody"), "getHeader", &["Y".into()]).is_none());
    let names = on(&message("A: 1\r\nB: 2\r\nA: 3\r\n\r\n"), "getHeaderNames", &[]);
    assert_eq!(text(&names), r#"[0=>"a",1=>"b",2=>"a"]"#);
}

#[test]
fn a_message_is_changed_through_any_of_its_parts() {
    let source = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: \
                  text/html; charset=x\r\nContent-Disposition: attachment; filename=\"A.htm\"\r\n\r\ntwo\r\n--b--\r\n";
    let root = message(source);
    let found = on(&root, "findByType", &["TEXT/".into()]);
    let html = found.as_array().and_then(|found| found.get_index(0)).expect("one part");
    let by_name = on(&root, "findByFileName", &["a\\.htm$".into()]);
    assert_eq!(by_name.as_array().map(Array::len), Some(1));
    let pattern = script::std::regex::Pattern::compile(b"text/html", b"").expect("a pattern").into_value();
    assert_eq!(on(&root, "findByType", &[pattern]).as_array().map(Array::len), Some(1));
    assert_eq!(text(&on(&html, "getID", &[])), "0.1");
    assert_eq!(text(&on(&html, "getTypeParameter", &["Charset".into()])), "x");
    assert_eq!(text(&on(&on(&root, "getByID", &["0.0".into()]), "getBody", &[])), "one");
    assert!(on(&html, "getByID", &["0.0".into()]).is_none());
    on(&html, "setBody", &["new".into()]);
    assert_eq!(text(&on(&html, "getBody", &[])), "two", "getters tell what came in");
    let changed = message(&text(&on(&root, "toString", &[])));
    assert_eq!(text(&on(&on(&changed, "getByID", &["0.1".into()]), "getBody", &[])), "new");
    on(&html, "remove", &[]);
    let changed = message(&text(&on(&root, "toString", &[])));
    assert_eq!(on(&changed, "getParts", &[]).as_array().map(Array::len), Some(1));
    assert_eq!(text(&on(&root, "reset", &[])), "2");
    assert_eq!(text(&on(&root, "toString", &[])), source);
}

#[test]
fn methods_return_what_the_reference_says() {
    let root = message("X: 1\r\nX: 2\r\n\r\nbody");
    for (name, args, expected) in [
        ("setHeader", vec!["X".into(), "3".into()], "2"),
        ("setHeader", vec!["X".into(), "4".into(), options(&[("index", 0.0.into())])], "1"),
        ("setHeader", vec!["New".into(), "n".into()], "1"),
        ("addHeader", vec!["Y".into(), "y".into()], ""),
        ("renameHeader", vec!["X".into(), "Z".into()], "2"),
        ("delHeader", vec!["x".into(), options(&[("index", 1.0.into())])], "1"),
        ("setDateLater", vec![], "1"),
        ("snapshot", vec![], "1"),
        ("restore", vec![1.0.into()], "1"),
        ("restore", vec![2.0.into()], ""),
        ("restore", vec![(-1.0).into()], ""),
    ] {
        let shown = match on(&root, name, &args) {
            Value::Bool(flag) => if flag { "1" } else { "" }.into(),
            value => text(&value),
        };
        assert_eq!(shown, expected, "{name}");
    }
    assert!(on(&root, "setPreamble", &["x".into()]).is_none());
    for (name, args) in [
        ("setBody", vec!["x".into()]),
        ("setBody", vec!["eA==".into(), options(&[("encoding", "base64".into())])]),
        ("modifyContent", vec![0.0.into(), 1.0.into(), "Y".into()]),
        ("appendPart", vec![mime()]),
        ("prependPart", vec![root.clone(), options(&[("type", "multipart/related".into())])]),
    ] {
        let same = on(&root, name, &args);
        assert!(same.as_object().zip(root.as_object()).is_some_and(|(a, b)| a.same(b)), "{name}");
    }
    assert!(fault(method(&root, "remove", &[])).contains("root"));
    let bogus = options(&[("encoding", "bogus\r\nX: y".into())]);
    for body in ["x".to_owned(), "x".repeat(1 << 20)] {
        assert!(fault(method(&root, "setBody", &[body.as_str().into(), bogus.clone()])).contains("encoding"));
    }
    assert!(fault(method(&root, "addHeader", &["a b".into(), "x".into()])).contains("header name"));
    assert!(fault(method(&root, "modifyContent", &[0.0.into(), (-1.0).into(), "".into()])).contains("range"));
    assert!(fault(method(&root, "appendPart", &[5.0.into()])).contains("MIME"));
}

#[test]
fn a_built_message_is_read_back() {
    let built = on(&on(&mime(), "addHeader", &["Subject".into(), "x".into()]), "setBody", &["y".into()]);
    let source = text(&on(&built, "toString", &[]));
    let read = message(&source);
    assert_eq!(text(&on(&read, "getHeader", &["subject".into()])), "x");
    assert_eq!(text(&on(&read, "getBody", &[])), "y");
    assert_eq!(text(&on(&read, "getType", &[])), "text/plain");
    let attachment = on(&on(&mime(), "setFileName", &["å.txt".into()]), "setType", &["text/csv".into()]);
    let outer = on(&on(&mime(), "setType", &["multipart/mixed".into()]), "setBoundary", &["bb".into()]);
    on(&outer, "appendPart", &[attachment]);
    on(&outer, "appendPart", &[read]);
    on(&outer, "setDate", &[0.0.into()]);
    let read = message(&text(&on(&outer, "toString", &[])));
    assert_eq!(text(&on(&read, "getHeader", &["date".into()])), "Thu, 01 Jan 1970 00:00:00 +0000");
    assert_eq!(on(&read, "getParts", &[]).as_array().map(Array::len), Some(2));
    assert_eq!(on(&read, "findByFileName", &["^å".into()]).as_array().map(Array::len), Some(1));
    let verbatim = options(&[("encode", false.into())]);
    let raw = on(&mime(), "addHeader", &["X".into(), "a\r\n\tb".into(), verbatim]);
    assert!(text(&on(&raw, "toString", &[])).starts_with("X: a\r\n\tb\r\n"));
}

#[test]
fn files_go_in_and_out() {
    let file = on(&message("X: 1\r\n\r\nbody"), "toFile", &[]);
    let bytes = crate::file::memory_bytes(file.as_object().expect("a File")).expect("in memory");
    assert_eq!(&bytes[..], b"X: 1\r\n\r\nbody");
    assert!(
        on(&mime(), "toFile", &[]).as_object().is_some_and(|file| crate::file::memory_bytes(file).is_some())
    );
    let from_file = MESSAGE.static_function(b"File").expect("File");
    let mut asked = None;
    let mut world = World {
        now: 0.0,
        answer: &mut |call| {
            asked = Some(call.function);
            Ok(Value::None)
        },
        script: &mut |_| panic!("calls nothing"),
    };
    call(&mut world, from_file, None, &[file]).expect("no error");
    assert_eq!(asked, Some(crate::numbers::MAIL));
}

#[test]
fn an_eml_import_is_a_message() {
    let load = crate::library().loader("eml").expect("a loader");
    let frozen = load(b"Subject: s\r\n\r\nbody", &Array::new()).expect("a message");
    let (first, second) = (Value::from_frozen(&frozen), Value::from_frozen(&frozen));
    on(&first, "addHeader", &["X".into(), "1".into()]);
    assert_eq!(text(&on(&second, "toString", &[])), "Subject: s\r\n\r\nbody", "each script has its own");
}

#[test]
fn the_message_of_a_transaction_cannot_be_made() {
    assert!(crate::library().why_absent("EODMailMessage").is_some());
}
