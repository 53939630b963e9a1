//! What an accounting file says about itself: its last sequence number, and how far it has come in each log.

use rustc_hash::FxHashMap;
use spool::MessageId;

use crate::limits;

/// For each log of the spool and each start of the server, the highest sequence number of a message whose arrival is
/// in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(FxHashMap<(u32, u32), u64>);

/// The state of a file, and what it takes to go on with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The sequence number of its last whole line; 0: there is none.
    pub(super) last: u64,
    /// That of its first line.
    pub(super) first: Option<u64>,
    /// Bytes up to the end of the last whole line of ours.
    pub(super) whole_bytes: u64,
    read_bytes: u64,
    /// How far it has come.
    pub(super) marks: Marks,
}

impl Marks {
    /// Takes note of a message that is in the file.
    pub(super) fn note(&mut self, message: MessageId) {
        let mark = self.0.entry(place(message)).or_default();
        *mark = (*mark).max(message.sequence);
        if self.0.len() > limits::ACCOUNTING_MARKS
            && let Some(oldest) = self.0.keys().min_by_key(|(log, epoch)| (*epoch, *log)).copied()
        {
            // What is left of it in the queue is told again at the next start.
            self.0.remove(&oldest);
        }
    }

    /// Takes note of what another file says.
    pub(super) fn merge(&mut self, other: &Marks) {
        other.0.iter().for_each(|(&(log, _), &sequence)| self.note(MessageId { log, sequence }));
    }

    /// Whether a message may be missing in the file. Messages of one batch of the spool may be written in another
    /// order than they are numbered, so those close below the mark count as missing, too.
    pub(super) fn may_lack(&self, message: MessageId) -> bool {
        self.0
            .get(&place(message))
            .is_none_or(|&mark| message.sequence.saturating_add(limits::ACCOUNTING_MARGIN) > mark)
    }

    /// `1.77 2.5`: log and sequence number.
    pub(super) fn write(&self, out: &mut String) {
        use std::fmt::Write as _;
        let mut marks: Vec<_> = self.0.iter().collect();
        marks.sort_unstable();
        for (index, ((log, _), sequence)) in marks.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(out, "{separator}{log}.{sequence}");
        }
    }
}

/// Its log, and the start of the server that it came in after.
fn place(message: MessageId) -> (u32, u32) {
    (message.log, spool::format::epoch_of(message.sequence))
}

impl Scan {
    /// Goes on with the next bytes of the file, which end with a whole line.
    pub(super) fn lines(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            self.read_bytes += line.len() as u64;
            self.line(line);
        }
    }

    /// A line of ours; others are passed over.
    fn line(&mut self, line: &[u8]) {
        let Some(rest) = line.strip_prefix(b"{\"seq\":") else { return };
        let Some(sequence) = number(rest) else { return };
        self.whole_bytes = self.read_bytes;
        self.first.get_or_insert(sequence);
        self.last = self.last.max(sequence);
        // It stands before anything that somebody else wrote.
        let head = &line[..line.len().min(HEAD_BYTES)];
        // What is told again comes in another order: only its end counts, which is a line of its own.
        if memchr::memmem::find(head, b"\"again\":true").is_some() {
            return;
        }
        for key in [&b"\"spool\":\""[..], b"\"marks\":\""] {
            if let Some(at) = memchr::memmem::find(head, key) {
                let value = line[at + key.len()..].split(|&byte| byte == b'"').next().unwrap_or_default();
                value
                    .split(|&byte| byte == b' ')
                    .filter_map(message)
                    .for_each(|message| self.marks.note(message));
            }
        }
    }
}

/// Sequence numbers, time and key.
const HEAD_BYTES: usize = 128;

fn number(digits: &[u8]) -> Option<u64> {
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// `1.77`.
fn message(text: &[u8]) -> Option<MessageId> {
    let (log, sequence) = std::str::from_utf8(text).ok()?.split_once('.')?;
    Some(MessageId { log: log.parse().ok()?, sequence: sequence.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_how_far_it_has_come() {
        let mut scan = Scan::default();
        scan.lines(
            b"{\"seq\":41,\"time_ms\":1,\"marks\":\"1.7 2.9 1.1099511627777\",\"event\":\"opened\"}\n\
              {\"seq\":42,\"time_ms\":2,\"spool\":\"1.50000\",\"event\":\"accepted\",\"from\":\"\\\"spool\\\":\\\"9.9\"}\n\
              not ours\n\
              {\"seq\":43,\"time_ms\":3,\"event\":\"delivered\"}\n\
              {\"seq\":44,\"time_ms\":2,\"spool\":\"1.90000\",\"again\":true,\"event\":\"accepted\"}\n\
              {\"seq\":45,\"time_ms\":3,\"spool\":\"1.60000\",\"eve",
        );
        assert_eq!((scan.first, scan.last), (Some(41), 44));
        let mut text = String::new();
        scan.marks.write(&mut text);
        assert_eq!(text, "1.50000 1.1099511627777 2.9");
        let message = |log, sequence| MessageId { log, sequence };
        assert!(!scan.marks.may_lack(message(1, 7)));
        assert!(scan.marks.may_lack(message(1, 50_000)) && scan.marks.may_lack(message(1, 50_001)));
        assert!(scan.marks.may_lack(message(3, 1)), "a log that the file does not know");
        assert!(scan.marks.may_lack(message(1, 2 << 40 | 1)), "a start that the file does not know");
    }

    #[test]
    fn marks_are_bounded_and_the_oldest_go_first() {
        let mut marks = Marks::default();
        for epoch in 0..2 * limits::ACCOUNTING_MARKS as u64 {
            marks.note(MessageId { log: 1, sequence: epoch << 40 | 1_000_000 });
        }
        let first_of = |epoch: usize| MessageId { log: 1, sequence: (epoch as u64) << 40 };
        assert!(marks.may_lack(first_of(0)) && !marks.may_lack(first_of(2 * limits::ACCOUNTING_MARKS - 1)));
    }
}
