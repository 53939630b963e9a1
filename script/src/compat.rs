//! What the public documentation leaves open: one constant for each choice, with the number of the question in the list of
//! open questions of the language reference. Flipping one changes the language in this place only.

/// 1: `switch` and `match` compare with `===` instead of `==`.
pub const SWITCH_IS_STRICT: bool = false;
/// 7: division by zero is an error instead of infinity.
pub const DIVISION_BY_ZERO_IS_ERROR: bool = true;
/// 10: arrays with the same items in another order differ. Published tests compare arrays whose keys stand in another
/// order, and expect them to be equal.
pub const ARRAY_ORDER_COUNTS: bool = false;
/// 12: a negative start of a slice beyond the first item means the first item.
pub const NEGATIVE_START_CLAMPS: bool = true;
/// 22 and hsl-language 6.6: numbers and booleans become an array when an item is assigned; strings never do.
pub const SCALARS_BECOME_ARRAYS: bool = true;
/// 24: the default of a destructuring also replaces an item that is `none`.
pub const DEFAULT_REPLACES_NONE: bool = false;
/// hsl-stdlib 29.1: the old `in_array` compares with `==`, `array_includes` with `===`.
pub const IN_ARRAY_IS_LOOSE: bool = true;
