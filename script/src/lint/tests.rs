//! A table of scripts with all that is found in them.

use super::{Surroundings, lint};
use crate::native::Library;
use crate::source::SourceMap;
use crate::syntax::tables::{check, findings};
use crate::syntax::{Names, parse};

fn found(script: &str, predefined: Option<&[&str]>) -> String {
    found_in(&[("main", script)], predefined, Some("predelivery"))
}

fn found_in(files: &[(&str, &str)], predefined: Option<&[&str]>, hook: Option<&str>) -> String {
    let mut library = Library::standard();
    library.terminating(&["Accept", "Reject", "Defer", "Try", "Queue"]);
    let mut sources = SourceMap::new();
    for (name, text) in files {
        let file = sources.add(name, text.as_bytes(), None);
        assert!(!parse(&sources, file, &mut Names::new()).has_errors(), "{text}");
    }
    findings(&lint(&sources, Surroundings { library: &library, predefined, hook }), &sources)
}

#[test]
fn what_can_hardly_be_meant_is_found() {
    check(include_str!("tests/findings.txt"), |script| found(script, Some(&["message"])));
}

#[test]
fn what_is_meant_is_not_found() {
    check(include_str!("tests/silent.txt"), |script| found(script, Some(&["message"])));
}

#[test]
fn of_a_file_that_others_include_the_variables_are_not_known() {
    assert_eq!(
        found("echo $x; function f() { return $y; }", None),
        "1:32: warning: `$y` is read, but nothing assigns it"
    );
}

#[test]
fn a_decision_has_the_options_of_its_hook() {
    let text = r#"Accept(["recipient" => "a@b", "reasn" => "ok"]);"#;
    let of = |hook| found_in(&[("main", text)], Some(&[]), hook);
    let reason = "1:31: warning: Accept() has no option `reasn` (is `reason` meant?)";
    assert_eq!(of(Some("rcptto")), reason);
    let recipient = "1:9: warning: Accept() has no option `recipient` (its options are: reason, reply_codes)";
    assert_eq!(of(Some("eod")), format!("{recipient}\n{reason}"));
    // A file for who knows which hook may give those of any.
    assert_eq!(of(None), reason);
}

#[test]
fn what_a_program_includes_and_imports_is_looked_at_once() {
    let library = ("extras://x", "md5(1, [\"raw\" => 1]);");
    let part = ("file:part", "echo $from_main; Reject(1, [\"mine\" => 1]); md5(1, [\"raw\" => 1]);");
    let main = ("main", "function Reject($a, $b) { } echo $nope; include \"part\"; include \"part\";");
    assert_eq!(
        found_in(&[main, part, part, library], Some(&[]), None),
        "file:part:1:52: warning: md5() has no option `raw` (its options are: binary)"
    );
}
