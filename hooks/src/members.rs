//! Arrays for scripts, of those members only that a script reads.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use script::compile;
use script::machine::Loaded;
use script::value::{Array, Str, Value};

/// What a script reads of a value that it is given, with the names as values of its shard.
#[derive(Debug)]
pub enum Reads {
    /// All of it, or who knows which parts.
    All,
    /// Certain members.
    Members(Selection),
}

/// The members that a script reads.
#[derive(Debug)]
pub struct Selection {
    /// Each by its name, and what of it.
    members: Box<[(Str, Reads)]>,
    /// The array that was made of them last, for the next one. While a script has it, others make their own.
    array: RefCell<Option<Array>>,
}

impl Reads {
    pub(crate) fn new(reads: &compile::Reads, loaded: &Loaded) -> Reads {
        match reads {
            compile::Reads::All => Reads::All,
            compile::Reads::Members(members) => {
                let members = members.iter();
                let members = members.map(|(name, reads)| (loaded.text(name), Reads::new(reads, loaded)));
                Reads::Members(Selection { members: members.collect(), array: RefCell::default() })
            }
        }
    }

    /// What is read of a member; `None`: it is not looked at.
    #[inline]
    pub fn member(&self, key: &str) -> Option<&Reads> {
        match self {
            Reads::All => Some(self),
            Reads::Members(selection) => selection.find(key).map(|(_, reads)| reads),
        }
    }

    /// The script has ended: what was made for it is forgotten, but for the room that it took.
    pub(crate) fn forget(&self) {
        let Reads::Members(selection) = self else { return };
        let mut array = selection.array.borrow_mut();
        if array.as_mut().is_some_and(|array| !array.empty()) {
            *array = None;
        }
        drop(array);
        // Of those within it that one had a part.
        selection.members.iter().for_each(|(_, reads)| reads.forget());
    }
}

impl Selection {
    #[inline]
    fn find(&self, key: &str) -> Option<&(Str, Reads)> {
        self.members.iter().find(|(name, _)| name.as_bytes() == key.as_bytes())
    }

    fn empty_array(&self) -> Array {
        let last = self.array.borrow_mut().take();
        let emptied = last.and_then(|mut array| array.empty().then_some(array));
        emptied.unwrap_or_else(|| Array::with_room(self.members.len()))
    }
}

/// An array that is being made for a script.
pub(crate) struct Members<'r> {
    reads: &'r Reads,
    array: Option<Array>,
}

/// Room for members where it is not known how many there will be.
const ROOM: usize = 4;

impl<'r> Members<'r> {
    /// For a script that reads this of it.
    pub(crate) fn of(reads: &'r Reads) -> Members<'r> {
        Members { reads, array: None }
    }

    /// Adds a member, which there is not yet, if it is read. `make` is told what is read of it.
    pub(crate) fn put<V: Into<Value>>(&mut self, name: &'static str, make: impl FnOnce(&Reads) -> V) {
        let (name, reads) = match self.reads {
            Reads::All => (text(name), self.reads),
            Reads::Members(selection) => match selection.find(name) {
                Some((name, reads)) => (name.clone(), reads),
                None => return,
            },
        };
        let value = make(reads).into();
        let array = self.array.get_or_insert_with(|| match self.reads {
            Reads::All => Array::with_room(ROOM),
            Reads::Members(selection) => selection.empty_array(),
        });
        array.append(name, value);
    }

    /// The same for a member that there is only with this fact.
    pub(crate) fn put_some<T, V: Into<Value>>(
        &mut self,
        name: &'static str,
        fact: Option<T>,
        make: impl FnOnce(T, &Reads) -> V,
    ) {
        if let Some(fact) = fact {
            self.put(name, |reads| make(fact, reads));
        }
    }

    /// The array.
    pub(crate) fn into_value(self) -> Value {
        if let (Reads::Members(selection), Some(array)) = (self.reads, &self.array) {
            *selection.array.borrow_mut() = Some(array.clone());
        }
        self.array.unwrap_or_default().into()
    }
}

/// A name as a value, for a script that reads everything: one for all arrays of this thread, with its hash. There are as many
/// as literals in this crate.
fn text(name: &'static str) -> Str {
    thread_local! {
        static TEXTS: RefCell<FxHashMap<(usize, usize), Str>> = RefCell::default();
    }
    let place = (name.as_ptr().addr(), name.len());
    TEXTS.with_borrow_mut(|texts| texts.entry(place).or_insert_with(|| Str::from(name)).clone())
}

#[cfg(test)]
mod tests {
    use script::compile::{BreakPoints, CompileOptions, NoLoader, Predefined, SourceText, compile};

    use super::*;

    fn reads(script: &str) -> Reads {
        let options = CompileOptions {
            predefined: vec![Predefined { name: "given".to_owned(), read_only: true }],
            forbid_absent: false,
            break_points: BreakPoints::default(),
        };
        let main = SourceText { name: "main".to_owned(), bytes: script.as_bytes().to_vec() };
        let compiled = compile(main, &mut NoLoader, &hostcalls::library(), &options).expect("it is correct");
        let loaded = Loaded::new(&compiled.program);
        Reads::new(compiled.program.reads("given").expect("it is mentioned"), &loaded)
    }

    fn made(reads: &Reads, text: &str) -> Value {
        let mut members = Members::of(reads);
        members.put("unread", |_| -> Value { unreachable!("nobody reads it") });
        members.put("text", |_| text);
        members.put("inner", |reads| {
            let mut members = Members::of(reads);
            members.put("number", |_| text.len() as f64);
            members.into_value()
        });
        members.into_value()
    }

    fn address(value: &Value) -> usize {
        value.as_array().expect("an array").address()
    }

    fn inner(value: &Value) -> Value {
        value.as_array().and_then(|array| array.get_str("inner")).expect("it is read")
    }

    #[test]
    fn the_next_array_is_made_in_the_room_of_the_last_one_but_not_while_somebody_has_that() {
        let reads = reads(r#"echo $given["text"] . $given["inner"]["number"];"#);
        let first = made(&reads, "one");
        let (outer_at, inner_at) = (address(&first), address(&inner(&first)));
        drop(first);
        reads.forget();
        let second = made(&reads, "second");
        assert_eq!((address(&second), address(&inner(&second))), (outer_at, inner_at));
        let kept = inner(&second);
        reads.forget();
        drop(second);
        let third = made(&reads, "3");
        let (third_inner, number) = (inner(&third), |value: &Value| value.as_array()?.get_str("number"));
        assert_ne!(address(&third_inner), address(&kept), "somebody has it");
        let numbers = [number(&kept), number(&third_inner)].map(|value| value.and_then(|v| v.as_number()));
        assert_eq!(numbers, [Some(6.0), Some(1.0)]);
        assert_eq!(third.as_array().map(Array::len), Some(2));
    }

    #[test]
    fn nothing_that_a_script_was_given_outlives_it() {
        let reads = reads(r#"echo $given["text"] . $given["inner"]["number"];"#);
        let array = Array::from_list(vec![1.0.into()]);
        let mut members = Members::of(&reads);
        members.put("text", |_| Value::from(array.clone()));
        let value = members.into_value();
        assert!(array.is_shared());
        drop(value);
        reads.forget();
        assert!(!array.is_shared());
    }
}
