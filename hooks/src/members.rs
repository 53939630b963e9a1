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
    /// These members, and what of each.
    Members(Box<[(Str, Reads)]>),
}

impl Reads {
    pub(crate) fn new(reads: &compile::Reads, loaded: &Loaded) -> Reads {
        match reads {
            compile::Reads::All => Reads::All,
            compile::Reads::Members(members) => {
                let members = members.iter();
                let members = members.map(|(name, reads)| (loaded.text(name), Reads::new(reads, loaded)));
                Reads::Members(members.collect())
            }
        }
    }

    /// What is read of a member; `None`: it is not looked at.
    #[inline]
    pub fn member(&self, key: &str) -> Option<&Reads> {
        match self {
            Reads::All => Some(self),
            Reads::Members(members) => find(members, key).map(|(_, reads)| reads),
        }
    }
}

#[inline]
fn find<'r>(members: &'r [(Str, Reads)], key: &str) -> Option<&'r (Str, Reads)> {
    members.iter().find(|(name, _)| name.as_bytes() == key.as_bytes())
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
        let (room, name, reads) = match self.reads {
            Reads::All => (ROOM, text(name), self.reads),
            Reads::Members(members) => match find(members, name) {
                Some((name, reads)) => (members.len(), name.clone(), reads),
                None => return,
            },
        };
        let value = make(reads).into();
        self.array.get_or_insert_with(|| Array::with_room(room)).append(name, value);
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

/// A name as a value, for a script that reads everything: one for all arrays of this thread, with its hash. There are as many as literals in this crate.
fn text(name: &'static str) -> Str {
    thread_local! {
        static TEXTS: RefCell<FxHashMap<(usize, usize), Str>> = RefCell::default();
    }
    let place = (name.as_ptr().addr(), name.len());
    TEXTS.with_borrow_mut(|texts| texts.entry(place).or_insert_with(|| Str::from(name)).clone())
}
