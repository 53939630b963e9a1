mod certificates;
mod keys;

use script::fault::Fault;
use script::value::{Array, Value};

use super::*;
use crate::testing;

/// Calls a function of this family.
fn call(name: &str, args: &[Value]) -> Result<Value, Fault> {
    let native = NATIVES.iter().find(|native| native.name == name).unwrap_or_else(|| panic!("no {name}"));
    testing::plain(native, args)
}

fn text(value: &Value) -> String {
    value.to_text().unwrap().to_string_lossy().into_owned()
}

fn options(entries: &[(&str, Value)]) -> Value {
    let mut array = Array::new();
    entries.iter().for_each(|(key, value)| array.set_str(key, value.clone()));
    array.into()
}
