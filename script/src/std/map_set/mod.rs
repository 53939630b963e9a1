//! The containers `Map` and `Set`, and iterators: hsl-stdlib 24.

mod classes;
mod iterator;
mod table;

pub(super) use classes::{MAP, SET};
pub use classes::{MapObject, SetObject};
pub use iterator::IteratorObject;
pub use table::{FrozenTable, Kind};

#[cfg(test)]
mod tests;
