//! `halonctl` against a server that says what a file of cases says: `tests/cases.txt`.
#![expect(clippy::disallowed_methods, reason = "the server is a thread of the test")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command as Program;
use std::sync::mpsc;

use control::command_line::CommandLine;
use control::framing::{Request, RequestDecoder, Status, write_response};
use control::smtpd as proto;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::{ROOT, run};
use crate::cli::{self, Shell};

/// One run of the program, and what the server is asked and answers meanwhile.
#[derive(Debug, Default, PartialEq)]
struct Case {
    name: String,
    /// `$`: the arguments.
    line: String,
    /// `?`: a request, `!`: its answer, `E`: a refusal, `=`: a frame before the answer.
    talk: Vec<(char, String)>,
    /// `>`: standard output.
    out: String,
    /// `2`: standard error.
    errors: String,
    /// `exit`: the status, 0 when not said.
    status: u8,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("tests/cases.txt").lines() {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name: name.to_owned(), ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "$" => case.line = rest.to_owned(),
            "?" | "!" | "E" | "=" => case.talk.push((mark.chars().next().unwrap(), rest.to_owned())),
            ">" => case.out += &format!("{rest}\n"),
            "2" => case.errors += &format!("{rest}\n"),
            "exit" => case.status = rest.parse().unwrap(),
            "" | "#" => {}
            other => panic!("{}: what is {other}?", case.name),
        }
    }
    cases
}

/// Words as a shell splits them, with single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut quoted = false;
    let mut word: Option<String> = None;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn described(name: &str) -> prost_reflect::MessageDescriptor {
    let pool = DescriptorPool::decode(control::DESCRIPTORS).unwrap();
    pool.get_message_by_name(&format!("smtpd.{name}")).unwrap()
}

/// The request as the case writes it: its letter, and its body as JSON on one line.
fn as_text(request: &Request) -> String {
    let letter = char::from(request.command.letter());
    let Some(name) = request.command.row().request else { return letter.to_string() };
    let message = DynamicMessage::decode(described(name), request.body.as_slice()).unwrap();
    let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
    let mut json = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut json, &options).unwrap();
    format!("{letter} {}", String::from_utf8(json.into_inner()).unwrap())
}

fn from_json(name: &str, text: &str) -> Vec<u8> {
    let mut json = serde_json::Deserializer::from_str(text);
    DynamicMessage::deserialize(described(name), &mut json).unwrap().encode_to_vec()
}

/// Plays the server's part of one connection; gives what it was asked.
fn serve(mut stream: UnixStream, talk: &[(char, String)]) -> Vec<String> {
    let mut decoder = RequestDecoder::new();
    let mut asked = Vec::new();
    let mut talk = talk.iter().filter(|(mark, _)| *mark != '?').peekable();
    let mut buffer = [0; 4096];
    while let Ok(got @ 1..) = stream.read(&mut buffer) {
        let mut input = &buffer[..got];
        while let Some(request) = decoder.next(&mut input).unwrap() {
            asked.push(as_text(&request));
            let mut wire = Vec::new();
            for (mark, text) in talk.by_ref() {
                match mark {
                    '=' => write_response(&mut wire, Status::Asynchronous, &from_json("TraceEvent", text)),
                    'E' => write_response(&mut wire, Status::Error, text.as_bytes()),
                    _ => {
                        let body = request.command.row().response.map(|name| from_json(name, text));
                        write_response(&mut wire, Status::Success, &body.unwrap_or_default());
                    }
                }
                if *mark != '=' {
                    break;
                }
            }
            stream.write_all(&wire).unwrap();
        }
    }
    asked
}

/// Runs the program's words; gives output, errors, status and what the server was asked.
fn played(line: &str, talk: &[(char, String)]) -> (String, String, u8, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("smtpd.ctl");
    let config = directory.path().join("halonctl.yaml");
    let path = socket.display();
    std::fs::write(&config, format!("environment:\n  controlsockets:\n    smtpd:\n      path: {path}\n"))
        .unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let (sender, receiver) = mpsc::channel();
    let talk = talk.to_vec();
    std::thread::spawn(move || {
        let asked = listener.accept().map(|(stream, _)| serve(stream, &talk)).unwrap_or_default();
        let _ = sender.send(asked);
    });
    let mut words: Vec<String> = words(line)
        .iter()
        .map(|word| word.replace("@DIR", &directory.path().display().to_string()))
        .collect();
    words.extend(["--config".to_owned(), config.display().to_string()]);
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let status = run(words.into_iter().map(Into::into), &mut out, &mut errors);
    // A command that asks nothing does not connect: then the server is let go.
    let _ = UnixStream::connect(&socket);
    let asked = receiver.recv().unwrap();
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).unwrap().replace(&directory.path().display().to_string(), "@DIR")
    };
    // An exit status can only be compared.
    let asked =
        asked.into_iter().map(|line| line.replace(&directory.path().display().to_string(), "@DIR")).collect();
    let status = (0..=2).find(|code| status == std::process::ExitCode::from(*code)).unwrap_or(255);
    (text(out), text(errors), status, asked)
}

#[test]
fn each_case_asks_and_says_what_it_should() {
    let mut wrong = String::new();
    for case in cases() {
        let (out, errors, status, asked) = played(&case.line, &case.talk);
        let wanted: Vec<String> =
            case.talk.iter().filter(|(mark, _)| *mark == '?').map(|(_, text)| text.clone()).collect();
        if (out.as_str(), errors.as_str(), status, &asked) != (&case.out, &case.errors, case.status, &wanted)
        {
            let marked = |mark: &str, text: &str| -> String {
                text.lines().map(|line| format!("{mark} {line}\n")).collect()
            };
            wrong += &format!("== {}\n{}", case.name, marked("?", &asked.join("\n")));
            wrong += &format!("{}{}exit {status}\n", marked(">", &out), marked("2", &errors));
        }
    }
    assert!(wrong.is_empty(), "what was asked and said instead:\n{wrong}");
}

/// What the log of the server says of a request that changes something; `None`: it changes nothing.
fn logged(asked: &str) -> Option<String> {
    fn line<M: CommandLine + Message + Default>(body: &[u8]) -> Option<String> {
        M::decode(body).ok().map(|request| request.command_line())
    }
    let (letter, json) = asked.split_once(' ')?;
    let row = control::Command::of(letter.bytes().next()?)?.row();
    let body = from_json(row.request?, json);
    match letter {
        "G" => line::<proto::QueueUpdateRequest>(&body),
        "J" => line::<proto::QueueUnloadRequest>(&body),
        "E" => line::<proto::QueueImportRequest>(&body),
        "t" => line::<proto::SuspendAddRequest>(&body),
        "O" => line::<proto::SuspendUpdateRequest>(&body),
        "u" => line::<proto::SuspendDeleteRequest>(&body),
        "w" => line::<proto::PolicyConditionAddRequest>(&body),
        "P" => line::<proto::PolicyConditionUpdateRequest>(&body),
        "x" => line::<proto::PolicyConditionDeleteRequest>(&body),
        "B" => line::<proto::PolicyRateRefillRequest>(&body),
        "a" => line::<proto::ConfigGreenDeployRequest>(&body),
        "A" => line::<proto::HslMemoryDeleteRequest>(&body),
        "h" => line::<proto::HslCacheClearRequest>(&body),
        "M" => line::<proto::PluginCommandRequest>(&body),
        "3" => line::<proto::TraceRequest>(&body),
        _ => None,
    }
}

#[test]
fn what_the_log_says_of_a_change_asks_for_the_same_when_it_is_typed() {
    let of_cases = cases().into_iter().filter(|case| !case.line.contains("--dry-run"));
    let more = include_str!("tests/changes.txt").lines().filter(|line| !line.starts_with('#'));
    let answer = vec![('!', "{}".to_owned())];
    let more = more.map(|line| (line.to_owned(), answer.clone()));
    let mut letters = std::collections::BTreeSet::new();
    for (line, talk) in of_cases.map(|case| (case.line, case.talk)).chain(more) {
        let asked = played(&line, &talk).3;
        // The first of several files.
        let Some(asked) = asked.first() else { continue };
        let Some(logged) = logged(asked) else { continue };
        let again = played(&logged, &talk).3;
        // Maps come in any order.
        let parts = |asked: &str| {
            (asked[..1].to_owned(), serde_json::from_str::<serde_json::Value>(&asked[2..]).ok())
        };
        assert_eq!(again.first().map(|again| parts(again)), Some(parts(asked)), "{line}\n{logged}");
        letters.extend(asked.chars().next());
    }
    assert_eq!(letters.into_iter().collect::<String>(), "3ABEGJMOPahtuwx");
}

#[test]
fn names_of_options_are_unique_on_each_line() {
    fn check(path: &[&'static cli::Command<super::Run>]) {
        let command = path.last().unwrap();
        let options: Vec<_> = path.iter().flat_map(|command| command.all_options()).collect();
        for (index, option) in options.iter().enumerate() {
            assert!(!matches!(option.long, "help" | "version"), "{}", command.name);
            let before = &options[..index];
            assert!(
                before.iter().all(|other| other.long != option.long),
                "{} --{}",
                command.name,
                option.long
            );
            assert!(option.short.is_none() || before.iter().all(|other| other.short != option.short));
        }
        for below in command.commands() {
            check(&[path, &[below]].concat());
        }
    }
    check(&[&ROOT]);
}

/// Rewrites the document when `UPDATE_DOCS` is set.
#[test]
fn the_reference_document_is_up_to_date() {
    const INTRODUCTION: &str = "# halonctl

<!-- Generated from the tables in ctl/src/commands by `UPDATE_DOCS=1 cargo test -p ctl`. Do not edit. -->

`halonctl` asks a running `smtpd` over its control socket. Where that is says `/etc/halon/halonctl.yaml`, or another file
after `--config`; without a file it is `/var/run/halon/smtpd.ctl`. Exit status: 0 success, also when nothing matched; 1 the
server refused or could not be reached; 2 the command line is wrong. Every command takes `-h`.

With `--json` a command prints the answer of the server as JSON: names as in `control/proto`, 64-bit numbers as strings,
enumerations as names; commands that list print an array. With `--json-request` the request comes before it.
";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/halonctl.md");
    let wanted = cli::reference(&ROOT, INTRODUCTION);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "docs/reference/halonctl.md is stale: UPDATE_DOCS=1 cargo test -p ctl");
}

#[test]
fn bash_completes_commands_options_and_words() {
    let script = cli::script(&ROOT, Shell::Bash);
    let complete = |words: &[&str]| -> Vec<String> {
        let list = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let cword = words.len() - 1;
        let run = format!(
            "{script}\nCOMP_WORDS=({list}); COMP_CWORD={cword}; _halonctl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Program::new("bash").args(["-c", &run]).output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    assert_eq!(complete(&["halonctl", "q"]), ["queue"]);
    assert_eq!(complete(&["halonctl", "queue", "un"]), ["unload"]);
    assert_eq!(complete(&["halonctl", "queue", "list", "--retryc"]), ["--retrycount"]);
    assert_eq!(complete(&["halonctl", "queue", "list", "--state", "S"]), ["SENDING"]);
    assert_eq!(complete(&["halonctl", "queue", "list", "-F", "senderh"]), ["senderhelo"]);
    assert_eq!(complete(&["halonctl", "queue", "list", "--jobid", ""]), [""]);
    assert_eq!(complete(&["halonctl", "completion", "z"]), ["zsh"]);
}

#[test]
fn scripts_for_other_shells_name_every_command() {
    for shell in [Shell::Zsh, Shell::Fish] {
        let script = cli::script(&ROOT, shell);
        for word in [" queue suspend add", " hsl memory fetch", "recipientdomain", "SENDING"] {
            assert!(script.contains(word), "{shell:?} {word}");
        }
    }
}
