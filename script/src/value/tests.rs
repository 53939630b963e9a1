use super::*;
use crate::native::Native;

/// A value from a short spelling.
fn value(text: &str) -> Value {
    static FUNCTION: Native = Native::inline("f", "", (0, None), "", |_| Ok(Value::None));
    match text {
        "none" => Value::None,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "function" => Value::from(Function::new(FunctionBuf::Native(&FUNCTION))),
        "[]" => Value::from(Array::new()),
        text if text.starts_with('[') => Value::from(vec![value(&text[1..text.len() - 1])]),
        text if text.starts_with('"') => Value::from(&text[1..text.len() - 1]),
        text => Value::from(text.parse::<f64>().unwrap()),
    }
}

fn text(value: impl Into<Value>) -> String {
    value.into().to_text().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_value_has_sixteen_bytes() {
    assert_eq!(size_of::<Value>(), 16);
    assert_eq!(size_of::<Result<Value, crate::fault::Fault>>(), 16);
}

#[test]
fn the_order_of_keys_does_not_count_for_equality() {
    let pair = |first: &str, second: &str| {
        let mut array = Array::new();
        array.set_str(first, Value::from(first));
        array.set_str(second, Value::from(second));
        Value::from(array)
    };
    assert!(pair("p", "v").strict_eq(&pair("v", "p")).unwrap());
    assert!(pair("p", "v").loose_eq(&pair("v", "p")).unwrap());
    assert!(!pair("p", "v").strict_eq(&pair("p", "x")).unwrap());
}

#[test]
fn equality_follows_the_matrix() {
    for line in include_str!("equality.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (left, right) = (value(words[0]), value(words[1]));
        for (left, right) in [(&left, &right), (&right, &left)] {
            assert_eq!(left.loose_eq(right).unwrap().to_string(), words[2], "{line} (loose)");
            assert_eq!(left.strict_eq(right).unwrap().to_string(), words[3], "{line} (strict)");
        }
    }
}

#[test]
fn deep_nesting_neither_prints_compares_nor_drops_on_the_stack() {
    let nest = || (0..100_000).fold(Value::None, |inner, _| Value::from(vec![inner]));
    let (left, right) = (nest(), nest());
    assert!(left.strict_eq(&right).unwrap());
    assert!(left.to_text().unwrap().len() > 300_000);
    assert!(left.freeze().is_err());
}

#[test]
fn shared_parts_do_not_multiply_work() {
    let double = |inner: Value, _| Value::from(vec![inner.clone(), inner]);
    let (left, right) = ((0..60).fold(Value::None, double), (0..60).fold(Value::None, double));
    let long = Value::from("x".repeat(1 << 20));
    assert!((0..60).fold(long, double).to_text().is_err());
    assert!(left.strict_eq(&right).is_err());
    assert!(left.freeze().is_err());
    assert!(left.strict_eq(&left.clone()).unwrap());
}

#[test]
fn chains_of_objects_and_cells_drop_without_the_stack() {
    let mut value = Value::None;
    for _ in 0..100_000 {
        let mut fields = OrderedMap::new();
        fields.insert(Str::from("next"), value);
        let object = Object::instance(Instance {
            class_name: Str::from("Node"),
            home: std::rc::Rc::new(()),
            class: 0,
            fields: std::cell::RefCell::new(fields),
        });
        value = Value::Cell(CellRef::new(Value::Object(object)));
    }
    drop(value);
}

#[test]
fn numbers_print_their_shortest_digits() {
    let cases = [
        (2.5, "2.5"),
        (7.0, "7"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-1.5e300, "-1.5e+300"),
        (1e-7, "1e-7"),
        (0.000001, "0.000001"),
        (f64::NAN, "nan"),
        (f64::NEG_INFINITY, "-inf"),
        (1.0 / 3.0, "0.3333333333333333"),
    ];
    for (number, expected) in cases {
        assert_eq!(text(number), expected);
    }
}

#[test]
fn keys_are_normalised() {
    let key = |value: Value| match Key::from_value(value) {
        Key::Int(integer) => format!("int {integer}"),
        Key::Str(text) => format!("text {}", text.to_string_lossy()),
        Key::Other(_) => "other".to_owned(),
    };
    let cases: [(Value, &str); 14] = [
        ("7".into(), "int 7"),
        ("-7".into(), "int -7"),
        ("0".into(), "int 0"),
        ("-0".into(), "text -0"),
        ("07".into(), "text 07"),
        ("+7".into(), "text +7"),
        ("7.5".into(), "text 7.5"),
        ("".into(), "text "),
        ("9007199254740992".into(), "int 9007199254740992"),
        ("9007199254740993000".into(), "text 9007199254740993000"),
        (4.9.into(), "int 4"),
        ((-4.9).into(), "int -4"),
        (true.into(), "int 1"),
        (Value::None, "other"),
    ];
    for (value, expected) in cases {
        assert_eq!(key(value), expected);
    }
}

#[test]
fn arrays_number_items_after_the_highest_key() {
    let mut array = Array::from_list(vec!["x".into()]);
    array.set(Key::Int(7), "y".into());
    array.push("z".into());
    assert_eq!(text(array.clone()), r#"[0=>"x",7=>"y",8=>"z"]"#);
    array.remove(&Key::Int(8));
    array.remove(&Key::Int(7));
    array.push("w".into());
    assert_eq!(text(array), r#"[0=>"x",1=>"w"]"#);
    let mut negative = Array::new();
    negative.set(Key::Int(-5), 1.into());
    negative.push(2.into());
    assert_eq!(text(negative), "[-5=>1,-4=>2]");
}

#[test]
fn a_copy_does_not_see_changes_of_the_original() {
    let mut array = Array::from_list((0..20).map(Value::from).collect());
    let copy = array.clone();
    array.push(20.into());
    array.set_str("k", true);
    assert_eq!((copy.len(), array.len()), (20, 22));
    let mut string = Str::from("a");
    let other = string.clone();
    string.push(b"b");
    assert_eq!((&*string, &*other), (&b"ab"[..], &b"a"[..]));
}

#[test]
fn frozen_arrays_read_and_write_as_local_ones() {
    let mut array = Array::from_list(vec!["x".into(), vec![Value::from("deep")].into()]);
    array.set_str("key", "v");
    array.set(Key::Other(Value::None), "other".into());
    let expected = text(array.clone());
    let frozen = Value::from(array.clone()).freeze().unwrap();
    let thawed = Value::from_frozen(&frozen);
    assert!(thawed.strict_eq(&array.into()).unwrap());
    let Value::Array(mut thawed) = thawed else { panic!("not an array") };
    assert_eq!(text(thawed.get_str("key").unwrap()), "v");
    assert!(thawed.get(&Key::Other(Value::None)).is_some());
    thawed.push("more".into());
    assert_eq!(text(thawed.get_index(2).unwrap()), "more");
    assert_eq!(text(Value::from_frozen(&frozen)), expected);
}

#[test]
fn wrapping_frozen_values_again_and_again_stays_bounded() {
    let mut value = Value::from(vec![Value::None]);
    let deepest = (0..2000).position(|_| match value.freeze() {
        Ok(frozen) => {
            value = Value::from(vec![Value::from_frozen(&frozen)]);
            false
        }
        Err(_) => true,
    });
    assert_eq!(deepest, Some(crate::limits::MAX_FROZEN_DEPTH as usize));
}

#[test]
fn a_map_keeps_order_and_finds_keys_under_random_changes() {
    let mut state = 1u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    let (mut map, mut model) = (OrderedMap::new(), Vec::<(i64, u64)>::new());
    for round in 0..20_000 {
        let key = random(60) as i64;
        let at = model.iter().position(|(other, _)| *other == key);
        if random(5) < 2 {
            assert_eq!(map.remove(&Key::Int(key)), at.map(|at| model.remove(at).1));
        } else {
            match at {
                Some(at) => model[at].1 = round,
                None => model.push((key, round)),
            }
            map.insert(Key::Int(key), round);
        }
        assert_eq!(map.len(), model.len());
        let probe = random(60) as i64;
        let expected = model.iter().find(|(other, _)| *other == probe).map(|(_, value)| value);
        assert_eq!(map.get(&Key::Int(probe)), expected);
    }
    assert!(map.iter().map(|(_, value)| value).eq(model.iter().map(|(_, value)| value)));
}

#[test]
fn arrays_that_are_equal_have_one_hash() {
    let array = |entries: &[(&str, i32)]| -> Array {
        entries.iter().map(|(key, value)| (Key::from_bytes(key.as_bytes()), Value::from(*value))).collect()
    };
    let (one, two) = (array(&[("a", 1), ("b", 2), ("0", 3)]), array(&[("0", 3), ("b", 2), ("a", 1)]));
    let equal = Value::from(one.clone()).strict_eq(&two.clone().into()).unwrap();
    let mut set = OrderedMap::new();
    set.insert(StrictKey(one.into()), ());
    assert_eq!(set.get(&StrictKey(two.into())).is_some(), equal);
}
