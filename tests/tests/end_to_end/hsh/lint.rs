//! OPS48: what `hsl-lint` says.

use tests::{Ended, Run};

use super::conformance::quoted;

fn lint(document: impl Into<Vec<u8>>) -> Ended {
    Run::of("hsl-lint").input(document).end()
}

fn script(phase: &str, data: &str) -> Ended {
    lint(format!("version: \"6.10\"\nphase: {}\ndata: {}\nfiles: []\n", quoted(phase), quoted(data)))
}

fn is_valid(ended: &Ended) {
    assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (Some(0), "", ""));
}

#[test]
fn a_valid_script_is_silent() {
    is_valid(&script("", "echo 1;"));
    is_valid(&script("eod", "if ($arguments[\"mail\"]) Reject(\"no\", [\"disconnect\" => true]); Accept();"));
    is_valid(&script(
        "predelivery",
        "SetMetaData([\"k\" => \"v\"]); $context = 1; Try([\"host\" => $message[\"id\"]]);",
    ));
    is_valid(&script("connect", "function Reject(...$a) { builtin Reject(...$a); } Reject(\"x\");"));
}

#[test]
fn a_broken_script_gets_one_document() {
    let ended = script("", "echo 1;\necho (2;\n");
    assert_eq!((ended.status, &*ended.stdout), (Some(1), ""));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines[..2], ["line: 2", "column: 8"], "{}", ended.stderr);
    assert!(lines[2].starts_with("message: \"") && lines[3] == "path: []", "{}", ended.stderr);
}

/// Editors take what stands on standard error for an error, so warnings are on standard output.
#[test]
fn a_warning_is_an_item_of_a_list_on_standard_output() {
    let warned = |phase: &str, data: &str, list: &str| {
        let ended = script(phase, data);
        assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (Some(0), list, ""), "{phase}: {data}");
    };
    warned(
        "predelivery",
        "\nTry([\"hots\" => \"x\"]);",
        "- line: 2\n  column: 6\n  message: \"Try() has no option `hots`; is `host` meant?\"\n  path: []\n",
    );
    let again = "the client sends a deferred message again, and what is queued by now goes out twice; `Reject` keeps what is \
                 queued, too";
    let eod = "$arguments[\"mail\"]->queue(\"\", \"b@c\", \"t\"); Defer();";
    warned("eod", eod, &format!("- line: 1\n  column: 44\n  message: \"{again}\"\n  path: []\n"));
    let ended = lint(
        "phase: eod\ndata: 'include \"part\";'\nfiles:\n- {id: part, data: 'Accept([\"hold\" => true]);'}\n",
    );
    let message = "Accept() has no option `hold`; its options are: reason, reply_codes";
    let path = "  path:\n  - line: 1\n    column: 9\n";
    let list = format!("- file: \"part\"\n  line: 1\n  column: 9\n  message: \"{message}\"\n{path}");
    assert_eq!((ended.status, ended.stdout), (Some(0), list));
}

#[test]
fn an_error_in_a_file_has_the_chain_of_includes() {
    let ended = lint(
        "version: \"6.10\"\nphase: eod\ndata: \"\\n include \\\"outer\\\";\"\nfiles:\n\
         - {id: outer, data: \"include \\\"dir/inner.hsl\\\";\"}\n\
         - {id: dir/inner.hsl, binary: true, data: ZWNobyAxOwplY2hvICgyOwo=}\n",
    );
    assert_eq!(ended.status, Some(1));
    let message = ended.stderr.lines().find(|line| line.starts_with("message: ")).expect("a message");
    let expected = format!(
        "file: \"dir/inner.hsl\"\nline: 2\ncolumn: 8\n{message}\npath:\n\
         - file: \"outer\"\n  line: 1\n  column: 9\n- line: 2\n  column: 10\n"
    );
    assert_eq!(ended.stderr, expected);
}

#[test]
fn the_phase_decides_what_there_is() {
    let wrong = |phase: &str, data: &str, words: &str| {
        let ended = script(phase, data);
        assert!(ended.status == Some(1) && ended.stderr.contains(words), "{phase}: {data}: {ended:?}");
    };
    wrong("connect", "Try();", "Try");
    wrong("predelivery", "Accept();", "Accept");
    wrong("eod", "Reject(\"a\", [], 3);", "Reject");
    wrong("postdelivery", "$context = 1;", "context");
    wrong("rcptto", "$arguments = [];", "arguments");
    is_valid(&script("", "function f() { Reject(\"x\"); } function g() { Try(); }"));
}

#[test]
fn what_is_no_document_is_an_internal_failure() {
    for document in ["", "- 1", "phase: nonsense\ndata: x\n", "phase: eod\n", "data: [unclosed"] {
        let ended = lint(document);
        assert!(ended.status == Some(2) && ended.stderr.starts_with("hsl-lint: "), "{document:?}: {ended:?}");
    }
    assert_eq!(Run::of("hsl-lint").args(["--help"]).end().status, Some(0));
    assert_eq!(Run::of("hsl-lint").args(["x"]).end().status, Some(2));
}
