//! Regular expressions: hsl-stdlib 5.

mod counted;
mod pattern;
mod replace;
mod shape;

pub use pattern::{Groups, Pattern, PatternCache};

use crate::fault::Fault;
use crate::host::Host;
use crate::limits::{OFFLOAD_ABOVE_BYTES, SHORT_STRING_BYTES};
use crate::native::{Call, Native, NativeClass, NativeRun};
use crate::value::{Array, Key, Value};

pub(super) static NATIVES: &[Native] = &[
    Native {
        name: "pcre_match",
        params: "Regex or string pattern, string subject",
        doc: "The first match: the whole at 0, groups by number and, where they have one, by name. A group that took no \
              part is an empty string, or missing at the end. Empty array if nothing matches.",
        min_args: 2,
        max_args: Some(2),
        run: NativeRun::Sized { above_bytes: OFFLOAD_ABOVE_BYTES, run: find },
    },
    Native {
        name: "pcre_match_all",
        params: "Regex or string pattern, string subject",
        doc: "All matches, by group: the list of whole matches at 0, the list of each group under its number and name. \
              Empty array if nothing matches.",
        min_args: 2,
        max_args: Some(2),
        run: NativeRun::Sized { above_bytes: OFFLOAD_ABOVE_BYTES, run: find_all },
    },
    Native::inline(
        "pcre_quote",
        "string",
        (1, Some(1)),
        "The string with a backslash before each character that means something in a pattern.",
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
        (OFFLOAD_ABOVE_BYTES, "the subject, with a string"),
        replace::start,
    ),
];

pub(super) static CLASS: &NativeClass = &pattern::CLASS;

fn find(call: &mut Call<'_>) -> Result<Value, Fault> {
    let pattern = call.pattern(0)?;
    let subject = call.bytes(1)?;
    let mut groups = pattern.groups();
    let found = pattern.captures_at(&mut groups, subject, 0)?;
    Ok(if found { match_array(&pattern, &groups, subject, true) } else { Array::new() }.into())
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

fn find_all(call: &mut Call<'_>) -> Result<Value, Fault> {
    let pattern = call.pattern(0)?;
    let subject = call.str(1)?;
    let mut groups = pattern.groups();
    let mut lists = vec![Vec::new(); groups.count()];
    let mut search = Search::default();
    while search.next(&pattern, &mut groups, &subject, call.host())? {
        call.charge(lists.len() * (size_of::<Value>() + SHORT_STRING_BYTES))?;
        crate::ops::check_items(lists.len() * lists[0].len())?;
        for (group, list) in lists.iter_mut().enumerate() {
            list.push(group_value(&groups, group, &subject));
        }
    }
    if lists[0].is_empty() {
        return Ok(Array::new().into());
    }
    let lists: Vec<Value> = lists.into_iter().map(Value::from).collect();
    let named =
        pattern.names().iter().zip(&lists).filter_map(|(name, list)| Some((name.as_deref()?, list.clone())));
    let named: Vec<(&str, Value)> = named.collect();
    let mut array = Array::from_list(lists);
    named.into_iter().for_each(|(name, list)| array.set(Key::from_bytes(name.as_bytes()), list));
    Ok(array.into())
}

/// Walks over the matches that do not overlap.
#[derive(Default)]
struct Search {
    from: usize,
    last_end: Option<usize>,
    /// Seconds that it has looked for matches.
    took_s: f64,
}

impl Search {
    /// Finds the next match. An empty one right behind the last match does not count.
    fn next(
        &mut self,
        pattern: &Pattern,
        groups: &mut Groups,
        subject: &[u8],
        host: &dyn Host,
    ) -> Result<bool, Fault> {
        let begun = host.monotonic();
        let found = self.find(pattern, groups, subject)?;
        // Each match is bounded; their number is that of the bytes.
        self.took_s += host.monotonic() - begun;
        let most = host.matching_seconds();
        if self.took_s > most {
            return Err(Fault::error(format!("a regular expression took longer than {most} seconds")));
        }
        Ok(found)
    }

    fn find(&mut self, pattern: &Pattern, groups: &mut Groups, subject: &[u8]) -> Result<bool, Fault> {
        while self.from <= subject.len() && pattern.captures_at(groups, subject, self.from)? {
            let Some((start, end)) = groups.get(0) else { break };
            // With \K a match may end before it began to look.
            let end = end.max(self.from);
            self.from = if start >= end { pattern.step_over(subject, end) } else { end };
            if start < end || self.last_end != Some(end) {
                self.last_end = Some(end);
                return Ok(true);
            }
        }
        Ok(false)
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
