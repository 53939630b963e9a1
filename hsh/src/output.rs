//! What a script prints: kept back for a moment, so that a line is not a system call, and in order with what goes to
//! standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::OUTPUT_BUFFER_BYTES;

/// Standard output of the process. Shared by the shard, whose scripts print, and the control thread, which writes what
/// is left when a signal ends the program.
#[derive(Debug)]
pub struct Output {
    binary: bool,
    /// Somebody watches: nothing is kept back.
    terminal: bool,
    kept: Mutex<Vec<u8>>,
}

/// Whether what was printed has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it.
    All,
    /// Some is kept back.
    Later,
}

impl Output {
    /// `binary`: bytes as they are, and no newline after each `echo`.
    pub fn new(binary: bool) -> Output {
        Output { binary, terminal: io::stdout().is_terminal(), kept: Mutex::default() }
    }

    /// Prints what a script echoes.
    pub fn echo(&self, text: &[u8]) -> Written {
        if self.binary {
            return self.print(text);
        }
        let mut line = String::from_utf8_lossy(text).into_owned();
        line.push('\n');
        self.print(line.as_bytes())
    }

    /// Prints bytes as they are.
    pub fn print(&self, bytes: &[u8]) -> Written {
        let mut kept = self.kept();
        kept.extend_from_slice(bytes);
        if self.terminal || kept.len() >= OUTPUT_BUFFER_BYTES {
            write_out(&mut kept);
            Written::All
        } else {
            Written::Later
        }
    }

    /// Prints bytes to standard error as they are, after what was printed before.
    pub fn print_error(&self, bytes: &[u8]) {
        self.flush();
        // Without a standard error there is nobody to tell.
        let _ = io::stderr().lock().write_all(bytes);
    }

    /// Prints a line for the person at the terminal.
    pub fn say(&self, text: &[u8]) {
        let mut kept = self.kept();
        kept.extend_from_slice(String::from_utf8_lossy(text).as_bytes());
        kept.push(b'\n');
        write_out(&mut kept);
    }

    /// Writes what is kept back.
    pub fn flush(&self) {
        write_out(&mut self.kept());
    }

    /// Writes a message to standard error, after what was printed before it. Bytes that a terminal would obey are shown
    /// as `?`.
    pub fn complain(&self, text: &str) {
        self.flush();
        let shown: String =
            text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '?' } else { c }).collect();
        let end = if shown.ends_with('\n') { "" } else { "\n" };
        // Without a standard error there is nobody to tell.
        let _ = io::stderr().lock().write_all(format!("{shown}{end}").as_bytes());
    }

    /// Writes everything and ends the process.
    pub fn exit(&self, status: i32) -> ! {
        self.flush();
        std::process::exit(status)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<u8>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that went away is no reason to complain, but there is nobody left to run for.
fn write_out(kept: &mut Vec<u8>) {
    if kept.is_empty() {
        return;
    }
    let mut stdout = io::stdout().lock();
    let result = stdout.write_all(kept).and_then(|()| stdout.flush());
    kept.clear();
    if let Err(error) = result {
        if error.kind() != io::ErrorKind::BrokenPipe {
            let _ = writeln!(io::stderr(), "hsh: standard output: {error}");
        }
        std::process::exit(1);
    }
}

/// Prints what the command line asked for.
pub fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
