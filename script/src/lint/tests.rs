//! A table of scripts with all that is found in them.

use super::{Surroundings, lint};
use crate::native::Library;
use crate::source::SourceMap;
use crate::syntax::tables::{check, findings};
use crate::syntax::{Names, parse};

fn found(script: &str, predefined: Option<&[&str]>) -> String {
    let mut library = Library::standard();
    library.terminating(&["Reject", "Defer"]);
    let mut sources = SourceMap::new();
    let file = sources.add("main", script.as_bytes(), None);
    let parsed = parse(&sources, file, &mut Names::new());
    assert!(!parsed.has_errors(), "{script}");
    findings(&lint(&parsed.script, Surroundings { library: &library, predefined }), &sources)
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
