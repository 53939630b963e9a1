use super::*;

#[test]
fn a_value_has_sixteen_bytes() {
    assert_eq!(size_of::<Value>(), 16);
    assert_eq!(size_of::<Result<Value, crate::fault::Fault>>(), 16);
}

#[test]
fn deep_nesting_neither_prints_compares_nor_drops_on_the_stack() {
    let nest = || (0..100_000).fold(Value::None, |inner, _| Value::from(vec![inner]));
    let (left, right) = (nest(), nest());
    assert!(left.strict_eq(&right).unwrap());
    assert!(left.to_text().unwrap().len() > 300_000);
    assert!(left.freeze().is_err());
}
