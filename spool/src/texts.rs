//! One copy of texts that many items have: a destination that defers says the same to all.

use bytes::Bytes;
use tables::pool::{Name, Pool};

use crate::limits::REPLY_MAX_BYTES;

/// Bytes at the end of a text that stay with the item. Who puts what differs from item to item there (the time of an
/// attempt), has all before it kept once.
pub(crate) const TAIL_BYTES: usize = 8;

/// A text of an item. Not `Clone`: the pool counts who has it.
#[derive(Debug)]
pub(crate) struct Text {
    shared: Name,
    tail: Option<[u8; TAIL_BYTES]>,
}

/// The texts in use.
#[derive(Debug)]
pub(crate) struct Texts(Pool<Box<[u8]>, [u8]>);

impl Texts {
    /// `seed`: a random number, since peers choose what they say.
    pub(crate) fn new(seed: u64) -> Texts {
        Texts(Pool::new(seed))
    }

    /// Keeps a text of at most [`REPLY_MAX_BYTES`] until it is given to [`Texts::forget`].
    pub(crate) fn keep(&mut self, text: &[u8]) -> Text {
        match text.split_last_chunk() {
            Some((before, tail)) => Text { shared: self.0.acquire(before), tail: Some(*tail) },
            None => Text { shared: self.0.acquire(text), tail: None },
        }
    }

    /// The whole text.
    pub(crate) fn get(&self, text: &Text) -> Bytes {
        let tail = text.tail.as_ref().map_or(&[][..], |tail| tail);
        [self.0.get(text.shared), tail].concat().into()
    }

    pub(crate) fn forget(&mut self, text: Text) {
        self.0.release(text.shared);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A text, cut to what is kept of it.
pub(crate) fn cut(text: Bytes) -> Bytes {
    if text.len() > REPLY_MAX_BYTES { text.slice(..REPLY_MAX_BYTES) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_whatever_their_last_bytes_and_gone_with_their_last_user() {
        let mut texts = Texts::new(1);
        let all = [
            &b"450 later 00000001"[..],
            b"450 later 00000002",
            b"450 later 00000002",
            b"short",
            b"",
            b"8 bytes.",
        ];
        let kept: Vec<Text> = all.iter().map(|text| texts.keep(text)).collect();
        for (text, kept) in all.iter().zip(&kept) {
            assert_eq!(texts.get(kept), text);
        }
        assert_eq!(texts.len(), 3, "what is before the last bytes of all of them");
        kept.into_iter().for_each(|text| texts.forget(text));
        assert_eq!(texts.len(), 0);
    }
}
