//! Every bound of the language, with the memory that it implies.

/// One source text: 16 MiB. Its syntax tree takes about 20 times as much while it is compiled.
pub const MAX_SOURCE_BYTES: usize = 16 << 20;
/// How deep statements and expressions may nest in each other. Parsing and compiling recurse this deep,
/// with up to 8 KiB of native stack a level.
pub const MAX_NESTING: u32 = 100;
/// Errors that one source text reports; the rest is not looked for.
pub const MAX_SYNTAX_ERRORS: usize = 20;
/// Arrays may be nested this deep where they are frozen (shared memory, cache, data imports); deeper is a catchable error.
pub const MAX_FROZEN_DEPTH: u32 = 500;
/// Values visited while comparing, freezing, hashing or printing one value. Arrays that share parts are small in memory and
/// exponentially large when walked.
pub const MAX_WALK: usize = 1 << 20;
/// Bytes of the text form of one value, and of any string that an operator or a native builds (64 MiB).
pub const MAX_STRING_BYTES: usize = 64 << 20;
/// Items of an array that an operator or a native builds at once: 16 bytes each, 64 MiB.
pub const MAX_ARRAY_ITEMS: usize = 4 << 20;
/// What a string of up to 24 bytes takes in memory.
pub const SHORT_STRING_BYTES: usize = 64;
/// Nesting of a JSON text that is read or written: what a frozen value may have, since long texts are read on
/// another thread.
pub const MAX_JSON_DEPTH: usize = MAX_FROZEN_DEPTH as usize;
/// Nesting of a YAML text.
pub const MAX_YAML_DEPTH: usize = 400;
/// Scalars and collections of a YAML document, where each alias counts as a copy of its anchor: 16 bytes each and more.
pub const MAX_YAML_NODES: usize = 1_000_000;
/// The result of `strftime`, as documented.
pub const MAX_STRFTIME_BYTES: usize = 100;
/// The result of `random_bytes`, as documented.
pub const MAX_RANDOM_BYTES: usize = 1 << 20;
/// Rounds that a salt of `crypt` may ask for: about a second with SHA-512.
pub const MAX_CRYPT_ROUNDS: u64 = 1_000_000;
/// Cost that a bcrypt salt may ask for: about a second.
pub const MAX_BCRYPT_COST: u64 = 14;
/// Password that `crypt` hashes, as in libxcrypt: every round goes through all of it.
pub const MAX_CRYPT_KEY_BYTES: usize = 512;
/// The counts in one format of `pack` together: what it writes beyond its arguments, in 100 µs.
pub const MAX_PACK_COUNT: usize = 1 << 20;
/// Bytes of one regular expression; its compiled form is limited by PCRE2 to 64 KiB of code, about ten times that with JIT.
pub const MAX_PATTERN_BYTES: usize = 16 << 10;
/// Compiled patterns that a shard keeps for texts that are not constants: some 8 MiB at worst.
pub const MAX_CACHED_PATTERNS: usize = 128;
/// Rounds of single characters, one to three nanoseconds each, that a match on a shard can take by the shape of its pattern and the
/// length of its subject; what can take more runs on another thread.
pub const INLINE_ROUNDS: u64 = 1 << 16;
/// The same for machine code on that other thread; beyond, all steps are counted.
pub const OFFLOADED_ROUNDS: u64 = 1 << 26;
/// Backtracking steps, about 5 ns each, of a match on a shard; what needs more is matched anew on another thread.
pub const INLINE_MATCH_STEPS: u32 = 25_000;
/// Steps, about 17 ns each, of a match on a shard that is counted since the shape of its pattern says little.
pub const INLINE_COUNTED_STEPS: u32 = 8_000;
/// Longest subject of such a match: what its steps do not show, because repeats give nothing back, is less than
/// [`INLINE_ROUNDS`].
pub const INLINE_COUNTED_BYTES: usize = 360;
/// Groups of all matches of one call, about 0.2 µs each with their text, that a shard finds itself.
pub const INLINE_MATCHED_GROUPS: usize = 500;
/// Bytes of the result that a shard replaces itself.
pub const INLINE_REPLACED_BYTES: usize = 256 << 10;
/// Groups of the matches that another thread finds before the function of `pcre_replace` is called with the first of them.
pub const GROUPS_AT_ONCE: usize = 4_000;
/// Backtracking steps of one match in machine code on another thread, from each position of the subject, before it fails
/// with an error.
pub const MAX_MATCH_STEPS: u32 = 200_000;
/// Heap of one match, in KiB, where a pattern cannot be compiled to machine code.
pub const MAX_MATCH_HEAP_KIB: u32 = 4096;
/// Steps of one match that is counted, of a subject of at most [`COUNTED_STEPS_UP_TO_BYTES`]: 64 for each byte of the
/// longest, some 70 ms. Four times as many for one of four times that length, and so on.
pub const COUNTED_STEPS: u32 = 4 << 20;
/// See [`COUNTED_STEPS`].
pub const COUNTED_STEPS_UP_TO_BYTES: usize = 64 << 10;
/// Steps of any match that is counted: some 5 s.
pub const MAX_COUNTED_STEPS: u32 = 1 << 28;
/// Steps from each position, for the few patterns that cannot be counted over all positions.
pub const MAX_COUNTED_STEPS_PER_START: u32 = 1_000;
/// Heap of one match that is counted, in KiB.
pub const MAX_COUNTED_HEAP_KIB: u32 = 16 << 10;
/// Seconds that the matches of one call may take together on another thread.
pub const MAX_MATCHING_SECONDS: f64 = 5.0;
/// Stack of one match of a pattern in machine code, in bytes: address space that is only filled as far as needed.
pub const MAX_MATCH_STACK_BYTES: usize = 1 << 20;
/// Findings that one program reports; the rest is not shown.
pub const MAX_DIAGNOSTICS: usize = 100;
/// Rounds of loops and calls of one execution, where the embedder says nothing else.
pub const DEFAULT_STEPS: u64 = 1_000_000_000;
/// Bytes that one execution holds, where the embedder says nothing else: 256 MiB.
pub const DEFAULT_MEMORY_BYTES: usize = 256 << 20;
/// Entries of each of its stacks that a context keeps when it is renewed: 16 KiB of values.
pub const MAX_KEPT_ENTRIES: usize = 1024;
/// Calls within each other: each takes 64 bytes and its registers.
pub const DEFAULT_DEPTH: u32 = 1000;
/// Bytes of arguments above which a native whose time grows with them runs on another thread.
pub const OFFLOAD_ABOVE_BYTES: usize = 64 << 10;
/// Items of an array that a native works on before others run: up to 150 ns each.
pub const SLICE_ITEMS: usize = 500;
/// Bytes of JSON that a debugger is shown of one variable, more or less: an array or object ends where it is longer.
pub const SHOWN_VALUE_BYTES: usize = 64 << 10;
/// The same for one text.
pub const SHOWN_TEXT_BYTES: usize = 16 << 10;
/// The same for all variables of a function; those after it are named without their value.
pub const SHOWN_VALUES_BYTES: usize = 1 << 20;
/// Levels of arrays and objects within each other that are shown.
pub const SHOWN_DEPTH: usize = 16;
