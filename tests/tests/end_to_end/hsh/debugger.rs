//! `hsh -C`: an editor listens, and is told where the script stands.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use control::framing::{self, ResponseDecoder, Status};
use control::smtpd::{HslBreakPointResponse, HslLogResponse};
use control::{Command, Message as _};
use tests::Run;

use super::directory;

/// The editor's end.
struct Editor {
    stream: UnixStream,
    decoder: ResponseDecoder,
    input: Vec<u8>,
}

impl Editor {
    fn accept(listener: &UnixListener) -> Editor {
        let (stream, _) = listener.accept().expect("hsh connects");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        let mut editor = Editor { stream, decoder: ResponseDecoder::new(), input: Vec::new() };
        let mut version = Vec::new();
        framing::write_version(&mut version);
        editor.stream.write_all(&version).expect("it reads");
        editor
    }

    fn order(&mut self, command: Command) {
        let mut wire = Vec::new();
        framing::write_request(&mut wire, command, &[]);
        self.stream.write_all(&wire).expect("it reads");
    }

    /// The next frame; `None`: it has closed.
    fn next(&mut self) -> Option<(Status, Vec<u8>)> {
        loop {
            let mut input = &self.input[..];
            let response = self.decoder.next(&mut input).expect("it frames its answers");
            self.input = input.to_vec();
            if let Some(response) = response {
                return Some((response.status, response.payload));
            }
            let mut more = [0; 65_536];
            let count = self.stream.read(&mut more).expect("an answer in time");
            if count == 0 {
                return None;
            }
            self.input.extend_from_slice(&more[..count]);
        }
    }

    fn stop(&mut self) -> HslBreakPointResponse {
        let (status, payload) = self.next().expect("an answer");
        assert_eq!(status, Status::Success, "{}", String::from_utf8_lossy(&payload));
        HslBreakPointResponse::decode(&payload[..]).expect("a message")
    }

    fn printed(&mut self) -> String {
        let (status, payload) = self.next().expect("a frame");
        assert_eq!(status, Status::Asynchronous, "{}", String::from_utf8_lossy(&payload));
        let frame = HslLogResponse::decode(&payload[..]).expect("a message");
        String::from_utf8_lossy(&frame.text).into_owned()
    }

    fn error(&mut self) -> String {
        let (status, payload) = self.next().expect("an answer");
        assert_eq!(status, Status::Error);
        String::from_utf8_lossy(&payload).into_owned()
    }
}

#[test]
fn an_editor_steps_through_a_script_of_its_configuration() {
    let dir = directory(&[]);
    let listener = UnixListener::bind(dir.path().join("debug")).expect("a socket");
    let app = "version: \"6.10\"\n__entrypoint: include \"main\";\nscripting:\n  files:\n    - id: main\n      data: |\n        \
               $x = 1;\n        __debug [\"\", \"5\"] echo \"x is $x\";\n        try { throw \"no\"; } catch ($e) { }\n        \
               echo \"end\";\n";
    let path = dir.path().to_owned();
    // As the published editor calls it.
    let hsh = std::thread::spawn(move || {
        Run::of("hsh").args(["-C", "debug", "-A", "-", "-", "-c", "/dev/null"]).dir(&path).input(app).end()
    });
    let mut editor = Editor::accept(&listener);
    editor.order(Command::BreakPointContinue);
    assert_eq!(editor.error(), "No breakpoint");
    editor.order(Command::BreakPointWait);
    let stop = editor.stop();
    let place = stop.location.expect("a place");
    assert_eq!((&*stop.id, &*place.file, place.beginline), ("5", "file:main", 2));
    assert_eq!(stop.values, r#"{"x":{"format":"json","value":"1"}}"#);
    editor.order(Command::BreakPointContinue);
    assert_eq!(editor.next(), Some((Status::Success, Vec::new())));
    editor.order(Command::BreakPointWait);
    assert_eq!(editor.printed(), "x is 1");
    let stop = editor.stop();
    assert!(
        stop.id.is_empty() && stop.values.contains(r#""uncaught":false,"message":"no""#),
        "{}",
        stop.values
    );
    editor.order(Command::ConfigReload);
    assert_eq!(editor.error(), "hsh knows the commands d, e and f");
    editor.order(Command::BreakPointContinue);
    assert_eq!(editor.next(), Some((Status::Success, Vec::new())));
    editor.order(Command::BreakPointWait);
    assert_eq!(editor.printed(), "end");
    assert_eq!(editor.error(), "No breakpoint", "the script has ended");
    assert_eq!(editor.next(), None);
    let ended = hsh.join().expect("it runs");
    assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (Some(0), "", ""));
}

#[test]
fn a_script_goes_on_alone_when_its_editor_goes() {
    let dir = directory(&[(
        "s.hsl",
        "__debug [\"\", \"1\"] echo \"alone\"; __debug [\"\", \"2\"] echo \"to the end\";",
    )]);
    let listener = UnixListener::bind(dir.path().join("debug")).expect("a socket");
    let path = dir.path().to_owned();
    let hsh = std::thread::spawn(move || Run::of("hsh").args(["-C", "debug", "s.hsl"]).dir(&path).end());
    let mut editor = Editor::accept(&listener);
    editor.order(Command::BreakPointWait);
    assert_eq!(editor.stop().id, "1");
    drop(editor);
    let ended = hsh.join().expect("it runs");
    assert_eq!((ended.status, &*ended.stdout), (Some(0), "alone\nto the end\n"), "{}", ended.stderr);
}

#[test]
fn a_debugger_that_is_not_there_is_named() {
    let dir = directory(&[("s.hsl", "echo 1;")]);
    let ended = Run::of("hsh").args(["-C", "nobody", "s.hsl"]).dir(dir.path()).end();
    assert_eq!((ended.status, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("-C nobody: No such file"), "{}", ended.stderr);
    // Without one, there are no breakpoints.
    let text = "__debug [\"\", \"1\"] echo 1;";
    let ended = Run::hsh().input(text).end();
    assert!(ended.status == Some(1) && ended.stderr.contains("breakpoints are only for"), "{}", ended.stderr);
}
