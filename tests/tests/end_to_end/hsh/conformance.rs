//! The conformance cases of the language, by the real program.

use std::fmt::Write as _;

use tests::Run;

use super::cases::{Case, cases};
use super::directory;

/// hsl-language 19, shared with the tests of the machine.
const LANGUAGE: &str = include_str!("../../../../script/tests/conformance.txt");

#[test]
fn each_conformance_case_gives_its_output() {
    let all = cases(LANGUAGE);
    assert!(all.len() > 95, "the file of cases is read: {}", all.len());
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(4));
        let threads: Vec<_> =
            parts.map(|part| scope.spawn(|| part.iter().filter_map(check).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a case does not panic")).collect()
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong with the outcome of a case.
fn check(case: &Case<'_>) -> Option<String> {
    let config = running(case);
    let dir = directory(&[("app.yaml", &config), ("main.hsl", case.script)]);
    let ended = Run::hsh().args(["-A", "app.yaml", "main.hsl"]).dir(dir.path()).end();
    let (id, reject) = match case.name.split_once(' ') {
        Some((id, words)) => (id, words.contains("reject")),
        None => (case.name, false),
    };
    let fine = if reject {
        ended.status == Some(1) && ended.stdout.is_empty() && has_position(&ended.stderr)
    } else {
        ended.status == Some(0)
            && ended.stderr.is_empty()
            && case.section("output").is_some_and(|expected| expected.trim_end() == ended.stdout.trim_end())
    };
    let expected = case.section("output").unwrap_or("(an error)\n");
    (!fine).then(|| format!("=== {id}\n{}\n--- expected\n{expected}--- found\n{ended:#?}", case.script))
}

/// A file, a line and a column.
fn has_position(text: &str) -> bool {
    let Some((place, _)) = text.split_once(": error: ") else { return false };
    let mut parts = place.rsplitn(3, ':');
    let mut number = || parts.next().is_some_and(|part| part.parse::<u32>().is_ok_and(|n| n > 0));
    number() && number() && parts.next().is_some_and(|file| !file.contains('\n'))
}

/// A running configuration with the files of the case.
fn running(case: &Case<'_>) -> String {
    let mut text = "version: \"6.10\"\nscripting:\n  files:\n".to_owned();
    let before = text.len();
    for (name, content) in case.files() {
        let content = content.strip_suffix('\n').unwrap_or(content);
        let _ = writeln!(text, "    - id: {name}\n      data: {}", quoted(content));
    }
    if text.len() == before {
        text.truncate("version: \"6.10\"\n".len());
    }
    text
}

/// A YAML scalar in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    format!("\"{escaped}\"")
}
