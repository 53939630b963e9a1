//! Regular expressions: hsl-stdlib 5.

mod pattern;

pub use pattern::{Groups, Pattern, PatternCache};
