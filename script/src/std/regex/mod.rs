//! Regular expressions: hsl-stdlib 5.

mod pattern;
mod places;
mod replace;
mod shape;
mod thorough;

pub use pattern::{Groups, Pattern, PatternCache};

use crate::fault::Fault;
use crate::host::Host;
use crate::limits::{INLINE_MATCHED_GROUPS, MAX_MATCHING_SECONDS, OFFLOAD_ABOVE_BYTES, SHORT_STRING_BYTES};
use crate::native::{Call, Native, NativeClass, Step};
use crate::value::{Array, Key, Value};

/// What a shard matches itself, for the reference: how much depends on the pattern.
const OF_SUBJECT: (usize, &str) =
    (OFFLOAD_ABOVE_BYTES, "the subject, or less if the work grows faster than the subject");

pub(super) static NATIVES: &[Native] = &[
    Native::offloading(
        "pcre_match",
        MATCH_PARAMS,
        (2, Some(2)),
        "The first match: the whole at 0, groups by number and, where they have one, by name. A group that took no \
         part is an empty string, or missing at the end. Empty array if nothing matches.",
        OF_SUBJECT,
        |call| start(call, &MATCH, find),
    ),
    Native::offloading(
        "pcre_match_all",
        MATCH_PARAMS,
        (2, Some(2)),
        "All matches, by group: the list of whole matches at 0, the list of each group under its number and name. \
         Empty array if nothing matches.",
        OF_SUBJECT,
        |call| start(call, &MATCH_ALL, find_all),
    ),
    Native::sized(
        "pcre_quote",
        "string",
        (1, Some(1)),
        "The string with a backslash before each character that means something in a pattern.",
        QUOTED_BYTES,
        |call| Ok(quote(call.bytes(0)?).into()),
    ),
    Native::inline("pcre_compile", "string pattern", (1, Some(1)), "Compiles a pattern.", |call| {
        Ok(Pattern::parse(call.bytes(0)?)?.into_value())
    }),
    Native::offloading(
        "pcre_replace",
        "Regex or string pattern, string or function replace, string subject [, number limit = 0]",
        (3, Some(4)),
        "Replaces matches, at most `limit` unless it is 0. In a string `$0` to `$99` stand for the groups; a function \
         gets the list of the groups and returns what stands in their place.",
        OF_SUBJECT,
        replace::start,
    ),
];

pub(super) static CLASS: &NativeClass = &pattern::CLASS;

const MATCH_PARAMS: &str = "Regex or string pattern, string subject";

/// What runs on another thread: takes what `pcre_match` does.
static MATCH: Native = thorough("pcre_match", |call| in_full(call, find));
static MATCH_ALL: Native = thorough("pcre_match_all", |call| in_full(call, find_all));

/// The operators, where a shard does not match itself: the pattern and the subject.
pub(crate) static MATCHES: Native = thorough("=~", |call| is_match(call).map(Value::Bool));
pub(crate) static MATCHES_NOT: Native =
    thorough("!~", |call| is_match(call).map(|found| Value::Bool(!found)));

const fn thorough(name: &'static str, run: fn(&mut Call<'_>) -> Result<Value, Fault>) -> Native {
    Native::sized(name, MATCH_PARAMS, (2, Some(2)), "", 0, run)
}

/// Longest string that a shard quotes: each byte by itself.
const QUOTED_BYTES: usize = 16 << 10;

/// Where a match is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// On a shard, which gives up what takes long.
    Shard,
    OtherThread,
}

/// What a native for matches does: none if it takes too long for a shard.
type Find = fn(&mut Call<'_>, On) -> Result<Option<Value>, Fault>;

fn start(call: &mut Call<'_>, thorough: &'static Native, find: Find) -> Result<Step, Fault> {
    match find(call, On::Shard)? {
        Some(value) => Ok(Step::Return(value)),
        None => Step::offload(thorough, call),
    }
}

fn in_full(call: &mut Call<'_>, find: Find) -> Result<Value, Fault> {
    let value = find(call, On::OtherThread)?;
    value.ok_or_else(|| call.error("gave up although nobody waits for it"))
}

fn is_match(call: &mut Call<'_>) -> Result<bool, Fault> {
    call.pattern(0)?.is_match(call.bytes(1)?)
}

fn find(call: &mut Call<'_>, on: On) -> Result<Option<Value>, Fault> {
    let pattern = call.pattern(0)?;
    let subject = call.bytes(1)?;
    let mut groups = pattern.groups();
    let Some(found) = search(&pattern, &mut groups, subject, 0, on)? else { return Ok(None) };
    let array = if found { match_array(&pattern, &groups, subject, true) } else { Array::new() };
    Ok(Some(array.into()))
}

fn search(
    pattern: &Pattern,
    groups: &mut Groups,
    subject: &[u8],
    from: usize,
    on: On,
) -> Result<Option<bool>, Fault> {
    match on {
        On::Shard => Ok(pattern.find_inline(groups, subject, from)),
        On::OtherThread => pattern.find(groups, subject, from).map(Some),
    }
}

/// The groups of a match up to the last that took part, by number and perhaps by name.
fn match_array(pattern: &Pattern, groups: &Groups, subject: &[u8], named: bool) -> Array {
    let last = (0..groups.count()).rev().find(|group| groups.get(*group).is_some()).unwrap_or(0);
    let values: Vec<Value> = (0..=last).map(|group| group_value(groups, group, subject)).collect();
    let names = pattern
        .names()
        .iter()
        .zip(&values)
        .filter_map(|(name, value)| Some((name.as_deref()?, value.clone())));
    let names: Vec<(&str, Value)> = if named { names.collect() } else { Vec::new() };
    let mut array = Array::from_list(values);
    names.into_iter().for_each(|(name, value)| array.set_str(name, value));
    array
}

fn group_value(groups: &Groups, group: usize, subject: &[u8]) -> Value {
    groups.get(group).map_or_else(|| Value::from(""), |(start, end)| Value::from(&subject[start..end]))
}

fn find_all(call: &mut Call<'_>, on: On) -> Result<Option<Value>, Fault> {
    let pattern = call.pattern(0)?;
    let subject = call.str(1)?;
    let mut groups = pattern.groups();
    let mut lists = vec![Vec::new(); groups.count()];
    let mut search = Search::new(on);
    loop {
        match search.next(&pattern, &mut groups, &subject, call.host())? {
            Some(true) => {}
            Some(false) => break,
            None => return Ok(None),
        }
        call.charge(lists.len() * (size_of::<Value>() + SHORT_STRING_BYTES))?;
        crate::ops::check_items(lists.len() * lists[0].len())?;
        for (group, list) in lists.iter_mut().enumerate() {
            list.push(group_value(&groups, group, &subject));
        }
    }
    if lists[0].is_empty() {
        return Ok(Some(Array::new().into()));
    }
    let lists: Vec<Value> = lists.into_iter().map(Value::from).collect();
    let named =
        pattern.names().iter().zip(&lists).filter_map(|(name, list)| Some((name.as_deref()?, list.clone())));
    let named: Vec<(&str, Value)> = named.collect();
    let mut array = Array::from_list(lists);
    named.into_iter().for_each(|(name, list)| array.set(Key::from_bytes(name.as_bytes()), list));
    Ok(Some(array.into()))
}

/// Walks over the matches that do not overlap.
struct Search {
    on: On,
    from: usize,
    last_end: Option<usize>,
    /// Groups of the matches that a shard has found, and what those took that are counted.
    found_groups: usize,
    /// Seconds that the other thread has looked for matches.
    took_s: f64,
}

impl Search {
    fn new(on: On) -> Search {
        Search { on, from: 0, last_end: None, found_groups: 0, took_s: 0.0 }
    }

    /// Finds the next match; none if that, or all of them together, takes too long for a shard. An empty one right behind the
    /// last match does not count.
    fn next(
        &mut self,
        pattern: &Pattern,
        groups: &mut Groups,
        subject: &[u8],
        host: &dyn Host,
    ) -> Result<Option<bool>, Fault> {
        if self.on == On::Shard {
            let counted = pattern.is_counted_inline(subject.len().saturating_sub(self.from));
            self.found_groups += if counted { INLINE_MATCHED_GROUPS / 4 } else { groups.count() };
            if self.found_groups > INLINE_MATCHED_GROUPS {
                return Ok(None);
            }
            return self.find(pattern, groups, subject);
        }
        let begun = host.monotonic();
        let found = self.find(pattern, groups, subject)?;
        // Each match is bounded; their number is that of the bytes.
        self.took_s += host.monotonic() - begun;
        if self.took_s > MAX_MATCHING_SECONDS {
            return Err(Fault::error(format!(
                "a regular expression took longer than {MAX_MATCHING_SECONDS} seconds"
            )));
        }
        Ok(found)
    }

    fn find(
        &mut self,
        pattern: &Pattern,
        groups: &mut Groups,
        subject: &[u8],
    ) -> Result<Option<bool>, Fault> {
        while self.from <= subject.len() {
            match search(pattern, groups, subject, self.from, self.on)? {
                Some(true) => {}
                end => return Ok(end),
            }
            let Some((start, end)) = groups.get(0) else { break };
            // With \K a match may end before it began to look.
            let end = end.max(self.from);
            self.from = if start >= end { pattern.step_over(subject, end) } else { end };
            if start < end || self.last_end != Some(end) {
                self.last_end = Some(end);
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }
}

fn quote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    for byte in text {
        match byte {
            0 => out.extend_from_slice(b"\\000"),
            byte if b"\\+*?[^]$(){}=!<>|:-#/.".contains(byte) => out.extend([b'\\', *byte]),
            byte => out.push(*byte),
        }
    }
    out
}

#[cfg(test)]
mod tests;
