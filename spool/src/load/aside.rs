//! What becomes of damaged bytes.

use std::io;

use engine::buf::AlignedBuf;

use crate::event::Event;
use crate::files::{self, Handle};
use crate::limits::WINDOW_BYTES;
use crate::options::Corrupt;
use crate::state::Uid;
use crate::store::Store;

impl Store {
    /// Damaged bytes were found: copies them to a file of their own, where the options say so, and tells.
    pub(crate) async fn set_aside(
        &self,
        uid: Uid,
        file: &Handle,
        range: std::ops::Range<u64>,
        message: Option<crate::MessageId>,
        bad: &str,
    ) {
        let done = match self.options.corrupt {
            Corrupt::Rename if !self.spool.is_read_only() => match self.copy_aside(file, &range).await {
                Ok(name) => format!("copied to {name}"),
                Err(error) => format!("could not be copied aside ({error})"),
            },
            Corrupt::Rename => "left in place (read-only)".to_owned(),
            Corrupt::Ignore => "left in place".to_owned(),
            Corrupt::Unlink => "dropped".to_owned(),
        };
        let mut state = self.state.borrow_mut();
        state.stats.corruptions += 1;
        if self.options.corrupt == Corrupt::Ignore
            && let Some(segment) = state.segments.get_mut(&uid)
        {
            segment.stuck = true;
        }
        drop(state);
        (self.options.log)(&Event::Corrupt {
            file: file.name.to_string(),
            offset: range.start,
            len_bytes: range.end - range.start,
            message,
            what: format!("{bad}; {done}"),
        });
    }

    async fn copy_aside(&self, file: &Handle, range: &std::ops::Range<u64>) -> io::Result<String> {
        let stem = file.name.to_string();
        let stem = stem.trim_end_matches(".seg").trim_end_matches(".ext");
        let name = format!("corrupt-{stem}-{:016x}-{:08x}", file.identity.sequence, range.start);
        let copy = files::open(&self.dir, &name, true, false).await;
        let copy = match copy {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(name),
            other => other?,
        };
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(WINDOW_BYTES as u64) as usize;
            let (bytes, skip) = files::read_range(&file.file, at, len).await?;
            let mut out = AlignedBuf::with_capacity(len);
            out.extend_from_slice(&bytes[skip..skip + len]);
            copy.write_at(at - range.start, out, engine::disk::Durability::Cached).await.0?;
            at += len as u64;
        }
        copy.sync().await?;
        self.dir.sync().await?;
        Ok(name)
    }
}
