//! Matches that may take long: on another thread.
//!
//! In machine code where its work is bounded by the length of the subject; else with all steps counted. PCRE2 begins to count
//! anew at each position of the subject, and its machine code does not count the rounds of single characters. So the pattern
//! is interpreted, which counts each step, as a part of one that finds the position itself: to PCRE2 there is then one
//! position, and its limit is one for the whole match (decisions 0040 and 0055).

use std::borrow::Cow;
use std::sync::OnceLock;

use pcre2::Error;
use pcre2::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::shape::Shape;
use crate::limits::{
    COUNTED_STEPS, COUNTED_STEPS_UP_TO_BYTES, INLINE_COUNTED_BYTES, INLINE_COUNTED_STEPS,
    MAX_COUNTED_HEAP_KIB, MAX_COUNTED_STEPS, MAX_COUNTED_STEPS_PER_START, MAX_MATCH_HEAP_KIB,
    MAX_MATCH_STEPS, MAX_STRING_BYTES,
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
pub(super) struct Thorough {
    builder: RegexBuilder,
    text: Text,
    utf: bool,
    shape: Shape,
    machine: OnceLock<Result<Regex, Error>>,
    /// For a shard.
    inline: OnceLock<Result<Regex, Error>>,
    /// By the length of the subject: the first for [`COUNTED_STEPS_UP_TO_BYTES`], each other one for four times as much.
    counted: [OnceLock<Result<Regex, Error>>; LENGTHS],
}

/// As many as lead to the longest string.
const LENGTHS: usize = 6;
const _: () = assert!(COUNTED_STEPS_UP_TO_BYTES << (2 * (LENGTHS - 1)) >= MAX_STRING_BYTES);

impl Clone for Thorough {
    /// What a match writes to belongs to a thread: each compiles for itself.
    fn clone(&self) -> Thorough {
        Thorough::new(self.builder.clone(), self.text.clone(), self.utf, self.shape)
    }
}

impl Thorough {
    pub(super) fn new(builder: RegexBuilder, text: Text, utf: bool, shape: Shape) -> Thorough {
        Thorough {
            builder,
            text,
            utf,
            shape,
            machine: OnceLock::new(),
            inline: OnceLock::new(),
            counted: Default::default(),
        }
    }

    pub(super) fn utf(&self) -> bool {
        self.utf
    }

    pub(super) fn source_bytes(&self) -> usize {
        self.text.body.len()
    }

    pub(super) fn captures_at(
        &self,
        groups: &mut CaptureLocations,
        subject: &[u8],
        start: usize,
    ) -> Result<bool, Error> {
        if subject.len() - start > self.shape.trusted_bytes {
            return self.counted_at(groups, subject, start);
        }
        let regex = self.machine.get_or_init(|| {
            let steps = format!("(*LIMIT_MATCH={MAX_MATCH_STEPS})(*LIMIT_HEAP={MAX_MATCH_HEAP_KIB})");
            let Text { verbs, body, .. } = &self.text;
            self.builder.clone().jit_if_available(true).build(&format!("{steps}{verbs}{body}"))
        });
        let found = regex.as_ref().map_err(Clone::clone)?.captures_read_at(groups, subject, start)?;
        Ok(found.is_some())
    }

    /// As many steps as a shard may take; none if that is too little.
    pub(super) fn inline_at(
        &self,
        groups: &mut CaptureLocations,
        subject: &[u8],
        start: usize,
    ) -> Option<bool> {
        if subject.len() - start > INLINE_COUNTED_BYTES || !self.shape.can_be_part {
            return None;
        }
        let regex = self.inline.get_or_init(|| self.compile(INLINE_COUNTED_STEPS)).as_ref().ok()?;
        let subject = self.prepared(subject);
        let found = regex.captures_read_at(groups, &subject, start);
        found.ok().map(|found| found.is_some())
    }

    pub(super) fn counted_at(
        &self,
        groups: &mut CaptureLocations,
        subject: &[u8],
        start: usize,
    ) -> Result<bool, Error> {
        let regex = self.counted(subject.len() - start)?;
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

    fn counted(&self, subject_bytes: usize) -> Result<&Regex, Error> {
        let fits = |at: &usize| subject_bytes <= COUNTED_STEPS_UP_TO_BYTES << (2 * at);
        let at = (0..LENGTHS).find(fits).unwrap_or(LENGTHS - 1);
        let steps = COUNTED_STEPS.saturating_mul(1 << (2 * at)).min(MAX_COUNTED_STEPS);
        self.counted[at].get_or_init(|| self.compile(steps)).as_ref().map_err(Clone::clone)
    }

    fn compile(&self, steps: u32) -> Result<Regex, Error> {
        let Text { verbs, body, extended } = &self.text;
        // A repeat that never gives back is one step however long it is, so none is made one silently.
        let limits =
            |steps| format!("(*LIMIT_MATCH={steps})(*LIMIT_HEAP={MAX_COUNTED_HEAP_KIB})(*NO_AUTO_POSSESS)");
        let end = if *extended { "\n" } else { "" };
        // With COMMIT there is no second position. An anchor would have the same effect, but then PCRE2 would no longer look
        // first whether a character that any match needs is there at all.
        let part = format!("{}(*NO_DOTSTAR_ANCHOR){verbs}(*COMMIT)(?s:.*?)\\K(?:{body}{end})", limits(steps));
        if self.shape.can_be_part
            && let Ok(regex) = self.builder.build(&part)
        {
            return Ok(regex);
        }
        // What only makes sense as a whole: less from each position, so that it is not too much from all of them.
        self.builder.build(&format!("{}{verbs}{body}", limits(MAX_COUNTED_STEPS_PER_START)))
    }
}
