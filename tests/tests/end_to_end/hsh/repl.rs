//! The interactive session, on a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{program, wait_until};

/// A session on a pseudo terminal.
struct Session {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
    seen: usize,
}

impl Session {
    fn start(home: &Path, term: &str) -> Session {
        let pty = openpty(None, None).expect("a pseudo terminal");
        let slave = || Stdio::from(pty.slave.try_clone().expect("descriptors are left"));
        let mut command = Command::new(program("hsh"));
        command.args(["-c", "/dev/null"]).env("XDG_STATE_HOME", home).env("TERM", term);
        let child =
            command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().expect("hsh can be started");
        let screen = Arc::new(Mutex::new(String::new()));
        let mut output = File::from(pty.master.try_clone().expect("descriptors are left"));
        let writer = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..length]).into_owned();
                writer.lock().expect("no panic").push_str(&text);
            }
        });
        let mut session = Session { child, keyboard: File::from(pty.master), screen, seen: 0 };
        session.expect("> ");
        session
    }

    fn text(&self) -> String {
        plain(&self.screen.lock().expect("no panic"))
    }

    /// Types, and waits for this text to appear after what was seen before.
    fn type_and_expect(&mut self, keys: &str, expected: &str) {
        // Before the prompt, the terminal is in another mode, where Ctrl-D is lost.
        if keys == "\x04" {
            wait_until(Duration::from_secs(20), || self.text().ends_with("> "));
        }
        self.seen = self.text().len();
        self.keyboard.write_all(keys.as_bytes()).expect("the session reads");
        self.expect(expected);
    }

    fn expect(&mut self, expected: &str) {
        let mut text = String::new();
        let found = wait_until(Duration::from_secs(20), || {
            text = self.text();
            text.get(self.seen..).is_some_and(|new| new.contains(expected))
        });
        assert!(found, "{expected:?} does not appear:\n{text}");
    }

    fn ends_with(mut self, status: i32) {
        let mut ended = None;
        wait_until(Duration::from_secs(20), || {
            ended = self.child.try_wait().expect("our own child");
            ended.is_some()
        });
        let text = self.text();
        assert_eq!(ended.and_then(|status| status.code()), Some(status), "{text}");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without the sequences that move the cursor.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                // CSI: up to the letter that ends it.
                if chars.next() == Some('[') {
                    for c in chars.by_ref() {
                        if c.is_ascii_alphabetic() || c == '~' {
                            break;
                        }
                    }
                }
            }
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}

#[test]
fn a_session_keeps_variables_functions_and_classes() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut session = Session::start(home.path(), "xterm");
    session.type_and_expect("$x = 40;\r", "> ");
    session.type_and_expect("$x + 2;\r", "\n42\n");
    session.type_and_expect("\"t\" . $x\r", "\n\"t40\"\n");
    session.type_and_expect("[1, \"k\" => true]\r", "\n[0=>1,\"k\"=>true]\n");
    session.type_and_expect("function twice($n) { return $n * 2; }\r", "> ");
    session.type_and_expect("twice($x)\r", "\n80\n");
    session.type_and_expect("class P { $v = 7; function get() { return $this->v; } }\r", "> ");
    session.type_and_expect("P()->get()\r", "\n7\n");
    session.type_and_expect("echo \"said\";\r", "\nsaid\n");
    session.type_and_expect("\x04", "");
    session.ends_with(0);
}

#[test]
fn an_input_may_have_several_lines_and_errors_do_not_end_the_session() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut session = Session::start(home.path(), "xterm");
    session.type_and_expect("foreach ([1, 2] as $i) {\r", "");
    session.type_and_expect("echo \"item $i\";\r", "");
    session.type_and_expect("}\r", "item 1\nitem 2\n");
    session.type_and_expect("echo $nothing;\r", "undefined");
    session.type_and_expect("1 +* 2;\r", "error");
    session.type_and_expect("throw \"mine\";\r", "mine");
    session.type_and_expect("3 + 4\r", "\n7\n");
    session.type_and_expect("never finished\x03", "> ");
    session.type_and_expect("5 + 6\r", "\n11\n");
    session.type_and_expect("\x04", "");
    session.ends_with(0);
}

#[test]
fn an_interrupt_stops_what_runs_and_the_session_goes_on() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut session = Session::start(home.path(), "xterm");
    session.type_and_expect("$kept = 5; echo \"runs\"; while (true) { }\r", "\nruns");
    kill(Pid::from_raw(session.child.id() as i32), Signal::SIGINT).expect("our own child");
    session.type_and_expect("", "> ");
    session.type_and_expect("$kept\r", "\n5\n");
    session.type_and_expect("\x04", "");
    session.ends_with(0);
}

#[test]
fn history_is_kept_for_the_next_session_and_words_are_completed() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut session = Session::start(home.path(), "xterm");
    session.type_and_expect("1000 + 24\r", "\n1024\n");
    session.type_and_expect("\x04", "");
    session.ends_with(0);
    let mut session = Session::start(home.path(), "xterm");
    session.type_and_expect("\x1b[A\r", "\n1024\n");
    session.type_and_expect("json_enc\t([1])\r", "\n\"[1]\"\n");
    session.type_and_expect("\x04", "");
    session.ends_with(0);
}

#[test]
fn a_dumb_terminal_works() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut session = Session::start(home.path(), "dumb");
    session.type_and_expect("1 + 2\n", "\n3\n");
    session.type_and_expect("\x04", "");
    session.ends_with(0);
}
