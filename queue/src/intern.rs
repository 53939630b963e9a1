//! Names that items share: a million items of one job hold four bytes each.

use std::sync::Arc;

pub(crate) use tables::pool::{Name, Pool};

/// The names in use.
pub(crate) type Interner = Pool<Arc<str>, str>;
