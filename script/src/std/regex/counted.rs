//! Matches whose steps are counted, for subjects that are too long to trust machine code with.
//!
//! PCRE2 begins to count anew at each position of the subject, and its machine code does not count the rounds of single
//! characters. So the pattern is interpreted, which counts each step, as a part of one that finds the position itself: to
//! PCRE2 there is then one position, and its limit is one for the whole match.

use std::borrow::Cow;
use std::sync::OnceLock;

use pcre2::Error;
use pcre2::bytes::{CaptureLocations, Regex, RegexBuilder};

use crate::limits::{
    MAX_COUNTED_HEAP_KIB, MAX_COUNTED_STEPS, MAX_COUNTED_STEPS_PER_START, MAX_STRING_BYTES,
    OFFLOAD_ABOVE_BYTES,
};

/// The parts of a pattern.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// What must come first.
    pub(super) verbs: String,
    pub(super) body: String,
    /// A comment may be open at the end.
    pub(super) extended: bool,
}

/// Compiled at the first use.
#[derive(Debug)]
pub(super) struct Counted {
    builder: RegexBuilder,
    text: Text,
    utf: bool,
    can_be_part: bool,
    /// By the length of the subject: the first for what a shard matches itself, each other one for four times as much.
    by_length: [OnceLock<Result<Regex, Error>>; LENGTHS],
}

/// As many as lead to the longest string.
const LENGTHS: usize = 6;
const _: () = assert!(OFFLOAD_ABOVE_BYTES << (2 * (LENGTHS - 1)) >= MAX_STRING_BYTES);

impl Clone for Counted {
    /// What a match writes to belongs to a thread: each compiles for itself.
    fn clone(&self) -> Counted {
        Counted::new(self.builder.clone(), self.text.clone(), self.utf, self.can_be_part)
    }
}

impl Counted {
    pub(super) fn new(builder: RegexBuilder, text: Text, utf: bool, can_be_part: bool) -> Counted {
        Counted { builder, text, utf, can_be_part, by_length: Default::default() }
    }

    pub(super) fn utf(&self) -> bool {
        self.utf
    }

    pub(super) fn source_bytes(&self) -> usize {
        self.text.body.len()
    }

    #[cold]
    pub(super) fn is_match(&self, subject: &[u8]) -> Result<bool, Error> {
        self.regex(subject.len())?.is_match(&self.prepared(subject))
    }

    #[cold]
    pub(super) fn captures_at(
        &self,
        groups: &mut CaptureLocations,
        subject: &[u8],
        start: usize,
    ) -> Result<bool, Error> {
        let regex = self.regex(subject.len() - start)?;
        let subject = self.prepared(subject);
        let found = regex.captures_read_at(groups, &subject, start)?;
        Ok(found.is_some())
    }

    /// With `u`, bytes that are no characters match nothing, and nothing gets past them. A NUL stands for each, which
    /// is as good for any pattern that does not ask for one.
    fn prepared<'s>(&self, subject: &'s [u8]) -> Cow<'s, [u8]> {
        if !self.utf || std::str::from_utf8(subject).is_ok() {
            return Cow::Borrowed(subject);
        }
        let mut clean = Vec::with_capacity(subject.len());
        for chunk in subject.utf8_chunks() {
            clean.extend_from_slice(chunk.valid().as_bytes());
            clean.resize(clean.len() + chunk.invalid().len(), 0);
        }
        Cow::Owned(clean)
    }

    fn regex(&self, subject_bytes: usize) -> Result<&Regex, Error> {
        let fits = |at: &usize| subject_bytes <= OFFLOAD_ABOVE_BYTES << (2 * at);
        let at = (0..LENGTHS).find(fits).unwrap_or(LENGTHS - 1);
        let steps = MAX_COUNTED_STEPS << (2 * at);
        self.by_length[at].get_or_init(|| self.compile(steps)).as_ref().map_err(Clone::clone)
    }

    fn compile(&self, steps: u32) -> Result<Regex, Error> {
        let Text { verbs, body, extended } = &self.text;
        let limits = |steps| format!("(*LIMIT_MATCH={steps})(*LIMIT_HEAP={MAX_COUNTED_HEAP_KIB})");
        let end = if *extended { "\n" } else { "" };
        // With COMMIT there is no second position. An anchor would have the same effect, but then PCRE2 would no longer look
        // first whether a character that any match needs is there at all.
        let part = format!("{}(*NO_DOTSTAR_ANCHOR){verbs}(*COMMIT)(?s:.*?)\\K(?:{body}{end})", limits(steps));
        if self.can_be_part
            && let Ok(regex) = self.builder.build(&part)
        {
            return Ok(regex);
        }
        // What only makes sense as a whole: less from each position, so that it is not too much from all of them.
        self.builder.build(&format!("{}{verbs}{body}", limits(MAX_COUNTED_STEPS_PER_START)))
    }
}
