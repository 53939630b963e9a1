//! One copy of texts that many items have: a destination that defers says the same to all.

use bytes::Bytes;
use rustc_hash::FxHashSet;

use crate::limits::{REPLY_MAX_BYTES, SHARED_TEXTS};
use crate::types::{ItemState, Settle};

/// Texts that were seen lately. Those that peers make different for each message come and go.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    known: FxHashSet<Bytes>,
}

impl Texts {
    /// The one copy of a text, cut to its longest length, with nothing else in memory behind it.
    fn share(&mut self, text: &[u8]) -> Bytes {
        let text = &text[..text.len().min(REPLY_MAX_BYTES)];
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        if self.known.len() == SHARED_TEXTS {
            self.known.clear();
        }
        let own = Bytes::copy_from_slice(text);
        self.known.insert(own.clone());
        own
    }

    pub(crate) fn share_settle(&mut self, settle: Settle) -> Settle {
        match settle {
            Settle::RetryAt { at_ms, attempts, reply } => {
                Settle::RetryAt { at_ms, attempts, reply: self.share(&reply) }
            }
            Settle::Hold { reason } => Settle::Hold { reason: self.share(&reason) },
            other => other,
        }
    }

    pub(crate) fn share_state(&mut self, state: &mut ItemState) {
        match state {
            ItemState::Active => {}
            ItemState::RetryAt { reply: text, .. } | ItemState::Hold { reason: text } => {
                *text = self.share(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_the_table_is_bounded() {
        let mut texts = Texts::default();
        let first = texts.share(b"450 later");
        let second = texts.share(b"450 later");
        assert_eq!(first.as_ptr(), second.as_ptr());
        for number in 0..2 * SHARED_TEXTS {
            texts.share(format!("450 {number}").as_bytes());
            assert!(texts.known.len() <= SHARED_TEXTS);
        }
    }
}
