//! Signals and readers that go away.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{program, wait_until};

fn start(script: &str) -> Child {
    let mut command = Command::new(program("hsh"));
    command.args(["-c", "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("hsh can be started");
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("it reads");
    child
}

fn end(mut child: Child) -> (Option<i32>, String) {
    let mut status = None;
    let ended = wait_until(Duration::from_secs(20), || {
        status = child.try_wait().expect("our own child");
        status.is_some()
    });
    if !ended {
        let _ = child.kill();
    }
    let mut stderr = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("text");
    (status.and_then(|status| status.code()), stderr)
}

#[test]
fn an_interrupt_ends_a_script_and_keeps_what_it_printed() {
    for script in ["echo \"here\"; while (true) { }", "echo \"here\"; sleep(60);"] {
        let mut child = start(script);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("text");
        assert_eq!(line, "here\n", "what is printed is written soon, though the script goes on");
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("our own child");
        assert_eq!(end(child), (Some(130), String::new()), "{script}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = start("forever { echo \"0123456789\" * 100; }");
    let mut some = [0; 100];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut some).expect("there is output");
    drop(child.stdout.take());
    let (status, stderr) = end(child);
    assert_eq!((status, &*stderr), (Some(1), ""));
}
