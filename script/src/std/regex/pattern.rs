//! Compiled patterns, and a cache of those that are not constants.

use std::any::Any;
use std::sync::Arc;

use pcre2::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::shape::{Shape, shape};
use super::thorough::{Text, Thorough};
use crate::fault::Fault;
use crate::limits::{
    INLINE_MATCH_STEPS, MAX_CACHED_PATTERNS, MAX_MATCH_HEAP_KIB, MAX_MATCH_STACK_BYTES, MAX_PATTERN_BYTES,
};
use crate::native::{HostObject, NativeClass};
use crate::value::{Frozen, FrozenObject, Object, OrderedMap, Str, Value};

/// A compiled regular expression; copies share it.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Compiled>);

/// Machine code for what a shard matches itself, and what another thread takes for the rest (decision 0055).
#[derive(Debug)]
struct Compiled {
    regex: Regex,
    shape: Shape,
    thorough: Thorough,
}

impl Pattern {
    /// Compiles a pattern string: bare, or `/body/flags`.
    pub fn parse(text: &[u8]) -> Result<Pattern, Fault> {
        match split_delimited(text) {
            Some((body, flags)) => Pattern::compile(body, flags),
            None => Pattern::compile(text, b""),
        }
    }

    /// Compiles a body with flags out of `imusxUX`.
    pub fn compile(body: &[u8], flags: &[u8]) -> Result<Pattern, Fault> {
        if body.len() > MAX_PATTERN_BYTES {
            return Err(Fault::error(format!("a regular expression exceeds {MAX_PATTERN_BYTES} bytes")));
        }
        let has = |flag| flags.contains(&flag);
        if let Some(unknown) = flags.iter().find(|flag| !b"imusxUX".contains(flag)) {
            return Err(Fault::error(format!(
                "\"{}\" is not a flag of regular expressions",
                char::from(*unknown)
            )));
        }
        let utf = has(b'u');
        let whole = pattern_text(body, utf)?;
        let (verbs, rest) = whole.split_at(end_of_verbs(&whole));
        // PCRE2 always refuses unknown escapes, which is what X asked for.
        let ungreedy = if has(b'U') { "(?U)" } else { "" };
        let mut builder = RegexBuilder::new();
        builder
            .caseless(has(b'i'))
            .multi_line(has(b'm'))
            .dotall(has(b's'))
            .extended(has(b'x'))
            // With Unicode's classes comes tolerance of subjects that are not UTF-8.
            .ucp(utf)
            .max_jit_stack_size(Some(MAX_MATCH_STACK_BYTES));
        let regex = builder
            .clone()
            .jit_if_available(true)
            .build(&format!(
                "(*LIMIT_MATCH={INLINE_MATCH_STEPS})(*LIMIT_HEAP={MAX_MATCH_HEAP_KIB}){verbs}{ungreedy}{rest}"
            ))
            .map_err(|error| bad_pattern(body, &error))?;
        let shape = shape(rest.as_bytes(), has(b'm'), has(b'x'), utf);
        let text = Text { verbs: verbs.to_owned(), body: format!("{ungreedy}{rest}"), extended: has(b'x') };
        let thorough = Thorough::new(builder, text, utf, shape);
        Ok(Pattern(Arc::new(Compiled { regex, shape, thorough })))
    }

    /// Whether the pattern matches anywhere; none if that takes too long for a shard.
    #[inline]
    pub fn matches_inline(&self, subject: &[u8]) -> Option<bool> {
        let compiled = &*self.0;
        if subject.len() > compiled.shape.inline_bytes {
            return self.find_inline(&mut self.groups(), subject, 0);
        }
        // What has failed is tried once more by who has time.
        compiled.regex.is_match(subject).ok()
    }

    /// Which of the texts match; none if that takes too long for a shard.
    pub fn matches_each_inline(&self, texts: &[String]) -> Option<Vec<bool>> {
        // The work grows at least as fast as the text, so that all take no longer than one of their length.
        let bytes = texts.iter().map(String::len).fold(0, usize::saturating_add);
        if bytes > self.0.shape.inline_bytes {
            return None;
        }
        texts.iter().map(|text| self.matches_inline(text.as_bytes())).collect()
    }

    /// Whether the pattern matches at or after `start`, which is at most the length; `groups` then says where. None if that
    /// takes too long for a shard.
    pub fn find_inline(&self, groups: &mut Groups, subject: &[u8], start: usize) -> Option<bool> {
        let compiled = &*self.0;
        if self.is_counted_inline(subject.len() - start) {
            return compiled.thorough.inline_at(&mut groups.0, subject, start);
        }
        compiled.regex.captures_read_at(&mut groups.0, subject, start).ok().map(|found| found.is_some())
    }

    /// Whether a shard counts its steps in a subject of this length, or leaves it alone: machine code could take long.
    pub(super) fn is_counted_inline(&self, bytes: usize) -> bool {
        bytes > self.0.shape.inline_bytes
    }

    /// The same, whatever it takes: for another thread.
    pub fn find(&self, groups: &mut Groups, subject: &[u8], start: usize) -> Result<bool, Fault> {
        self.0.thorough.captures_at(&mut groups.0, subject, start).map_err(|error| failed_match(&error))
    }

    /// Whether the pattern matches anywhere, whatever it takes: for another thread.
    pub fn is_match(&self, subject: &[u8]) -> Result<bool, Fault> {
        self.find(&mut self.groups(), subject, 0)
    }

    /// Room for the positions of groups.
    pub fn groups(&self) -> Groups {
        Groups(self.0.regex.capture_locations())
    }

    /// The groups of the first match in machine code, and counted.
    #[cfg(test)]
    pub(super) fn both_ways(&self, subject: &[u8]) -> [Result<Places, pcre2::Error>; 2] {
        let read = |found: Result<bool, pcre2::Error>, groups: &Groups| {
            found.map(|found| (0..groups.count()).filter(|_| found).map(|group| groups.get(group)).collect())
        };
        let (mut fast, mut counted) = (self.groups(), self.groups());
        let by_machine = self.0.regex.captures_read_at(&mut fast.0, subject, 0).map(|found| found.is_some());
        let by_count = self.0.thorough.counted_at(&mut counted.0, subject, 0);
        [read(by_machine, &fast), read(by_count, &counted)]
    }

    /// The names of the groups, by number; group 0 is the whole match.
    pub fn names(&self) -> &[Option<String>] {
        self.0.regex.capture_names()
    }

    /// Where to look for the next match after an empty one at `at`.
    pub fn step_over(&self, subject: &[u8], at: usize) -> usize {
        let rest = subject.get(at + 1..).unwrap_or_default();
        let inside = if self.0.thorough.utf() {
            rest.iter().take_while(|byte| **byte & 0xc0 == 0x80).count()
        } else {
            0
        };
        at + 1 + inside
    }

    /// The constant that a program holds.
    pub fn freeze(&self) -> Frozen {
        Frozen::Object(self.0.clone())
    }

    /// The value of `#/.../` and `pcre_compile()`.
    pub fn into_value(self) -> Value {
        Value::Object(Object::host(RegexObject(self)))
    }

    /// The pattern of a `Regex` value.
    #[inline]
    pub fn of(value: &Value) -> Option<&Pattern> {
        value.as_object().and_then(Object::downcast::<RegexObject>).map(|object| &object.0)
    }
}

/// Where each group is.
#[cfg(test)]
type Places = Vec<Option<(usize, usize)>>;

/// Where the groups of a match are.
#[derive(Debug)]
pub struct Groups(CaptureLocations);

impl Groups {
    /// Start and end of a group, if it took part.
    pub fn get(&self, group: usize) -> Option<(usize, usize)> {
        // With \K in a look-around a match may start behind its end.
        self.0.get(group).map(|(start, end)| (start, end.max(start)))
    }

    /// The number of groups, with group 0.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl FrozenObject for Compiled {
    /// The code stays shared; what a match writes to belongs to the thread, which then needs no lock.
    fn thaw(self: Arc<Self>) -> Object {
        let own = Compiled { regex: self.regex.clone(), shape: self.shape, thorough: self.thorough.clone() };
        Object::host(RegexObject(Pattern(Arc::new(own))))
    }

    fn size_bytes(&self) -> usize {
        compiled_bytes(self.thorough.source_bytes())
    }
}

/// A guess: the library does not say how much memory a compiled pattern takes.
fn compiled_bytes(source_bytes: usize) -> usize {
    512 + source_bytes * 16
}

/// The object behind a `Regex` value.
struct RegexObject(Pattern);

pub(super) static CLASS: NativeClass = NativeClass {
    name: "Regex",
    doc: "A compiled regular expression: `#/body/flags` or `pcre_compile()`. It can be used wherever a pattern can.",
    extends: None,
    constructor: None,
    methods: &[],
    statics: &[],
};

impl HostObject for RegexObject {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn freeze(&self) -> Option<Frozen> {
        Some(self.0.freeze())
    }

    fn size_bytes(&self) -> usize {
        compiled_bytes(self.0.0.thorough.source_bytes())
    }
}

/// Body and flags of `/body/flags`.
fn split_delimited(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b"/")?;
    let end = inner.iter().rposition(|byte| *byte == b'/')?;
    let (body, flags) = (&inner[..end], &inner[end + 1..]);
    flags.iter().all(|flag| b"imusxUX".contains(flag)).then_some((body, flags))
}

/// The body as the text that PCRE2's wrapper wants: bytes that are not UTF-8 become escapes.
fn pattern_text(body: &[u8], utf: bool) -> Result<String, Fault> {
    match std::str::from_utf8(body) {
        Ok(text) => return Ok(text.to_owned()),
        Err(_) if utf => return Err(Fault::error("a regular expression with the flag u is not UTF-8")),
        Err(_) => {}
    }
    let mut text = String::with_capacity(body.len() + 16);
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\').count();
            if backslashes % 2 == 1 {
                text.pop();
            }
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Ok(text)
}

/// Where verbs such as `(*ANYCRLF)` end, which must come first.
fn end_of_verbs(text: &str) -> usize {
    let mut at = 0;
    while text[at..].starts_with("(*")
        && text[at + 2..].starts_with(|first: char| first.is_ascii_uppercase())
        && let Some(end) = text[at..].find(')')
        && is_start_verb(&text[at + 2..at + end])
    {
        at += end + 1;
    }
    at
}

fn is_start_verb(verb: &str) -> bool {
    let name = verb.split('=').next().unwrap_or_default();
    let known = ["UTF", "UCP", "NOTEMPTY", "NOTEMPTY_ATSTART", "CR", "LF", "CRLF", "ANYCRLF", "ANY", "NUL"];
    known.contains(&name) || ["NO_", "LIMIT_", "BSR_"].iter().any(|prefix| name.starts_with(prefix))
}

#[cold]
fn bad_pattern(body: &[u8], error: &pcre2::Error) -> Fault {
    let shown: String = String::from_utf8_lossy(body).chars().take(60).collect();
    Fault::error(format!("bad regular expression \"{shown}\": {}", plain(error)))
}

#[cold]
fn failed_match(error: &pcre2::Error) -> Fault {
    Fault::error(format!("a regular expression gave up: {}", plain(error)))
}

/// The library's message without its own prefix and offset, which counts our limits.
fn plain(error: &pcre2::Error) -> String {
    let text = error.to_string();
    text.split_once(": ").map_or(text.clone(), |(_, rest)| {
        rest.strip_prefix("error compiling pattern at offset ")
            .and_then(|rest| rest.split_once(": "))
            .map_or(rest.to_owned(), |(_, rest)| rest.to_owned())
    })
}

/// Compiled patterns of a shard, by their text.
#[derive(Default)]
pub struct PatternCache {
    patterns: OrderedMap<Str, Pattern>,
}

impl PatternCache {
    /// The compiled form of a pattern string. When the cache is full, the older half goes.
    #[inline]
    pub fn get(&mut self, text: &Str) -> Result<Pattern, Fault> {
        match self.patterns.get(text) {
            Some(pattern) => Ok(pattern.clone()),
            None => self.compile(text),
        }
    }

    /// The number of patterns that it holds.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[cold]
    fn compile(&mut self, text: &Str) -> Result<Pattern, Fault> {
        let pattern = Pattern::parse(text)?;
        if self.patterns.len() >= MAX_CACHED_PATTERNS {
            let entries = std::mem::take(&mut self.patterns).into_entries();
            for (text, pattern) in entries.skip(MAX_CACHED_PATTERNS / 2) {
                self.patterns.insert(text, pattern);
            }
        }
        self.patterns.insert(text.clone(), pattern.clone());
        Ok(pattern)
    }

    /// The compiled form of a `Regex` or a pattern string.
    #[inline]
    pub fn of_value(&mut self, value: &Value) -> Result<Option<Pattern>, Fault> {
        match value {
            Value::Str(text) => self.get(text).map(Some),
            other => Ok(Pattern::of(other).cloned()),
        }
    }
}

impl std::fmt::Debug for PatternCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PatternCache({})", self.patterns.len())
    }
}

// Programs and their constants cross threads.
const _: fn() = || {
    fn shared<T: Any + Send + Sync>() {}
    shared::<Pattern>();
};
