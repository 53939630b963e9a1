//! Where lines go, and how urgent they are.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::line::{Form, Line};

/// Syslog severities (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Mail or service is at risk until somebody acts.
    Critical = 2,
    /// Something failed.
    Error = 3,
    /// Something is odd but handled.
    Warning = 4,
    /// A change of state of the service.
    Notice = 5,
    /// What happened to a message.
    Info = 6,
    /// What scripts say with `echo`.
    Debug = 7,
}

impl Priority {
    /// Its name in the table of events.
    pub fn name(self) -> &'static str {
        match self {
            Priority::Critical => "critical",
            Priority::Error => "error",
            Priority::Warning => "warning",
            Priority::Notice => "notice",
            Priority::Info => "info",
            Priority::Debug => "debug",
        }
    }

    /// The priority of syslog(3) with this number; the facility in it does not count, and the two above critical are one
    /// with it.
    pub fn of_syslog(number: u32) -> Priority {
        match number & 7 {
            0..=2 => Priority::Critical,
            3 => Priority::Error,
            4 => Priority::Warning,
            5 => Priority::Notice,
            6 => Priority::Info,
            _ => Priority::Debug,
        }
    }
}

/// Where the lines of this process go.
#[derive(Clone)]
pub enum Target {
    /// Standard error, each line with the prefix `smtpd: `.
    Stderr,
    /// The local syslog socket.
    Syslog(Syslog),
    /// A list in memory, for tests.
    Memory(Arc<Mutex<Vec<String>>>),
    /// Another one, each line an object of JSON.
    Json(Box<Target>),
}

/// The local syslog socket, and what goes there.
#[derive(Clone, Debug)]
pub struct Syslog {
    /// `/dev/log`, but in tests.
    pub socket: PathBuf,
    /// `environment.syslog.facility`, as its number.
    pub facility: u8,
    /// `environment.syslog.mask`: bit n set lets priority n pass.
    pub mask: u32,
    pid: u32,
}

impl Syslog {
    /// The host's, for this process.
    pub fn new(facility: u8, mask: u32) -> Syslog {
        Syslog { socket: "/dev/log".into(), facility, mask, pid: std::process::id() }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Target::Stderr => "Stderr",
            Target::Syslog(_) => "Syslog",
            Target::Memory(_) => "Memory",
            Target::Json(_) => "Json",
        })
    }
}

impl Target {
    /// Whether lines of this priority are written at all.
    pub(super) fn passes(&self, priority: Priority) -> bool {
        match self {
            Target::Syslog(syslog) => syslog.mask & (1 << priority as u32) != 0,
            Target::Stderr | Target::Memory(_) => true,
            Target::Json(inner) => inner.passes(priority),
        }
    }

    /// Begins a line in `out`.
    pub(super) fn prefix(&self, out: &mut String, priority: Priority) {
        match self {
            Target::Stderr => out.push_str("smtpd: "),
            Target::Syslog(Syslog { facility, pid, .. }) => {
                let value = u32::from(*facility) * 8 + priority as u32;
                // Writing to a string cannot fail.
                let _ = write!(out, "<{value}>smtpd[{pid}]: ");
            }
            Target::Memory(_) => {}
            Target::Json(inner) => {
                if let Target::Syslog(_) = **inner {
                    inner.prefix(out, priority);
                }
                let _ = write!(out, "{{\"priority\":\"{}\",", priority.name());
            }
        }
    }

    /// How the fields of events look.
    pub(super) fn form(&self) -> Form {
        if let Target::Json(_) = self { Form::Json } else { Form::Text }
    }

    /// Ends a line in `out`.
    pub(super) fn end(&self, out: &mut String) {
        out.push_str(if let Target::Json(_) = self { "}\n" } else { "\n" });
    }

    /// Appends one finished line, with its end, to `out`.
    pub(super) fn format(&self, out: &mut String, priority: Priority, text: std::fmt::Arguments<'_>) {
        self.prefix(out, priority);
        if let Target::Json(_) = self {
            Line::new(out, Form::Json).free_text(&text.to_string());
        } else {
            let start = out.len();
            let _ = out.write_fmt(text);
            hide_control_characters(out, start);
        }
        self.end(out);
    }

    /// Writes finished lines and gives the number of those that were lost. Blocks: only on the offload pool or before
    /// the engine runs.
    pub(super) fn write(&self, lines: &str) -> u64 {
        match self {
            Target::Stderr => match std::io::stderr().lock().write_all(lines.as_bytes()) {
                Ok(()) => 0,
                Err(_) => count(lines),
            },
            Target::Syslog(syslog) => syslog.write(lines),
            Target::Json(inner) => inner.write(lines),
            Target::Memory(list) => {
                if let Ok(mut list) = list.lock() {
                    list.extend(lines.lines().map(str::to_owned));
                }
                0
            }
        }
    }

    /// Writes one line at once: for the time before and after the engine runs.
    pub fn line(&self, priority: Priority, text: std::fmt::Arguments<'_>) {
        if self.passes(priority) {
            let mut out = String::new();
            self.format(&mut out, priority, text);
            // Nobody is left to tell.
            let _ = self.write(&out);
        }
    }
}

impl Syslog {
    fn write(&self, lines: &str) -> u64 {
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.connect(&self.socket)?;
            Ok(socket)
        });
        let Ok(socket) = socket else { return count(lines) };
        lines.lines().filter(|line| socket.send(line.as_bytes()).is_err()).count() as u64
    }
}

/// Number of lines in `lines`.
pub(super) fn count(lines: &str) -> u64 {
    memchr::memchr_iter(b'\n', lines.as_bytes()).count() as u64
}

/// A peer's text must not forge lines or drive a terminal.
fn hide_control_characters(out: &mut String, start: usize) {
    if out[start..].bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        let clean: String = out[start..].chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        out.truncate(start);
        out.push_str(&clean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_cannot_forge_a_line() {
        let list = Arc::new(Mutex::new(Vec::new()));
        let target = Target::Memory(Arc::clone(&list));
        target.line(Priority::Info, format_args!("helo {}", "a\r\nsmtpd: forged\x1b[31m"));
        assert_eq!(*list.lock().unwrap(), ["helo a??smtpd: forged?[31m"]);
    }

    #[test]
    fn lines_of_json_are_objects_whatever_they_say() {
        let list = Arc::new(Mutex::new(Vec::new()));
        let target = Target::Json(Box::new(Target::Memory(Arc::clone(&list))));
        target.line(Priority::Notice, format_args!("a \"b\" \r\n\x1b"));
        assert_eq!(*list.lock().unwrap(), [r#"{"priority":"notice","text":"a \"b\" \r\n\u001b"}"#]);
        let mut out = String::new();
        Target::Json(Box::new(Target::Syslog(Syslog::new(2, 255)))).format(
            &mut out,
            Priority::Info,
            format_args!("x"),
        );
        assert!(
            out.starts_with("<22>smtpd[") && out.ends_with("]: {\"priority\":\"info\",\"text\":\"x\"}\n"),
            "{out}"
        );
    }

    #[test]
    fn the_syslog_mask_drops_by_priority() {
        let target = Target::Syslog(Syslog::new(2, 191));
        assert!(!target.passes(Priority::Info));
        assert!(target.passes(Priority::Notice));
        let mut out = String::new();
        target.format(&mut out, Priority::Notice, format_args!("x"));
        assert!(out.starts_with("<21>smtpd["));
    }
}
