//! What a shard's script does now, shown to other threads: when the shard stands still, nobody can ask it.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, PoisonError};

/// Bytes that are shown, at most; longer text is cut.
const BYTES: usize = 128;

/// Texts that a board knows by number: the names of the scripts of all configurations so far.
const NAMES: usize = 10_000;

/// Written by one shard at the beginning and end of each slice of a script, without a lock; read by anyone.
#[derive(Debug, Default)]
pub struct Board {
    /// What begins with the name of a script, by number: see [`Board::name`].
    names: Mutex<Vec<Box<str>>>,
    /// One more than the number of the name that is shown; 0: none.
    named: AtomicUsize,
    /// Odd while it is being written.
    version: AtomicU64,
    /// 0: nothing runs.
    len: AtomicUsize,
    words: [AtomicU64; BYTES / 8],
}

/// Text on the stack, cut where it is full.
struct Text {
    bytes: [u8; BYTES],
    len: usize,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.len().min(BYTES - self.len);
        self.bytes[self.len..self.len + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += fits;
        Ok(())
    }
}

impl Board {
    /// A number for a text that will be shown often; `None`: there are too many.
    pub fn name(&self, text: &str) -> Option<usize> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = names.iter().position(|name| **name == *text) {
            return Some(number);
        }
        (names.len() < NAMES).then(|| {
            names.push(text.into());
            names.len() - 1
        })
    }

    /// Shows what begins to run by its number.
    pub fn show_name(&self, number: usize) {
        self.named.store(number + 1, Ordering::Release);
    }

    /// Shows what begins to run. From one thread.
    pub fn show(&self, what: fmt::Arguments<'_>) {
        let mut text = Text { bytes: [0; BYTES], len: 0 };
        // It cuts, and never fails.
        let _ = text.write_fmt(what);
        self.write(&text);
    }

    /// Nothing runs any more. From the same thread.
    pub fn clear(&self) {
        self.named.store(0, Ordering::Release);
        self.len.store(0, Ordering::Release);
    }

    fn write(&self, text: &Text) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, bytes) in self.words.iter().zip(text.bytes.chunks_exact(8)).take(text.len.div_ceil(8)) {
            word.store(u64::from_le_bytes(bytes.try_into().expect("eight bytes")), Ordering::Relaxed);
        }
        self.len.store(text.len, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    /// What runs now; `None`: nothing, or it changes all the time.
    pub fn read(&self) -> Option<String> {
        if let Some(number) = self.named.load(Ordering::Acquire).checked_sub(1) {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            return names.get(number).map(|name| name.to_string());
        }
        // A shard that stands still does not write.
        (0..8).find_map(|_| self.try_read()).flatten()
    }

    /// `None`: it was being written.
    fn try_read(&self) -> Option<Option<String>> {
        let before = self.version.load(Ordering::Acquire);
        let len = self.len.load(Ordering::Relaxed).min(BYTES);
        let mut bytes = [0; BYTES];
        for (word, bytes) in self.words.iter().zip(bytes.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        fence(Ordering::Acquire);
        if before % 2 == 1 || self.version.load(Ordering::Relaxed) != before {
            return None;
        }
        Some((len > 0).then(|| String::from_utf8_lossy(&bytes[..len]).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_shown_is_read_whole_or_cut_and_nothing_after_the_end() {
        let board = Board::default();
        assert_eq!(board.read(), None);
        board.show(format_args!("eod/{} {}:{}", "scan", "lib.hsl", 12));
        assert_eq!(board.read().as_deref(), Some("eod/scan lib.hsl:12"));
        board.show(format_args!("{}", "x".repeat(500)));
        assert_eq!(board.read(), Some("x".repeat(BYTES)));
        board.show(format_args!("short"));
        assert_eq!(board.read().as_deref(), Some("short"));
        board.clear();
        assert_eq!(board.read(), None);
    }

    #[test]
    fn a_name_is_known_by_its_number_and_gives_way_to_a_text() {
        let board = Board::default();
        let (one, two) = (board.name("eod:one").expect("few"), board.name("eod:two").expect("few"));
        assert_eq!(board.name("eod:one"), Some(one));
        board.show_name(two);
        assert_eq!(board.read().as_deref(), Some("eod:two"));
        board.clear();
        assert_eq!(board.read(), None);
        board.show(format_args!("eod:one:7"));
        assert_eq!(board.read().as_deref(), Some("eod:one:7"));
    }

    #[test]
    fn another_thread_never_reads_a_mixture() {
        let board = Arc::new(Board::default());
        let shown = Arc::clone(&board);
        let rounds = 20_000;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for round in 0..rounds {
                    let letter = if round % 2 == 0 { "a" } else { "b" };
                    shown.show(format_args!("{}", letter.repeat(100)));
                }
            });
            for _ in 0..rounds {
                if let Some(text) = board.read() {
                    assert!(text == "a".repeat(100) || text == "b".repeat(100), "{text}");
                }
            }
        });
    }
}
