//! The interpreter under test.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{program, wait_until};

/// The user and group `nobody` of Debian, and most others.
const NOBODY: u32 = 65_534;

/// A run of `hsh` or `hsl-lint` to be started.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: Vec<u8>,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit status; `None`: a signal killed it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The process that it was.
    pub pid: u32,
}

impl Run {
    /// Of a program of this workspace. No configuration of the machine, no input.
    pub fn of(name: &str) -> Run {
        let mut command = Command::new(program(name));
        command.env_remove("HOME").env_remove("XDG_STATE_HOME");
        Run { command, input: Vec::new() }
    }

    /// `hsh` without the configuration of the machine.
    pub fn hsh() -> Run {
        Run::of("hsh").args(["-c", "/dev/null"])
    }

    /// With these arguments.
    pub fn args<I>(mut self, args: I) -> Run
    where
        I: IntoIterator,
        I::Item: AsRef<std::ffi::OsStr>,
    {
        self.command.args(args);
        self
    }

    /// With an option that takes a path.
    pub fn arg_path(self, option: &str, path: &Path) -> Run {
        self.args([option.as_ref(), path.as_os_str()])
    }

    /// In this directory.
    pub fn dir(mut self, path: &Path) -> Run {
        self.command.current_dir(path);
        self
    }

    /// As a user who owns nothing. Needs root.
    pub fn as_nobody(mut self) -> Run {
        self.command.uid(NOBODY).gid(NOBODY);
        self
    }

    /// With this on standard input.
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Run {
        self.input = text.into();
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end within half a minute.
    pub fn end(mut self) -> Ended {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program can be started");
        let pid = child.id();
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let input = std::mem::take(&mut self.input);
        let writer = std::thread::spawn(move || {
            // A program that ends early does not read everything.
            let _ = stdin.write_all(&input);
        });
        let stdout = collect(child.stdout.take().expect("standard output is a pipe"));
        let stderr = collect(child.stderr.take().expect("standard error is a pipe"));
        let mut status = None;
        let ended = wait_until(Duration::from_secs(30), || {
            status = child.try_wait().expect("our own child");
            status.is_some()
        });
        if !ended {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
        }
        writer.join().expect("writing does not panic");
        let text = |bytes: std::thread::JoinHandle<Vec<u8>>| {
            String::from_utf8_lossy(&bytes.join().expect("reading does not panic")).into_owned()
        };
        let (stdout, stderr) = (text(stdout), text(stderr));
        assert!(ended, "{:?} does not end\n{stdout}{stderr}", self.command);
        Ended { status: status.expect("it has ended").code(), stdout, stderr, pid }
    }
}

fn collect(mut stream: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}
