//! The pure part of the standard library: one file per family.

use crate::native::Library;

/// Adds everything to a library.
pub(crate) fn register(library: &mut Library) {
    let _ = library;
}
