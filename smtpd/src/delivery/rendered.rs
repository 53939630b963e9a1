//! A message as it goes out to the recipients of an attempt: what is stored, with the changes that scripts have made.

use std::collections::VecDeque;

use bytes::Bytes;
use mail::delta::{Chunk, Delta, Now, date_field};
use queue::Attempt;
use spool::{BodyReader, ReadError};

use super::report::message_id;
use crate::shard::Shard;
use crate::stored;

/// Reads a message from its start. Like [`BodyReader`], which it is where nothing was changed.
#[derive(Debug)]
pub(super) struct Rendered {
    stored: BodyReader,
    len: u64,
    /// What is left to be given out, in order; `None`: all of it as it is stored.
    pieces: Option<VecDeque<Piece>>,
    /// Stored bytes read so far and not given out, and where they begin.
    waiting: Bytes,
    at: u64,
}

/// A piece of the message as it goes out.
#[derive(Debug)]
enum Piece {
    /// A range of the stored bytes.
    Stored {
        start: u64,
        end: u64,
    },
    Inserted(Bytes),
}

impl Rendered {
    /// Of the message of an attempt.
    ///
    /// # Errors
    /// Those of reading the stored message.
    pub(super) async fn open(shard: &Shard, attempt: &Attempt) -> Result<Rendered, ReadError> {
        let delta = stored::delta(shard, attempt).await?;
        let stored = shard.store.body(message_id(attempt.message));
        let stored_len = stored.len();
        let pieces = (!delta.is_empty()).then(|| pieces(&delta, stored_len));
        let len = pieces.as_ref().map_or(stored_len, |pieces| pieces.iter().map(Piece::len).sum());
        Ok(Rendered { stored, len, pieces, waiting: Bytes::new(), at: 0 })
    }

    /// Size of the whole message in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The next bytes, `None` at the end.
    ///
    /// # Errors
    /// Those of reading the stored message.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let Some(pieces) = &mut self.pieces else { return self.stored.next().await };
        let Some(piece) = pieces.pop_front() else { return Ok(None) };
        match piece {
            Piece::Inserted(bytes) => Ok(Some(bytes)),
            Piece::Stored { start, end } => {
                let bytes = self.range(start, end).await?;
                let given = start + bytes.len() as u64;
                if given < end
                    && let Some(pieces) = &mut self.pieces
                {
                    pieces.push_front(Piece::Stored { start: given, end });
                }
                Ok(Some(bytes))
            }
        }
    }

    /// Stored bytes from `start`, not beyond `end`, and at least one. Goes forward only.
    async fn range(&mut self, start: u64, end: u64) -> Result<Bytes, ReadError> {
        loop {
            let skip = start.saturating_sub(self.at).min(self.waiting.len() as u64);
            self.at += skip;
            let _ = self.waiting.split_to(skip as usize);
            if !self.waiting.is_empty() && self.at == start {
                let len = (end - start).min(self.waiting.len() as u64);
                self.at += len;
                return Ok(self.waiting.split_to(len as usize));
            }
            // The changes were made to this very message: it cannot be shorter.
            self.waiting = self.stored.next().await?.ok_or(ReadError::Corrupt)?;
        }
    }
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Piece::Stored { start, end } => end - start,
            Piece::Inserted(bytes) => bytes.len() as u64,
        }
    }
}

fn pieces(delta: &Delta, stored_len: u64) -> VecDeque<Piece> {
    let now = Now { unix_s: (engine::time::wall_ms() / 1000) as i64, offset_min: 0 };
    // Scripts get no message that is larger.
    let original_len = u32::try_from(stored_len).unwrap_or(u32::MAX);
    let piece = |chunk: Chunk<'_>| match chunk {
        Chunk::Original { start, end } => Piece::Stored { start: start.into(), end: end.into() },
        Chunk::Inserted(bytes) => Piece::Inserted(Bytes::copy_from_slice(bytes)),
        Chunk::DateField => Piece::Inserted(date_field(now).into()),
    };
    delta.chunks(original_len).map(piece).filter(|piece| piece.len() > 0).collect()
}
