use proptest::prelude::*;

use super::super::testing::{call, text};
use super::{JsonStyle, decode, encode};
use crate::limits::MAX_JSON_DEPTH;
use crate::std::exception::Exception;
use crate::value::{Array, Key, Value};

fn encoded(value: &Value, ensure_ascii: bool, pretty_print: bool) -> Option<String> {
    let mut out = Vec::new();
    encode(value, JsonStyle { ensure_ascii, pretty_print }, &mut out).ok()?;
    String::from_utf8(out).ok()
}

fn decoded(text: &str) -> Option<Value> {
    decode(text.as_bytes(), false).ok()
}

#[test]
fn values_are_written_as_json() {
    let object = decoded(r#"{"a":[1,null],"b":{},"c":[true,-0.5]}"#).unwrap();
    assert_eq!(encoded(&object, true, false).unwrap(), r#"{"a":[1,null],"b":[],"c":[true,-0.5]}"#);
    assert_eq!(
        encoded(&object, true, true).unwrap(),
        "{\n    \"a\": [\n        1,\n        null\n    ],\n    \"b\": [],\n    \"c\": [\n        true,\n        -0.5\n    ]\n}"
    );
    assert_eq!(encoded(&Value::from("å€😀"), true, false).unwrap(), r#""\u00e5\u20ac\ud83d\ude00""#);
    assert_eq!(encoded(&Value::from("å€😀"), false, false).unwrap(), "\"å€😀\"");
    assert_eq!(
        encoded(&Value::from("\"\\\x08\x0c\n\r\t\x01\x7f/"), true, false).unwrap(),
        "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f/\""
    );
    assert_eq!(encoded(&Value::from(9_007_199_254_740_991.0), true, false).unwrap(), "9007199254740991");
}

#[test]
fn only_keys_in_order_make_a_list() {
    let mut array = Array::new();
    array.set(Key::Int(1), Value::from("b"));
    assert_eq!(encoded(&array.clone().into(), true, false).unwrap(), r#"{"1":"b"}"#);
    array.set(Key::Int(0), Value::from("a"));
    assert_eq!(encoded(&array.into(), true, false).unwrap(), r#"{"1":"b","0":"a"}"#);
    let mut array = Array::new();
    array.set(Key::Other(Value::None), Value::from(1.0));
    array.set(Key::Other(Value::Number(0.5e300)), Value::from(1.0));
    assert!(encoded(&array.into(), true, false).unwrap().starts_with(r#"{"":1,"5"#));
}

#[test]
fn what_json_cannot_express_is_none() {
    for value in [
        Value::from(f64::NAN),
        Value::from(f64::INFINITY),
        Value::from(&b"\xff"[..]),
        Value::from(&b"a\xc3"[..]),
    ] {
        assert!(call("json_encode", [value]).unwrap().is_none());
    }
    let mut deep = Value::from(1.0);
    for _ in 0..=MAX_JSON_DEPTH {
        deep = Value::from(Array::from_list(vec![deep]));
    }
    assert!(call("json_encode", [deep.clone()]).unwrap().is_none());
    // As small ones that go to no other thread.
    let large = Value::from(vec![Value::from("x".repeat(20_000)), deep]);
    assert!(call("json_encode", [large]).unwrap().is_none());
    let large = Value::from(vec![Value::from("x".repeat(20_000)), Exception::value("".into(), None)]);
    assert!(call("json_encode", [large]).unwrap().is_none());
    let large = Value::from(vec![Value::from("x".repeat(20_000))]);
    assert_eq!(text(call("json_encode", [large])).len(), 20_004);
}

#[test]
fn texts_are_read_as_values() {
    let cases = [
        (" [1, 2.5e1 ,-3] ", "[0=>1,1=>25,2=>-3]"),
        (r#"{"7":"a","x":{"y":[]}}"#, r#"[7=>"a","x"=>["y"=>[]]]"#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"["a"=>3,"b"=>2]"#),
        (r#""\"\\\/\b\f\n\r\t\u0041""#, "\"\\/\x08\x0c\n\r\tA"),
        (r#""\u00e5\ud83d\ude00å""#, "å😀å"),
        ("0.1", "0.1"),
        ("1E-2", "0.01"),
        ("true", "true"),
    ];
    for (json, expected) in cases {
        assert_eq!(text(Ok(decoded(json).unwrap())), expected, "{json}");
    }
    assert_eq!(decoded("12345678901234567890").unwrap().as_number(), Some(12345678901234567890.0));
    assert_eq!(decoded("-0").unwrap().as_number().map(f64::to_bits), Some((-0.0f64).to_bits()));
}

#[test]
fn malformed_texts_are_none() {
    for bad in [
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "]",
        "nul",
        "truex",
        "1 2",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "0x1",
        "1e999",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud83d\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ude00\"",
        "\"\n\"",
        "\"\x01\"",
        "/**/1",
        "[1/**/]",
        "NaN",
        "Infinity",
        "'a'",
        "\u{feff}1",
    ] {
        assert_eq!(decoded(bad).map(|value| value.to_text().unwrap()), None, "{bad}");
    }
    assert!(decode(b"\"\xff\"", false).is_err());
    assert!(decode(b"\"\xc3\\u00a5\"", false).is_err());
    assert!(decode(b"{\"\xff\":1}", false).is_err());
}

#[test]
fn comments_are_white_space_when_allowed() {
    let json = "// first\n{ /* a */ \"a\" /**/ : // b\n 1 /* * / */ , \"b//\" : \"/*\" } // last";
    assert_eq!(text(Ok(decode(json.as_bytes(), true).unwrap())), r#"["a"=>1,"b//"=>"/*"]"#);
    for bad in ["1 /", "1 /*", "1 /* *", "/1", "1 /*/"] {
        assert!(decode(bad.as_bytes(), true).is_err(), "{bad}");
    }
}

#[test]
fn nesting_ends_at_the_limit_and_not_at_the_stack() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(decoded(&nested(MAX_JSON_DEPTH)).is_some());
    assert!(decoded(&nested(MAX_JSON_DEPTH + 1)).is_none());
    assert!(decoded(&"[{\"a\":".repeat(1_000_000)).is_none());
    assert!(decoded(&nested(MAX_JSON_DEPTH)).unwrap().freeze().is_ok());
}

#[test]
fn an_array_that_holds_itself_again_and_again_is_given_up_early() {
    let mut value = Value::from("text");
    for _ in 0..40 {
        value = Value::Array(Array::from_list(vec![value.clone(), value]));
    }
    assert_eq!(encoded(&value, false, false), None);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(|number| serde_json::Value::from(f64::from(number) / 64.0)),
        ".*".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            proptest::collection::btree_map("[a-z]{1,3}|\\PC", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Objects without members come back as lists.
fn normal(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) if map.is_empty() => serde_json::Value::Array(Vec::new()),
        serde_json::Value::Object(map) => {
            serde_json::Value::Object(map.into_iter().map(|(key, value)| (key, normal(value))).collect())
        }
        serde_json::Value::Array(list) => serde_json::Value::Array(list.into_iter().map(normal).collect()),
        serde_json::Value::Number(number) => serde_json::Value::from(number.as_f64()),
        other => other,
    }
}

proptest! {
    #[test]
    fn serde_json_reads_what_is_written_and_writes_what_is_read(json in any_json(), ascii: bool, pretty: bool) {
        let value = decoded(&json.to_string()).unwrap();
        let written = encoded(&value, ascii, pretty).unwrap();
        prop_assert_eq!(ascii, written.is_ascii() && ascii);
        // An object whose keys are 0, 1, … in order is a list here.
        prop_assume!(!json.to_string().contains("\"0\":"));
        prop_assert_eq!(normal(serde_json::from_str(&written).unwrap()), normal(json));
    }

    #[test]
    fn the_same_texts_are_accepted_as_by_serde_json(text in r#"[\[\]{}:,"0-9eE.\-+ \\ua/ntrulfse]{0,12}"#) {
        let expected = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        prop_assert_eq!(decoded(&text).is_some(), expected);
        let _ = decode(text.as_bytes(), true);
    }
}
