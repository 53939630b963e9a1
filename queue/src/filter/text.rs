//! How texts are matched: equal without case, unless it is said otherwise.

use regex::bytes::{Regex, RegexBuilder};
use rustc_hash::FxHashSet;

use crate::limits;

/// What a text must be.
#[derive(Clone, Debug)]
pub struct TextMatch {
    how: How,
    case_sensitive: bool,
    negate: bool,
}

#[derive(Clone, Debug)]
enum How {
    Equal(Box<[u8]>),
    /// A domain, with the dot in front of it, that the text is below.
    Below(Box<[u8]>),
    Regex(Regex),
}

/// A regular expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern(String);

impl std::fmt::Display for BadPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

impl TextMatch {
    /// The text is this, without case.
    pub fn equal(text: &str) -> TextMatch {
        TextMatch { how: How::Equal(text.as_bytes().into()), case_sensitive: false, negate: false }
    }

    /// As [`TextMatch::equal`], but `*.domain` stands for all names below the domain.
    pub fn host(text: &str) -> TextMatch {
        match text.strip_prefix('*').filter(|domain| domain.starts_with('.')) {
            Some(domain) => TextMatch { how: How::Below(domain.as_bytes().into()), ..TextMatch::equal("") },
            None => TextMatch::equal(text),
        }
    }

    /// The text stands somewhere in it.
    ///
    /// # Errors
    /// It is too long.
    pub fn containing(text: &str, case_sensitive: bool) -> Result<TextMatch, BadPattern> {
        TextMatch::regex(&regex::escape(text), case_sensitive)
    }

    /// The expression matches somewhere in it.
    ///
    /// # Errors
    /// It is none, or too large.
    pub fn regex(pattern: &str, case_sensitive: bool) -> Result<TextMatch, BadPattern> {
        let built = RegexBuilder::new(pattern)
            .case_insensitive(!case_sensitive)
            .size_limit(limits::REGEX_BYTES)
            .dfa_size_limit(limits::REGEX_BYTES)
            .build();
        let regex = built.map_err(|error| BadPattern(error.to_string()))?;
        Ok(TextMatch { how: How::Regex(regex), case_sensitive, negate: false })
    }

    /// With or without regard to case.
    #[must_use]
    pub fn case_sensitive(self, case_sensitive: bool) -> TextMatch {
        TextMatch { case_sensitive, ..self }
    }

    /// Matches all other texts.
    #[must_use]
    pub fn negated(self, negate: bool) -> TextMatch {
        TextMatch { negate, ..self }
    }

    /// Whether the text is that.
    pub fn matches(&self, text: &[u8]) -> bool {
        let equal = |one: &[u8], other: &[u8]| match self.case_sensitive {
            true => one == other,
            false => one.eq_ignore_ascii_case(other),
        };
        let found = match &self.how {
            How::Equal(wanted) => equal(wanted, text),
            How::Below(domain) => {
                text.len() > domain.len() && equal(domain, &text[text.len() - domain.len()..])
            }
            How::Regex(regex) => regex.is_match(text),
        };
        found != self.negate
    }
}

/// Many alternatives.
#[derive(Clone, Debug)]
pub(super) struct TextSet {
    /// Equal without case: in lower case.
    equal: FxHashSet<Box<[u8]>>,
    others: Vec<TextMatch>,
}

impl TextSet {
    pub(super) fn new(list: Vec<TextMatch>) -> TextSet {
        let mut set = TextSet { equal: FxHashSet::default(), others: Vec::new() };
        for wanted in list {
            match wanted {
                TextMatch { how: How::Equal(mut text), case_sensitive: false, negate: false } => {
                    text.make_ascii_lowercase();
                    set.equal.insert(text);
                }
                other => set.others.push(other),
            }
        }
        set
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let is_lower = !text.iter().any(u8::is_ascii_uppercase);
        let listed = match is_lower {
            true => self.equal.contains(text),
            false => self.equal.contains(&*text.to_ascii_lowercase()),
        };
        listed || self.others.iter().any(|wanted| wanted.matches(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_alternatives_match_what_each_of_them_does() {
        let list = || {
            vec![
                TextMatch::equal("One.Test"),
                TextMatch::equal("Two.Test").case_sensitive(true),
                TextMatch::host("*.three.test"),
                TextMatch::regex("^four", false).unwrap(),
                TextMatch::equal(""),
            ]
        };
        let set = TextSet::new(list());
        for text in [
            "one.test",
            "ONE.test",
            "two.test",
            "Two.Test",
            "a.three.test",
            "three.test",
            "Fourth",
            "",
            "five",
        ] {
            let compared = list().iter().any(|wanted| wanted.matches(text.as_bytes()));
            assert_eq!(set.matches(text.as_bytes()), compared, "{text}");
        }
        let all_but = TextSet::new(vec![TextMatch::equal("a").negated(true), TextMatch::equal("b")]);
        assert!(all_but.matches(b"b") && all_but.matches(b"c") && !all_but.matches(b"a"));
    }
}
