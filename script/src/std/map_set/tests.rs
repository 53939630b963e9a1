use super::*;
use crate::fault::Fault;
use crate::std::driver::call_with;
use crate::std::testing::StillHost;
use crate::value::{Frozen, Object, Value};

fn make(name: &str, kinds: &[&str]) -> Object {
    let kinds = kinds.iter().map(|kind| Value::from(*kind)).collect();
    let value = call_with(&mut StillHost::default(), None, name, kinds).unwrap();
    value.as_object().unwrap().clone()
}

fn ask(object: &Object, method: &str, args: &[Value]) -> Result<Value, Fault> {
    call_with(&mut StillHost::default(), Some(object), method, args.to_vec())
}

fn text(result: Result<Value, Fault>) -> String {
    match result {
        Ok(value) => value.to_text().unwrap().to_string_lossy().into_owned(),
        Err(fault) => format!("error: {fault}"),
    }
}

fn walk(object: &Object) -> String {
    let mut iterator = object.as_host().unwrap().iterate().unwrap();
    let items = std::iter::from_fn(|| iterator.next());
    items.map(|(key, value)| format!("{}={} ", text(Ok(key)), text(Ok(value)))).collect()
}

#[test]
fn a_map_sets_merges_and_forgets() {
    let map = make("Map", &["string", "any"]);
    assert_eq!(text(ask(&map, "set", &["a".into(), 1.into()])), "true");
    ask(&map, "merge", &["a".into(), 4.into()]).unwrap();
    ask(&map, "merge", &["list".into(), vec![Value::from(1)].into()]).unwrap();
    ask(&map, "merge", &["list".into(), 2.into()]).unwrap();
    assert_eq!(text(ask(&map, "get", &["a".into()])), "5");
    assert_eq!(text(ask(&map, "get", &["list".into()])), "[0=>1,1=>2]");
    assert_eq!(
        text(ask(&map, "merge", &["a".into(), "x".into()])),
        "error: operator + does not apply to number and string"
    );
    assert_eq!(walk(&map), "a=5 list=[0=>1,1=>2] ");
    assert_eq!(text(ask(&map, "delete", &["a".into()])), "true");
    assert_eq!(text(ask(&map, "delete", &["a".into()])), "false");
    assert_eq!(text(ask(&map, "has", &["list".into()])), "true");
    assert_eq!(text(ask(&map, "size", &[])), "1");
    ask(&map, "clear", &[]).unwrap();
    assert_eq!(text(ask(&map, "size", &[])), "0");
    assert!(ask(&map, "get", &["a".into()]).unwrap().is_none());
}

#[test]
fn containers_take_their_types_only() {
    let map = make("Map", &["number", "string"]);
    assert_eq!(
        text(ask(&map, "set", &["a".into(), "x".into()])),
        "error: set(): argument 1 must be number, not string"
    );
    assert_eq!(
        text(ask(&map, "set", &[1.into(), 2.into()])),
        "error: set(): argument 2 must be string, not number"
    );
    assert!(call_with(&mut StillHost::default(), None, "Set", vec!["colour".into()]).is_err());
}

#[test]
fn keys_of_different_types_are_different() {
    let set = make("Set", &["any"]);
    for key in [Value::from("1"), 1.into(), true.into(), vec![Value::from(1)].into(), Value::None] {
        assert_eq!(text(ask(&set, "add", std::slice::from_ref(&key))), "true");
        assert_eq!(text(ask(&set, "add", &[key])), "false");
    }
    assert_eq!(walk(&set), "0=1 1=1 2=true 3=[0=>1] 4= ");
}

#[test]
fn an_iterator_walks_over_what_was_there() {
    let set = make("Set", &["string"]);
    ask(&set, "add", &["a".into()]).unwrap();
    ask(&set, "add", &["b".into()]).unwrap();
    let values = ask(&set, "values", &[]).unwrap();
    let values = values.as_object().unwrap();
    ask(&set, "add", &["c".into()]).unwrap();
    assert_eq!(text(ask(values, "next", &[])), "a");
    assert_eq!(walk(values), "0=b ");
    assert_eq!(text(ask(values, "next", &[])), "b");
    assert_eq!(text(ask(values, "next", &[])), "false");
    let map = make("Map", &["string", "number"]);
    ask(&map, "set", &["k".into(), 1.into()]).unwrap();
    let entries = ask(&map, "entries", &[]).unwrap();
    assert_eq!(text(ask(entries.as_object().unwrap(), "next", &[])), "[0=>\"k\",1=>1]");
}

#[test]
fn each_script_changes_its_own_copy_of_a_shared_container() {
    let map = make("Map", &["string", "any"]);
    ask(&map, "set", &["k".into(), vec![Value::from("v")].into()]).unwrap();
    let frozen = Value::Object(map.clone()).freeze().unwrap();
    let (one, two) = (Value::from_frozen(&frozen), Value::from_frozen(&frozen));
    let (one, two) = (one.as_object().unwrap(), two.as_object().unwrap());
    ask(one, "set", &["new".into(), 1.into()]).unwrap();
    assert_eq!((walk(one), walk(two)), ("k=[0=>\"v\"] new=1 ".to_owned(), "k=[0=>\"v\"] ".to_owned()));
}

#[test]
fn containers_that_hold_themselves_are_refused_and_deep_ones_drop() {
    let map = make("Map", &["string", "any"]);
    ask(&map, "set", &["self".into(), map.clone().into()]).unwrap();
    assert!(Value::Object(map.clone()).freeze().is_err());
    ask(&map, "clear", &[]).unwrap();
    let mut value = Value::None;
    for _ in 0..50_000 {
        let map = make_quick();
        ask(&map, "set", &["inner".into(), value]).unwrap();
        value = map.into();
    }
    assert!(value.freeze().is_err());
    drop(value);
}

fn make_quick() -> Object {
    let frozen = MapObject::frozen(FrozenTable::new(Kind::String, Kind::Any, []).unwrap());
    Value::from_frozen(&frozen).as_object().unwrap().clone()
}

#[test]
fn constants_are_found_without_a_copy() {
    let entries = (0..1000).map(|at| (Frozen::str(format!("key{at}")), Frozen::Bool(true)));
    let set = SetObject::frozen(FrozenTable::new(Kind::String, Kind::Boolean, entries).unwrap());
    let set = Value::from_frozen(&set);
    let set = set.as_object().unwrap();
    assert_eq!(text(ask(set, "has", &["key77".into()])), "true");
    assert_eq!(text(ask(set, "has", &["key1000".into()])), "false");
    assert!(FrozenTable::new(Kind::String, Kind::Any, [(Frozen::Number(1.0), Frozen::None)]).is_err());
}
