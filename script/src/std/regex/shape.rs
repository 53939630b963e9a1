//! How bad a pattern can get: what its text says of the work of a match, before anything is matched.

use crate::limits::{INLINE_ROUNDS, OFFLOAD_ABOVE_BYTES, OFFLOADED_ROUNDS};

/// Longest subject, in bytes, for patterns whose work can double with each byte.
const BYTES_AT_WORST: usize = 12;
/// Powers of the length up to here have a formula.
const MOST_POWERS: u32 = 5;
/// Bounded repeats up to here are a factor, not a power.
const FEW: u32 = 16;
/// Work at one position that is no more than a factor.
const SMALL_FACTOR: u64 = 1 << 16;

/// What the text of a pattern says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Longest subject, in bytes, that a shard matches itself.
    pub(super) inline_bytes: usize,
    /// Longest subject, in bytes, for which machine code is sure to end soon on another thread.
    pub(super) trusted_bytes: usize,
    /// The pattern means the same as a part of a larger one.
    pub(super) can_be_part: bool,
}

/// Reads the text of a pattern without the verbs at its start. What it does not know, it takes for the worst.
pub(super) fn shape(body: &[u8], multi_line: bool, extended: bool, utf: bool) -> Shape {
    let mut reader = Reader { body, at: 0, extended, can_be_part: true, factor: 1, ..Reader::default() };
    let anchored = !multi_line && body.starts_with(b"^") || body.starts_with(b"\\A");
    reader.read();
    let power = reader.powers + u32::from(!anchored || reader.top_alternatives);
    // Texts are compared some bytes at a time; a character of UTF-8 takes a look at a table.
    let factor = reader
        .factor
        .saturating_mul(1 + reader.alternatives)
        .saturating_mul(1 + body.len() as u64 / 64)
        .saturating_mul(if utf { 4 } else { 1 });
    let longest = |rounds: u64| {
        if reader.doubles { BYTES_AT_WORST } else { longest_bytes(power, factor, rounds) }
    };
    let linear = power <= 1 && factor <= SMALL_FACTOR && !reader.doubles;
    Shape {
        inline_bytes: match longest(INLINE_ROUNDS) {
            usize::MAX => usize::MAX,
            bytes => bytes.min(OFFLOAD_ABOVE_BYTES),
        },
        trusted_bytes: if linear { usize::MAX } else { longest(OFFLOADED_ROUNDS) },
        can_be_part: reader.can_be_part,
    }
}

/// The longest subject for which `factor` times the ways to choose `power` places in it are at most `rounds`. Machine code
/// counts the rounds of groups, but not those of single characters.
fn longest_bytes(power: u32, factor: u64, rounds: u64) -> usize {
    let ways = rounds / factor;
    let bytes = match power {
        0 if ways > 0 => return usize::MAX,
        0 => 0,
        1..=MOST_POWERS => {
            let orders: u64 = (1..=u64::from(power)).product();
            ((ways * orders) as f64).powf(1.0 / f64::from(power)) as usize
        }
        _ => 0,
    };
    bytes.max(BYTES_AT_WORST)
}

/// What a quantifier would repeat.
#[derive(Clone, Copy, Default)]
enum Item {
    #[default]
    Nothing,
    Single,
    Group {
        varies: bool,
    },
}

#[derive(Default)]
struct Reader<'b> {
    body: &'b [u8],
    at: usize,
    extended: bool,
    /// For each open group, whether its content can match in several ways.
    open: Vec<bool>,
    last: Item,
    top_alternatives: bool,
    /// Repeats of any length.
    powers: u32,
    /// Ways that bounded repeats have, all together.
    factor: u64,
    alternatives: u64,
    /// Repeats of something that repeats, or the like.
    doubles: bool,
    can_be_part: bool,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(byte) = self.body.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'\\' => self.escape(),
                b'[' => self.class(),
                b'(' => self.open_group(),
                b')' => self.close_group(),
                b'|' => {
                    self.top_alternatives |= self.open.is_empty();
                    self.alternatives += 1;
                    self.varies();
                    self.last = Item::Nothing;
                }
                b'*' => self.repeat(0, u32::MAX),
                b'+' => self.repeat(1, u32::MAX),
                b'?' => self.repeat(0, 1),
                b'{' => match self.counts() {
                    Some((least, most)) => self.repeat(least, most),
                    None => self.last = Item::Single,
                },
                b'#' if self.extended => self.skip_to(b"\n"),
                byte if self.extended && byte.is_ascii_whitespace() => {}
                _ => self.last = Item::Single,
            }
        }
    }

    fn rest(&self) -> &[u8] {
        &self.body[self.at.min(self.body.len())..]
    }

    fn skip_to(&mut self, end: &[u8]) {
        let found = self.rest().windows(end.len()).position(|part| part == end);
        self.at = found.map_or(self.body.len(), |found| self.at + found + end.len());
    }

    fn varies(&mut self) {
        if let Some(group) = self.open.last_mut() {
            *group = true;
        }
    }

    fn escape(&mut self) {
        let escaped = self.body.get(self.at).copied();
        self.at += 1;
        self.last = Item::Single;
        match escaped {
            Some(b'Q') => self.skip_to(b"\\E"),
            // Calls of groups look like references to them.
            Some(b'g') if self.rest().starts_with(b"<") || self.rest().starts_with(b"'") => self.calls(),
            Some(b'1'..=b'9' | b'g' | b'k') => {
                self.powers += 1;
                self.varies();
            }
            _ => {}
        }
    }

    /// A group is called: what it does is done again, perhaps within itself.
    fn calls(&mut self) {
        self.doubles = true;
        self.can_be_part = false;
    }

    fn class(&mut self) {
        self.last = Item::Single;
        if self.rest().starts_with(b"^") {
            self.at += 1;
        }
        if self.rest().starts_with(b"]") {
            self.at += 1;
        }
        while let Some(byte) = self.body.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'[' if self.rest().starts_with(b":") => self.skip_to(b":]"),
                b']' => return,
                _ => {}
            }
        }
    }

    fn open_group(&mut self) {
        self.last = Item::Nothing;
        match self.rest() {
            // A verb, which acts on the whole match.
            [b'*', ..] => self.calls(),
            [b'?', b'#', ..] => return self.skip_to(b")"),
            [b'?', b'R' | b'&' | b'0'..=b'9' | b'+', ..] | [b'?', b'P', b'>', ..] => self.calls(),
            [b'?', b'-', b'0'..=b'9', ..] => self.calls(),
            [b'?', b'P', b'=', ..] => {
                self.powers += 1;
                self.varies();
            }
            _ => {}
        }
        // What stands between ( and the content has no quantifiers.
        if self.rest().starts_with(b"?") {
            self.at += 1;
        }
        self.open.push(false);
    }

    fn close_group(&mut self) {
        let varies = self.open.pop().unwrap_or(true);
        if varies {
            self.varies();
        }
        self.last = Item::Group { varies };
    }

    /// `{least,most}` behind its bracket; none if these are characters.
    fn counts(&mut self) -> Option<(u32, u32)> {
        let end = self.rest().iter().position(|byte| *byte == b'}')?;
        let text = std::str::from_utf8(&self.rest()[..end]).ok()?;
        let (least, most) = match text.split_once(',') {
            None => (text.trim().parse().ok()?, text.trim().parse().ok()?),
            Some((least, most)) => {
                let number = |text: &str, missing| match text.trim() {
                    "" => Some(missing),
                    digits => digits.parse().ok(),
                };
                (number(least, 0)?, number(most, u32::MAX)?)
            }
        };
        self.at += end + 1;
        Some((least, most))
    }

    fn repeat(&mut self, least: u32, most: u32) {
        if self.rest().starts_with(b"?") || self.rest().starts_with(b"+") {
            self.at += 1;
        }
        let varies = least != most;
        match self.last {
            Item::Group { varies: true } if most > 1 => self.doubles = true,
            Item::Nothing => {}
            _ if varies && most > FEW => self.powers += 1,
            _ if varies => self.factor = self.factor.saturating_mul(u64::from(most - least.min(most)) + 1),
            _ => {}
        }
        if varies {
            self.varies();
        }
        self.last = Item::Nothing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(body: &str) -> usize {
        shape(body.as_bytes(), false, false, false).inline_bytes
    }

    #[test]
    fn the_power_counts_open_repeats_and_the_places_to_start_at() {
        for (body, power) in [
            ("abc", 1),
            ("^abc", 0),
            ("^[*+]{3}\\*\\Q.*\\E$", 0),
            ("^a*b", 1),
            ("\\s+$", 2),
            ("^(a|b)+", 6),
            ("^[\\w.+-]+@[\\w.-]+\\.[a-z]{2,63}$", 3),
            ("(?=.*.*x)", 3),
            ("^(.*)\\1b", 2),
            ("^a{1,5}b?", 0),
            ("^x{}{a}+", 1),
        ] {
            let expected = if power > 5 { BYTES_AT_WORST } else { longest_bytes(power, 1, INLINE_ROUNDS) };
            let expected = if power == 0 { usize::MAX } else { expected.min(OFFLOAD_ABOVE_BYTES) };
            assert_eq!(inline(body), expected, "{body}");
        }
    }

    #[test]
    fn repeats_within_repeats_are_the_worst() {
        for body in
            ["(a+)+b", "^(?:a|aa)+$", "(a*)*", "^(([a-z])+.)+", "(?:a?){20}", "((?:x+))*", "(?R)", "^(a)(?1)"]
        {
            assert_eq!(inline(body), BYTES_AT_WORST, "{body}");
        }
    }

    #[test]
    fn bounded_repeats_and_alternatives_are_factors() {
        let words = |count: usize| (0..count).map(|at| format!("w{at}")).collect::<Vec<_>>().join("|");
        let worst = "[ab]{1,16}".repeat(8) + "[bc]";
        for (body, least, most) in [
            ("\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}".to_owned(), 500, 2_000),
            ("^\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}$".to_owned(), usize::MAX, usize::MAX),
            (words(8), 8_000, 20_000),
            ("^a|b".to_owned(), 32_768, 32_768),
            (words(500), BYTES_AT_WORST, 100),
            ("a?".repeat(9), 100, 300),
            (worst, BYTES_AT_WORST, BYTES_AT_WORST),
            ("x".repeat(10_000), 300, 1_000),
        ] {
            let bytes = inline(&body);
            assert!((least..=most).contains(&bytes), "{bytes}: {:.60}", body);
        }
    }

    #[test]
    fn another_thread_may_take_longer() {
        for (body, bytes) in
            [("abc", usize::MAX), ("a+b", 11_585), ("a+b+c", 738), ("(a+)+b", BYTES_AT_WORST)]
        {
            assert_eq!(shape(body.as_bytes(), false, false, false).trusted_bytes, bytes, "{body}");
        }
    }

    #[test]
    fn what_acts_on_the_whole_match_cannot_be_a_part() {
        for body in ["a(*PRUNE)b", "(?R)", "(a)\\g<0>"] {
            assert!(!shape(body.as_bytes(), false, false, false).can_be_part, "{body}");
        }
        assert!(shape(b"(?i)a\\g{1}(b)(?#c)", false, false, false).can_be_part);
    }

    #[test]
    fn comments_count_only_where_there_are_some() {
        assert_eq!(shape(b"^a # .*.*.*", false, true, false).inline_bytes, usize::MAX);
        assert_eq!(
            shape(b"^a # .*.*.*", false, false, false).inline_bytes,
            longest_bytes(3, 1, INLINE_ROUNDS)
        );
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        let bytes: Vec<u8> = b"\\[]^(?#)*+{},|QE:1a".to_vec();
        let mut state = 1_u32;
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..12)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    bytes[(state >> 16) as usize % bytes.len()]
                })
                .collect();
            shape(&text, state & 1 == 0, state & 2 == 0, state & 4 == 0);
        }
    }
}
