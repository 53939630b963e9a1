//! Large tables in memory: for millions of entries on a shard that may not stop, with a gibibyte for all of them.
//!
//! A hash map of the standard library doubles: it moves everything at once, and up to half of it is empty. Here values stand
//! in a [`slab::Slab`], which grows by a chunk and never moves, and an [`index::Index`] finds their numbers in many small hash
//! tables of 5 bytes a place. Values that many entries share stand in a [`pool::Pool`]; both
//! together, for keys of our own, are a [`map::Map`].
//!
//! ```
//! use std::hash::BuildHasher;
//! use tables::{index::Index, slab::Slab};
//!
//! let hasher = std::hash::RandomState::new();
//! let mut names: Slab<&str> = Slab::new();
//! let mut by_name = Index::new();
//! let id = names.insert("example.org");
//! by_name.insert(hasher.hash_one("example.org"), id, |id| hasher.hash_one(names[id]));
//! let found = by_name.find(hasher.hash_one("example.org"), |id| names[id] == "example.org");
//! assert_eq!(found, Some(id));
//! ```

pub mod index;
pub mod map;
pub mod pool;
pub mod slab;
pub mod u48;
