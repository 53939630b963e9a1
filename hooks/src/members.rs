//! Arrays for scripts, of those members only that a script reads.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use script::compile::Reads;
use script::value::{Array, Str, Value};

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
        let Some(reads) = self.reads.member(name) else { return };
        let value = make(reads).into();
        let room = match self.reads {
            Reads::All => ROOM,
            Reads::Members(members) => members.len(),
        };
        self.array.get_or_insert_with(|| Array::with_room(room)).append(text(name), value);
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
        self.array.unwrap_or_default().into()
    }
}

/// A name as a value: one for all arrays of this thread, with its hash. There are as many as literals in this crate.
fn text(name: &'static str) -> Str {
    thread_local! {
        static TEXTS: RefCell<FxHashMap<(usize, usize), Str>> = RefCell::default();
    }
    let place = (name.as_ptr().addr(), name.len());
    TEXTS.with_borrow_mut(|texts| texts.entry(place).or_insert_with(|| Str::from(name)).clone())
}
