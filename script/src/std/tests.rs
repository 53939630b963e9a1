use super::driver::{call, call_with, function};
use super::testing::StillHost;
use crate::fault::{Fault, Terminator};
use crate::native::{Library, Native, NativeClass};
use crate::ops;
use crate::value::{Array, Value};

static LESS: Native =
    Native::inline("less", "", (2, Some(2)), "", |call| ops::less(call.arg(0), call.arg(1)).map(Value::from));
static ADD: Native = Native::inline("add", "", (2, Some(2)), "", |call| ops::add(call.take(0), call.take(1)));
static BIG: Native = Native::inline("big", "", (1, Some(1)), "", |call| Ok((call.number(0)? > 9.0).into()));
static UPPER: Native = Native::inline("upper", "", (1, Some(1)), "", |call| {
    let Value::Array(groups) = call.arg(0) else { return Err(call.wrong(0, "an array")) };
    let whole = groups.get_index(0).unwrap_or_default();
    Ok(whole.as_bytes().unwrap_or_default().to_ascii_uppercase().into())
});

fn text(result: Result<Value, Fault>) -> String {
    match result {
        Ok(Value::None) => "none".to_owned(),
        Ok(value) => value.to_text().unwrap().to_string_lossy().into_owned(),
        Err(fault) => format!("error: {fault}"),
    }
}

/// Arguments, each from a short spelling: numbers, `none`, `true`, `[1,2,"x"]`, names of functions, else text.
fn argument(word: &str) -> Value {
    match word {
        "none" => Value::None,
        "true" => true.into(),
        "false" => false.into(),
        "LESS" => function(&LESS),
        "ADD" => function(&ADD),
        "BIG" => function(&BIG),
        "UPPER" => function(&UPPER),
        "IS_NUMBER" => function(Library::standard().function("is_number").unwrap()),
        _ => match (word.parse::<f64>(), word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))) {
            (Ok(number), _) => number.into(),
            (_, Some("")) => Array::new().into(),
            (_, Some(items)) => array(items),
            _ => unescape(word.trim_matches('"')).into(),
        },
    }
}

fn array(items: &str) -> Value {
    let mut array = Array::new();
    for item in items.split(',') {
        match item.split_once("=>") {
            Some((key, value)) => array.set_str(key, argument(value)),
            None => array.push(argument(item)),
        }
    }
    array.into()
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r").replace("\\s", " ")
}

#[test]
fn functions_follow_the_table() {
    let mut wrong = Vec::new();
    for line in
        include_str!("functions.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (expression, expected) = line.split_once(" = ").unwrap_or_else(|| panic!("{line}"));
        let mut words = expression.split_whitespace();
        let name = words.next().unwrap_or_default();
        let result = text(call(name, words.map(argument).collect()));
        let right = match expected {
            "error" => result.starts_with(&format!("error: {name}()")),
            expected => result == unescape(expected),
        };
        if !right {
            wrong.push(format!("{line}\n  is {result}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wrong_arguments_are_named_with_their_position_and_type() {
    assert_eq!(
        text(call("str_lower", vec![1.into()])),
        "error: str_lower(): argument 1 must be a string, not number"
    );
    assert_eq!(
        text(call("str_find", vec!["a".into(), Value::None])),
        "error: str_find(): argument 2 must be a string, not none"
    );
    assert_eq!(text(call("length", vec![])), "error: length() takes 1 argument(s), not 0");
    assert_eq!(
        text(call("str_slice", vec!["a".into()])),
        "error: str_slice() takes 2 to 3 argument(s), not 1"
    );
    let options = Value::Array(
        [("keys".into(), 1.into())]
            .into_iter()
            .map(|(key, value): (Value, Value)| (crate::value::Key::from_value(key), value))
            .collect(),
    );
    assert_eq!(
        text(call("array_sort", vec![function(&LESS), Array::new().into(), options])),
        "error: array_sort(): option \"keys\" must be a boolean, not number"
    );
}

#[test]
fn sorting_is_stable_and_sorts_every_size() {
    let mut host = StillHost::default();
    for size in 0..70 {
        let items: Vec<Value> = (0..size).map(|at| Value::from((at * 7919) % 13)).collect();
        let sorted =
            call_with(&mut host, None, "array_sort", vec![function(&LESS), items.clone().into()]).unwrap();
        let mut expected: Vec<(usize, f64)> =
            items.iter().enumerate().map(|(at, value)| (at, value.as_number().unwrap())).collect();
        expected.sort_by(|a, b| a.1.total_cmp(&b.1));
        let found: Vec<(usize, f64)> = sorted
            .as_array()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.into_value().as_number().unwrap() as usize, value.as_number().unwrap()))
            .collect();
        assert_eq!(found, expected, "{size} items");
    }
}

#[test]
fn random_order_keeps_all_items_and_random_items_all_appear() {
    let mut host = StillHost::default();
    let items: Vec<Value> = (0..50).map(Value::from).collect();
    let shuffled = call_with(&mut host, None, "array_shuffle", vec![items.clone().into()]).unwrap();
    let mut found: Vec<f64> =
        shuffled.as_array().unwrap().values().map(|value| value.as_number().unwrap()).collect();
    assert!(found.windows(2).any(|pair| pair[0] > pair[1]));
    found.sort_by(f64::total_cmp);
    assert_eq!(found, (0..50).map(f64::from).collect::<Vec<_>>());
    let mut seen = [false; 3];
    for _ in 0..200 {
        let pair = call_with(&mut host, None, "array_random", vec![array("5,6,7")]).unwrap();
        seen[pair.as_array().unwrap().get_index(0).unwrap().as_number().unwrap() as usize] = true;
    }
    assert_eq!(seen, [true; 3]);
}

#[test]
fn huge_results_are_refused_before_they_are_built() {
    for (name, args) in [
        ("str_repeat", vec!["x".into(), 1e15.into()]),
        ("array_range", vec![0.into(), 1e15.into()]),
        ("range", vec![0.into(), 1e300.into()]),
        ("str_replace", vec!["x".into(), "y".repeat(1 << 20).into(), "x".repeat(1 << 10).into()]),
        ("str_split", vec!["x".repeat(5 << 20).into(), "x".into()]),
        ("str_split", vec!["x".repeat(5 << 20).into(), "x".into(), (-1e9).into()]),
        ("str_chunk", vec!["x".repeat(5 << 20).into(), 1.into()]),
    ] {
        let result = text(call(name, args));
        assert!(result.contains("would exceed"), "{name}: {result}");
    }
}

#[test]
fn exceptions_tell_where_the_engine_raised_them() {
    let mut host = StillHost::default();
    let own = call_with(&mut host, None, "Exception", vec!["boom".into()]).unwrap();
    let mut fault = Fault::error("bad");
    fault.locate(|| crate::fault::Position { file: "file:policy".into(), line: 3, column: 7 });
    let engine = fault.into_caught().unwrap();
    let mut ask = |value: &Value, name: &str| text(call_with(&mut host, value.as_object(), name, vec![]));
    assert_eq!([ask(&own, "message"), ask(&own, "toString"), ask(&own, "line")], ["boom", "boom", "none"]);
    assert_eq!(ask(&engine, "toString"), "bad in file:policy on line 3, column 7");
    assert_eq!(
        [ask(&engine, "file"), ask(&engine, "line"), ask(&engine, "column")],
        ["file:policy", "3", "7"]
    );
    assert!(Fault::limit(crate::fault::Limit::Steps).into_caught().is_err());
    assert!(Fault::finished(Terminator::default()).into_caught().is_err());
    assert_eq!(text(Fault::thrown(5.into()).into_caught()), "5");
}

#[test]
fn texts_convert_between_character_sets() {
    let convert = |from: &str, to: &str, input: &[u8]| {
        let mut host = StillHost::default();
        let iconv = call_with(&mut host, None, "Iconv", vec![from.into(), to.into()]).unwrap();
        let result = call_with(&mut host, iconv.as_object(), "convert", vec![input.into()]).unwrap();
        let errno = call_with(&mut host, iconv.as_object(), "errno", vec![]).unwrap();
        (result.as_bytes().map(<[u8]>::to_vec), errno.as_number().unwrap() as u32)
    };
    let good = |bytes: &[u8]| (Some(bytes.to_vec()), 0);
    assert_eq!(convert("ISO-8859-1", "UTF-8", b"h\xe9"), good("hé".as_bytes()));
    assert_eq!(convert("utf8", "latin1", "hé".as_bytes()), good(b"h\xe9"));
    assert_eq!(convert("UTF-8", "ISO-8859-1", "€".as_bytes()), (None, 84));
    assert_eq!(convert("UTF-8", "windows-1252", "€".as_bytes()), good(b"\x80"));
    assert_eq!(convert("UTF-8", "CP1251", "Я".as_bytes()), good(b"\xdf"));
    assert_eq!(convert("UTF-8", "US-ASCII//TRANSLIT", "aé€".as_bytes()), good(b"a??"));
    assert_eq!(convert("UTF-8", "US-ASCII//IGNORE", "aé".as_bytes()), good(b"a"));
    assert_eq!(convert("UTF-8", "UTF-16BE", "a😀".as_bytes()), good(b"\0a\xd8\x3d\xde\x00"));
    assert_eq!(convert("UTF-16", "UTF-8", b"\xfe\xff\0a"), good(b"a"));
    assert_eq!(convert("UTF-16LE", "UTF-8", b"a"), (None, 22));
    assert_eq!(convert("UTF-8", "UTF-32LE", b"a"), good(b"a\0\0\0"));
    assert_eq!(convert("UTF-8", "UTF-8", b"a\xff"), (None, 84));
    assert_eq!(convert("UTF-8", "UTF-8", "é".as_bytes().split_last().unwrap().1), (None, 22));
    assert_eq!(convert("UTF-8", "UTF-8//IGNORE", b"a\xffb"), good(b"ab"));
    assert_eq!(convert("Shift_JIS", "UTF-8", b"\x83\x65\x83\x58\x83\x67"), good("テスト".as_bytes()));
    assert!(call("Iconv", vec!["klingon".into(), "UTF-8".into()]).is_err());
}

#[test]
fn every_native_has_a_text_for_the_reference() {
    fn check(native: &Native) {
        assert!(native.doc.len() > 10, "{}: {}", native.name, native.doc);
        assert!(native.max_args.is_none_or(|max| max >= native.min_args), "{}", native.name);
        assert_eq!(native.params.is_empty(), native.max_args == Some(0), "{}", native.name);
    }
    fn check_class(class: &NativeClass) {
        assert!(class.doc.len() > 10, "{}", class.name);
        class.methods.iter().chain(class.statics).chain(class.constructor.as_ref()).for_each(check);
    }
    let library = Library::standard();
    library.functions().into_iter().for_each(check);
    library.classes().into_iter().for_each(check_class);
    assert!(library.function("length").is_some() && library.class("Map").is_some());
    assert!(library.why_absent("dnsmx").is_some_and(|reason| reason.contains("dns_query")));
    assert!(library.why_absent("length").is_none());
}
