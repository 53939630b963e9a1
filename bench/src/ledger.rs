//! Ledgers: which messages were acknowledged, which arrived; and the comparison of the two.
//!
//! A ledger is text, one [`Parcel`] a line, and ` bad` after it where the content did not match its checksum. A
//! line is in the file (in the page cache: the machine is not what is killed) before it counts.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use crate::ident::{PARCEL_LEN, Parcel};
use crate::json::Object;

/// A file to which lines are appended, shared by all shards.
#[derive(Debug)]
pub struct Ledger {
    file: Mutex<std::fs::File>,
}

impl Ledger {
    /// Opens for appending; creates the file.
    pub fn open(path: &Path) -> io::Result<Ledger> {
        Ok(Ledger { file: Mutex::new(OpenOptions::new().append(true).create(true).open(path)?) })
    }

    /// Appends one line per parcel, in one write.
    pub fn append(&self, parcels: impl IntoIterator<Item = Parcel>, intact: bool) -> io::Result<()> {
        let mut lines = Vec::with_capacity(PARCEL_LEN + 8);
        for parcel in parcels {
            writeln!(lines, "{parcel}{}", if intact { "" } else { " bad" })?;
        }
        // A shard waits for a microsecond here. It is the measuring program that waits, and only when asked to
        // keep a ledger; another thread in between would make "written before it counts" harder to believe.
        self.file.lock().map_err(|_| io::Error::other("a shard panicked"))?.write_all(&lines)
    }
}

/// What comparing an acknowledged with a received ledger shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Distinct parcels acknowledged to the generator.
    pub acknowledged: u64,
    /// Distinct parcels received by the sink.
    pub received: u64,
    /// Acknowledged and never received intact.
    pub lost: u64,
    /// Copies received beyond the first.
    pub duplicated: u64,
    /// Copies whose content did not match.
    pub corrupt: u64,
    /// Received without having been acknowledged: allowed (the 250 was lost on its way).
    pub unacknowledged: u64,
    /// Lines that are no ledger lines, but for a torn last one.
    pub malformed: u64,
}

impl Comparison {
    /// Compares two ledgers.
    ///
    /// ```
    /// use bench::ledger::Comparison;
    /// let sent = b"0000000100000001-0000\n0000000100000002-0000\n";
    /// let received = b"0000000100000002-0000\n0000000100000002-0000\n";
    /// let found = Comparison::of(sent, received);
    /// assert_eq!((found.lost, found.duplicated), (1, 1));
    /// ```
    pub fn of(acknowledged: &[u8], received: &[u8]) -> Comparison {
        let mut found = Comparison::default();
        // Per parcel: acknowledged, copies received, one of them intact.
        let mut parcels: HashMap<Parcel, (bool, u32, bool)> = HashMap::new();
        for line in lines(acknowledged) {
            match parse(line) {
                Some((parcel, _)) => parcels.entry(parcel).or_default().0 = true,
                None => found.malformed += 1,
            }
        }
        for line in lines(received) {
            let Some((parcel, intact)) = parse(line) else {
                found.malformed += 1;
                continue;
            };
            let entry = parcels.entry(parcel).or_default();
            entry.1 += 1;
            entry.2 |= intact;
            found.corrupt += u64::from(!intact);
        }
        for (acknowledged, copies, intact) in parcels.into_values() {
            found.acknowledged += u64::from(acknowledged);
            found.received += u64::from(copies > 0);
            found.lost += u64::from(acknowledged && !intact);
            found.duplicated += u64::from(copies.saturating_sub(1));
            found.unacknowledged += u64::from(!acknowledged && copies > 0);
        }
        found
    }

    /// True when nothing was lost and nothing corrupt. Duplicates are for the caller to judge.
    pub fn is_safe(&self) -> bool {
        self.lost == 0 && self.corrupt == 0 && self.malformed == 0
    }

    /// Names and numbers, in the order in which they are printed.
    pub fn fields(&self) -> [(&'static str, u64); 7] {
        [
            ("acknowledged", self.acknowledged),
            ("received", self.received),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("corrupt", self.corrupt),
            ("unacknowledged", self.unacknowledged),
            ("malformed", self.malformed),
        ]
    }

    /// As JSON.
    pub fn json(&self) -> Object {
        let mut object = Object::default();
        for (name, value) in self.fields() {
            object.number(name, value);
        }
        object
    }
}

/// Whole lines; a last one without its newline was being written when its writer died.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

fn parse(line: &[u8]) -> Option<(Parcel, bool)> {
    let (text, verdict) = line.split_at_checked(PARCEL_LEN)?;
    let intact = match verdict {
        b"" => true,
        b" bad" => false,
        _ => return None,
    };
    Some((Parcel::parse(text)?, intact))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0000000100000001-0000";
    const B: &str = "0000000100000001-0001";

    fn compare(sent: &str, received: &str) -> Comparison {
        Comparison::of(sent.as_bytes(), received.as_bytes())
    }

    #[test]
    fn each_kind_of_fault_is_told_apart() {
        let cases: [(String, String, Comparison); 5] = [
            (
                format!("{A}\n{B}\n"),
                format!("{B}\n{A}\n"),
                Comparison { acknowledged: 2, received: 2, ..Default::default() },
            ),
            (
                format!("{A}\n{B}\n"),
                format!("{B}\n"),
                Comparison { acknowledged: 2, received: 1, lost: 1, ..Default::default() },
            ),
            (
                format!("{A}\n"),
                format!("{A}\n{A}\n{A}\n{B}\n"),
                Comparison {
                    acknowledged: 1,
                    received: 2,
                    duplicated: 2,
                    unacknowledged: 1,
                    ..Default::default()
                },
            ),
            (
                format!("{A}\n"),
                format!("{A} bad\n"),
                Comparison { acknowledged: 1, received: 1, lost: 1, corrupt: 1, ..Default::default() },
            ),
            (
                format!("{A}\nhello\n{A} ba"),
                format!("{A}\n{A}x\n"),
                Comparison { acknowledged: 1, received: 1, malformed: 2, ..Default::default() },
            ),
        ];
        for (sent, received, expected) in cases {
            assert_eq!(compare(&sent, &received), expected, "{sent:?} {received:?}");
        }
    }

    #[test]
    fn what_is_appended_can_be_compared() {
        let path = std::env::temp_dir().join(format!("ledger-test-{}", std::process::id()));
        let parcel = Parcel::parse(A.as_bytes()).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        ledger.append([parcel, Parcel { recipient: 1, ..parcel }], true).unwrap();
        ledger.append([parcel], false).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test without an engine")]
        let text = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, format!("{A}\n{B}\n{A} bad\n").into_bytes());
        assert!(!Comparison::of(&text, &text).is_safe());
    }
}
