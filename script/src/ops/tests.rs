use super::*;
use crate::std::regex::PatternCache;
use crate::value::Array;

fn text(result: Result<Value, Fault>) -> String {
    match result {
        Ok(value) => value.to_text().unwrap().to_string_lossy().into_owned(),
        Err(fault) => format!("error: {fault}"),
    }
}

fn list(items: impl IntoIterator<Item = i32>) -> Value {
    Value::from(items.into_iter().map(Value::from).collect::<Vec<_>>())
}

fn map(entries: &[(&str, i32)]) -> Value {
    let mut array = Array::new();
    entries.iter().for_each(|(key, value)| array.set_str(key, *value));
    array.into()
}

const NONE: Value = Value::None;

#[test]
fn arithmetic_counts_booleans_and_refuses_texts() {
    let number = |number: f64| Value::from(number);
    assert_eq!(text(add(true.into(), true.into())), "2");
    assert_eq!(text(mul(&true.into(), &number(5.0))), "5");
    assert_eq!(text(div(&number(7.0), &number(2.0))), "3.5");
    assert_eq!(text(rem(&number(-7.0), &number(3.0))), "-1");
    assert_eq!(text(rem(&number(5e12), &number(7.0))), "5");
    assert_eq!(text(pow(&number(2.0), &number(10.0))), "1024");
    assert_eq!(text(neg(&true.into())), "-1");
    assert_eq!(text(div(&number(1.0), &number(0.0))), "error: operator /: division by zero");
    assert_eq!(text(rem(&number(1.0), &false.into())), "error: operator %: division by zero");
    assert_eq!(text(add(1.into(), "2".into())), "error: operator + does not apply to number and string");
    assert_eq!(text(increment(&NONE)), "error: operator ++ does not apply to none");
}

#[test]
fn strings_and_arrays_repeat_within_limits() {
    assert_eq!(text(mul(&"ab".into(), &3.into())), "ababab");
    assert_eq!(text(mul(&2.9.into(), &"-".into())), "--");
    assert_eq!(text(mul(&list([0, 1]), &2.into())), "[0=>0,1=>1,2=>0,3=>1]");
    assert_eq!(text(mul(&"ab".into(), &(-1).into())), "");
    assert_eq!(text(mul(&"".into(), &1e300.into())), "");
    assert_eq!(text(mul(&"ab".into(), &f64::NAN.into())), "");
    assert!(text(mul(&"x".into(), &1e12.into())).contains("would exceed"));
    assert!(text(mul(&list([1]), &1e12.into())).contains("would exceed"));
}

#[test]
fn arrays_merge_and_lose_values() {
    assert_eq!(text(add(list([1, 2]), list([3]))), "[0=>1,1=>2,2=>3]");
    assert_eq!(
        text(add(map(&[("a", 1), ("b", 2)]), map(&[("b", 9), ("c", 3)]))),
        r#"["a"=>1,"b"=>9,"c"=>3]"#
    );
    assert_eq!(text(add(list([1]), 2.into())), "[0=>1,1=>2]");
    assert_eq!(text(sub(list([1, 2, 3]), &list([1, 3]))), "[1=>2]");
    assert_eq!(text(sub(list([1, 2, 1]), &1.into())), "[1=>2]");
    assert_eq!(text(sub(list([1, 2]), &"1".into())), "[0=>1,1=>2]");
    let mut target = Array::from_list(vec![0.into()]);
    spread_into(&mut target, &map(&[("5", 1), ("k", 2)])).unwrap();
    assert_eq!(text(Ok(target.into())), r#"[0=>0,1=>1,"k"=>2]"#);
}

#[test]
fn bits_wrap_to_32() {
    let cases = [
        (bit_and(&6.into(), &3.into()), "2"),
        (bit_or(&6.into(), &3.into()), "7"),
        (bit_xor(&6.into(), &3.into()), "5"),
        (bit_not(&0.into()), "-1"),
        (shift_left(&1.into(), &4.into()), "16"),
        (shift_left(&1.into(), &33.into()), "2"),
        (shift_right(&(-16).into(), &2.into()), "-4"),
        (shift_right_zero(&(-1).into(), &28.into()), "15"),
        (shift_right_zero(&(-1).into(), &0.into()), "4294967295"),
        (bit_and(&4_294_967_295.0.into(), &(-1).into()), "-1"),
        (bit_or(&1e30.into(), &0.into()), "0"),
        (bit_or(&f64::NAN.into(), &1.into()), "1"),
        (bit_or(&f64::INFINITY.into(), &1.into()), "1"),
    ];
    for (result, expected) in cases {
        assert_eq!(text(result), expected);
    }
}

#[test]
fn concatenation_converts_all_but_none() {
    assert_eq!(text(concat(2.0.into(), &1.5.into())), "21.5");
    assert_eq!(text(concat("n".into(), &true.into())), "ntrue");
    assert_eq!(text(concat("n".into(), &list([1]))), "n[0=>1]");
    assert_eq!(text(concat("x".into(), &NONE)), "error: operator . does not apply to string and none");
    assert!(concat(NONE, &"x".into()).is_err());
    assert_eq!(text(join(&["a".into(), 1.into()]).map(Value::from)), "a1");
}

#[test]
fn appending_to_a_string_that_nobody_shares_works_in_place() {
    let mut value = Value::from("x");
    append(&mut value, &"y".repeat(100).as_str().into()).unwrap();
    let address = value.as_str().unwrap().address();
    for _ in 0..100 {
        append(&mut value, &"z".into()).unwrap();
    }
    assert_eq!(value.as_str().unwrap().address(), address);
    assert_eq!(value.as_str().unwrap().len(), 201);
}

#[test]
fn templates_follow_the_table() {
    for line in include_str!("format.txt").lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('~').map(str::trim).collect();
        let values = cells[1].split_whitespace().map(|word| match word.parse::<f64>() {
            Ok(number) => Value::from(number),
            Err(_) if word == "none" => Value::None,
            Err(_) => Value::from(word),
        });
        let template = Value::from(cells[0]);
        let result = text(rem(&template, &Value::from(values.collect::<Vec<_>>())));
        match cells[2].strip_prefix("error") {
            Some(_) => assert!(result.starts_with("error: operator %"), "{line}: {result}"),
            None => assert_eq!(format!("|{result}|"), cells[2], "{line}"),
        }
    }
}

#[test]
fn slices_follow_the_table() {
    let part = |word: &str| if word == "-" { NONE } else { Value::from(word.parse::<f64>().unwrap()) };
    for line in include_str!("slice.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (first, last, step) = (part(words[1]), part(words[2]), part(words[3]));
        let expected = words.get(4).copied().unwrap_or_default();
        assert_eq!(text(slice(&words[0].into(), &first, &last, &step)), expected, "{line}");
        let letters = words[0].chars().map(|letter| Value::from(letter.to_string())).collect::<Vec<_>>();
        let mut keyed = Array::new();
        letters.iter().enumerate().for_each(|(at, letter)| keyed.set_str(&format!("k{at}"), letter.clone()));
        for array in [Value::from(letters), keyed.into()] {
            let frozen = Value::from_frozen(&array.freeze().unwrap());
            for array in [array, frozen] {
                let items = slice(&array, &first, &last, &step).unwrap();
                let joined = join(&items.as_array().unwrap().values().collect::<Vec<_>>());
                assert_eq!(text(joined.map(Value::from)), expected, "{line}, as an array");
            }
        }
    }
    assert!(slice(&"abc".into(), &NONE, &NONE, &0.into()).is_err());
    assert!(slice(&1.into(), &NONE, &NONE, &NONE).is_err());
    assert!(slice(&"abc".into(), &"1".into(), &NONE, &NONE).is_err());
}

#[test]
fn slices_are_assigned_and_removed() {
    let mut value = list([1, 2, 5]);
    assign_slice(&mut value, &2.into(), &2.into(), &list([3, 4])).unwrap();
    assert_eq!(text(Ok(value.clone())), "[0=>1,1=>2,2=>3,3=>4,4=>5]");
    assign_slice(&mut value, &NONE, &2.into(), &list([])).unwrap();
    assert_eq!(text(Ok(value.clone())), "[0=>3,1=>4,2=>5]");
    assert!(unset_slice(&mut value, &1.into(), &NONE, &NONE).unwrap());
    assert_eq!(text(Ok(value.clone())), "[0=>3]");
    assert!(!unset_slice(&mut value, &1.into(), &NONE, &NONE).unwrap());
    let mut keyed = map(&[("a", 1), ("b", 2), ("c", 3)]);
    unset_slice(&mut keyed, &NONE, &NONE, &(-2).into()).unwrap();
    assert_eq!(text(Ok(keyed.clone())), r#"["b"=>2]"#);
    assign_slice(&mut keyed, &5.into(), &9.into(), &list([7])).unwrap();
    assert_eq!(text(Ok(keyed)), "[0=>2,1=>7]");
    assert!(assign_slice(&mut value, &NONE, &NONE, &1.into()).is_err());
    assert!(assign_slice(&mut "text".into(), &NONE, &NONE, &list([1])).is_err());
}

#[test]
fn items_are_read_written_and_removed_through_paths() {
    let mut grid = Value::Undefined;
    *place(place(&mut grid, 2.into()).unwrap(), "x".into()).unwrap() = 1.into();
    push_item(place(&mut grid, "l".into()).unwrap(), 5.into()).unwrap();
    set_index(place_new(&mut grid).unwrap(), "n".into(), 6.into()).unwrap();
    assert_eq!(text(Ok(grid.clone())), r#"[2=>["x"=>1],"l"=>[0=>5],3=>["n"=>6]]"#);
    assert_eq!(text(Ok(index(&index(&grid, &2.into()), &"x".into()))), "1");
    assert!(index(&index(&NONE, &"x".into()), &"y".into()).is_none());
    assert!(unset_index(place_existing(&mut grid, 2.into()).unwrap(), "x".into()).unwrap());
    assert!(!unset_index(&mut grid, "x".into()).unwrap());
    assert!(is_set(&grid, &"l".into()) && !is_set(&grid, &"m".into()));
    assert_eq!(text(Ok(index(&"mailbox".into(), &2.9.into()))), "i");
    assert!(index(&"".into(), &0.into()).is_none() && index(&"a".into(), &(-1).into()).is_none());
    assert!(set_index(&mut "text".into(), 0.into(), "x".into()).is_err());
}

#[test]
fn only_numbers_are_ordered() {
    assert!(less(&1.into(), &2.into()).unwrap() && greater_equal(&2.into(), &2.into()).unwrap());
    assert!(!less(&f64::NAN.into(), &2.into()).unwrap());
    assert!(less(&"a".into(), &"b".into()).is_err());
    assert!(less(&true.into(), &2.into()).is_err());
}

#[test]
fn texts_match_patterns_bare_or_with_flags() {
    let cache = &mut PatternCache::default();
    let mut matches =
        |text: &str, pattern: &str| matches(&text.into(), &pattern.into(), cache).unwrap().unwrap();
    assert!(!matches("Order-77", "^order"));
    assert!(matches("Order-77", "/^order/i"));
    assert!(matches("/var/x", "/var/x"));
    assert!(matches("a\nb", "/^b$/m") && !matches("a\nb", "^b$"));
    assert!(super::matches(&1.into(), &"1".into(), cache).is_err());
    assert!(super::matches(&"1".into(), &1.into(), cache).is_err());
    assert!(super::matches(&"1".into(), &"(".into(), cache).is_err());
}
