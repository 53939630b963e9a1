//! What the public documentation leaves open, with the number of the question in section 20 of the language reference.
//! Where flipping a choice is a matter of one value, it is a constant here; the other choices stand where the table says.
//!
//! | question | choice | where |
//! | --- | --- | --- |
//! | 2, 3, 4 | precedence of bitwise operators, `not`, and unary minus with `**` | `syntax/parser/expression.rs` |
//! | 9 | a subscript out of range of a string is `none` | `ops/subscript.rs` |
//! | 13, 25 | modules run at their first import and do not see the importer's overrides | `compile/module.rs` |
//! | 14 | recursion is allowed up to a depth | `machine::Limits::depth` |
//! | 15 | generators count their items from 0 and end at `return` | `machine/generator.rs` |
//! | 16 | `catch` does not see terminating functions | `fault.rs` |
//! | 17 | static variables of classes belong to one execution | `machine/context.rs` |
//! | 18, 21 | top-level `return`, `continue` in a `switch` outside of loops | `compile/emit` |
//! | 19 | an unknown escape keeps its backslash | `syntax/literal.rs` |
//! | 20 | `%f` without precision, `%x` of negative numbers | `ops/format.rs` |

/// 1: `switch` and `match` compare with `===` instead of `==`.
pub const SWITCH_IS_STRICT: bool = false;
/// 5: numbers from this magnitude on print with an exponent.
pub const EXPONENT_FROM: f64 = 1e21;
/// 5: numbers below this magnitude print with an exponent.
pub const EXPONENT_BELOW: f64 = 1e-6;
/// 6: the text form of `none`; inside an array it is `none`.
pub const NONE_TEXT: &str = "";
/// 7: division by zero is an error instead of infinity.
pub const DIVISION_BY_ZERO_IS_ERROR: bool = true;
/// 8: keys are integers up to this magnitude, 53 bits.
pub const MAX_KEY: f64 = 9_007_199_254_740_992.0;
/// 10: arrays with the same items in another order differ. Published tests compare arrays whose keys stand in another
/// order, and expect them to be equal.
pub const ARRAY_ORDER_COUNTS: bool = false;
/// 11: `array - value` compares with `===` instead of `==`.
pub const ARRAY_MINUS_IS_STRICT: bool = true;
/// 12: a negative start of a slice beyond the first item means the first item; else the slice is empty.
pub const NEGATIVE_START_CLAMPS: bool = true;
/// 22 and hsl-language 6.6: numbers and booleans become an array when an item is assigned; strings never do.
pub const SCALARS_BECOME_ARRAYS: bool = true;
/// 23: `isset` is true for an item that holds `none`.
pub const ISSET_COUNTS_NONE: bool = true;
/// 24: the default of a destructuring also replaces an item that is `none`.
pub const DEFAULT_REPLACES_NONE: bool = false;
/// hsl-stdlib 29.1: the old `in_array` compares with `==`, `array_includes` with `===`.
pub const IN_ARRAY_IS_LOOSE: bool = true;
