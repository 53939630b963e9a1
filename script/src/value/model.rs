//! Arrays against a plain list of entries, under random changes.

use proptest::prelude::*;

use super::{Array, Key, MapKey, Value, write_number};

/// What is done to an array.
#[derive(Clone, Debug)]
enum Change {
    Set(i64, u32),
    SetText(u8, u32),
    Push(u32),
    Slot(i64, u32),
    Remove(i64),
    RemoveText(u8),
    RemoveLast,
    /// Goes on with a copy while the original lives.
    Copy,
    /// Goes on with a frozen form.
    Freeze,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (-3i64..12, any::<u32>()).prop_map(|(key, value)| Change::Set(key, value)),
        (0u8..4, any::<u32>()).prop_map(|(key, value)| Change::SetText(key, value)),
        any::<u32>().prop_map(Change::Push),
        any::<u32>().prop_map(Change::Push),
        (-3i64..12, any::<u32>()).prop_map(|(key, value)| Change::Slot(key, value)),
        (-3i64..12).prop_map(Change::Remove),
        (0u8..4).prop_map(Change::RemoveText),
        Just(Change::RemoveLast),
        Just(Change::Copy),
        Just(Change::Freeze),
    ]
}

/// The entries in order, with keys as text.
#[derive(Default)]
struct Model(Vec<(String, u32)>);

impl Model {
    fn set(&mut self, key: String, value: u32) {
        match self.0.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    fn next(&self) -> i64 {
        self.0.iter().filter_map(|(key, _)| key.parse::<i64>().ok()).max().map_or(0, |highest| highest + 1)
    }

    fn remove(&mut self, key: &str) -> bool {
        let count = self.0.len();
        self.0.retain(|(other, _)| other != key);
        self.0.len() < count
    }

    fn print(&self) -> String {
        let entry = |(key, value): &(String, u32)| match key.parse::<i64>() {
            Ok(_) => format!("{key}=>{value}"),
            Err(_) => format!("\"{key}\"=>{value}"),
        };
        format!("[{}]", self.0.iter().map(entry).collect::<Vec<_>>().join(","))
    }
}

fn apply(array: &mut Array, model: &mut Model, copies: &mut Vec<(Array, String)>, change: Change) {
    match change {
        Change::Set(key, value) => {
            array.set(Key::Int(key), value.into());
            model.set(key.to_string(), value);
        }
        Change::SetText(key, value) => {
            array.set_str(&format!("k{key}"), value);
            model.set(format!("k{key}"), value);
        }
        Change::Push(value) => {
            array.push(value.into());
            model.set(model.next().to_string(), value);
        }
        Change::Slot(key, value) => {
            *array.slot(Key::Int(key)) = value.into();
            model.set(key.to_string(), value);
        }
        Change::Remove(key) => {
            assert_eq!(array.remove(&Key::Int(key)).is_some(), model.remove(&key.to_string()));
        }
        Change::RemoveText(key) => {
            let key = format!("k{key}");
            assert_eq!(array.remove(&Key::from_bytes(key.as_bytes())).is_some(), model.remove(&key));
        }
        Change::RemoveLast => {
            if let Some((key, _)) = array.len().checked_sub(1).and_then(|last| array.at(last)) {
                array.remove(&key);
                model.0.pop();
            }
        }
        Change::Copy => copies.push((array.clone(), model.print())),
        Change::Freeze => {
            let frozen = Value::from(array.clone()).freeze().unwrap();
            *array = Value::from_frozen(&frozen).as_array().unwrap().clone();
        }
    }
}

fn print(array: &Array) -> String {
    Value::from(array.clone()).to_text().unwrap().to_string_lossy().into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arrays_behave_as_a_list_of_entries(changes in prop::collection::vec(change(), 0..60)) {
        let (mut array, mut model, mut copies) = (Array::new(), Model::default(), Vec::new());
        for change in changes {
            apply(&mut array, &mut model, &mut copies, change);
            prop_assert_eq!(print(&array), model.print());
            prop_assert_eq!(array.len(), model.0.len());
            let dense = model.0.iter().enumerate().all(|(at, (key, _))| *key == at.to_string());
            prop_assert_eq!(array.is_list(), dense);
            for (at, (key, value)) in model.0.iter().enumerate() {
                let found = array.get_str(key).and_then(|value| value.as_number());
                prop_assert_eq!(found, Some(f64::from(*value)));
                prop_assert!(array.at(at).is_some_and(|(other, _)| other.same(&Key::from_bytes(key.as_bytes()))));
            }
        }
        for (copy, printed) in copies {
            prop_assert_eq!(print(&copy), printed);
        }
    }

    #[test]
    fn numbers_read_back_from_their_text(bits in any::<u64>(), small in -100_000i64..100_000, scale in 0u32..6) {
        for number in [f64::from_bits(bits), small as f64, small as f64 / 10f64.powi(scale as i32)] {
            let mut text = Vec::new();
            write_number(number, &mut text);
            let text = String::from_utf8(text).unwrap();
            let read: f64 = text.parse().unwrap();
            prop_assert!(read == number || (read.is_nan() && number.is_nan()), "{text}");
            if !text.contains(['e', 'n']) {
                prop_assert_eq!(Value::from(text.as_str()).to_number(), number);
            }
        }
    }
}
