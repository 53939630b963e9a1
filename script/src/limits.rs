//! Every bound of the language, with the memory that it implies.

/// One source text: 16 MiB. Its syntax tree takes about 20 times as much while it is compiled.
pub const MAX_SOURCE_BYTES: usize = 16 << 20;
/// How deep statements and expressions may nest in each other. Parsing and compiling recurse this deep,
/// with up to 8 KiB of native stack a level.
pub const MAX_NESTING: u32 = 100;
/// Errors that one source text reports; the rest is not looked for.
pub const MAX_SYNTAX_ERRORS: usize = 20;
