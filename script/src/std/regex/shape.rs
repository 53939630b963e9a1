//! How bad a pattern can get: what its text says of the work of a match, before anything is matched.

/// Longest subjects, in bytes, that machine code may match, by the power of their length that the work can grow with.
/// Machine code counts the rounds of groups, but not those of single characters: each entry keeps those at some millions.
const TRUSTED_BYTES: [usize; 6] = [usize::MAX, usize::MAX, 2048, 160, 45, 21];
/// The same for patterns whose work can double with each byte.
const TRUSTED_BYTES_AT_WORST: usize = 12;
/// Bounded repeats up to here are a factor, not a power.
const FEW: u32 = 16;
/// Optional items up to here are a factor.
const FEW_OPTIONS: u32 = 8;

/// What the text of a pattern says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Longest subject, in bytes, for which machine code is sure to end soon.
    pub(super) trusted_bytes: usize,
    /// The pattern means the same as a part of a larger one.
    pub(super) can_be_part: bool,
}

/// Reads the text of a pattern without the verbs at its start. What it does not know, it takes for the worst.
pub(super) fn shape(body: &[u8], multi_line: bool, extended: bool) -> Shape {
    let mut reader = Reader { body, at: 0, extended, can_be_part: true, ..Reader::default() };
    let anchored = !multi_line && body.starts_with(b"^") || body.starts_with(b"\\A");
    reader.read();
    let power = reader.powers + u32::from(!anchored || reader.top_alternatives);
    let worst = reader.doubles || reader.options > FEW_OPTIONS;
    let trusted = TRUSTED_BYTES.get(power as usize).filter(|_| !worst);
    Shape {
        trusted_bytes: trusted.copied().unwrap_or(TRUSTED_BYTES_AT_WORST),
        can_be_part: reader.can_be_part,
    }
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
    options: u32,
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
            _ if varies => self.options += 1,
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

    fn trusted(body: &str) -> usize {
        shape(body.as_bytes(), false, false).trusted_bytes
    }

    #[test]
    fn the_power_counts_open_repeats_and_the_places_to_start_at() {
        for (body, power) in [
            ("abc", 1),
            ("^abc", 0),
            ("^[*+]{3}\\*\\Q.*\\E$", 0),
            ("^a*b", 1),
            ("\\s+$", 2),
            ("^a|b", 1),
            ("^(a|b)+", 6),
            ("^[\\w.+-]+@[\\w.-]+\\.[a-z]{2,63}$", 3),
            ("(?=.*.*x)", 3),
            ("^(.*)\\1b", 2),
            ("^a{1,5}b?", 0),
            ("^x{}{a}+", 1),
        ] {
            let expected = TRUSTED_BYTES.get(power).copied().unwrap_or(TRUSTED_BYTES_AT_WORST);
            assert_eq!(trusted(body), expected, "{body}");
        }
    }

    #[test]
    fn repeats_within_repeats_are_the_worst() {
        for body in
            ["(a+)+b", "^(?:a|aa)+$", "(a*)*", "^(([a-z])+.)+", "(?:a?){20}", "((?:x+))*", "(?R)", "^(a)(?1)"]
        {
            assert_eq!(trusted(body), TRUSTED_BYTES_AT_WORST, "{body}");
        }
        assert_eq!(trusted(&"a?".repeat(9)), TRUSTED_BYTES_AT_WORST);
    }

    #[test]
    fn what_acts_on_the_whole_match_cannot_be_a_part() {
        for body in ["a(*PRUNE)b", "(?R)", "(a)\\g<0>"] {
            assert!(!shape(body.as_bytes(), false, false).can_be_part, "{body}");
        }
        assert!(shape(b"(?i)a\\g{1}(b)(?#c)", false, false).can_be_part);
    }

    #[test]
    fn comments_count_only_where_there_are_some() {
        assert_eq!(shape(b"^a # .*.*.*", false, true).trusted_bytes, usize::MAX);
        assert_eq!(shape(b"^a # .*.*.*", false, false).trusted_bytes, TRUSTED_BYTES[3]);
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
            shape(&text, state & 1 == 0, state & 2 == 0);
        }
    }
}
