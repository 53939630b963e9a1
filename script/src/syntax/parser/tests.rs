//! Tables of scripts with their trees and errors.

use super::{Parsed, parse, printed};
use crate::source::SourceMap;
use crate::syntax::Names;

fn parse_text(text: &str) -> (Parsed, SourceMap) {
    let mut sources = SourceMap::new();
    let file = sources.add("main", text.as_bytes(), None);
    let parsed = parse(&sources, file, &mut Names::new());
    (parsed, sources)
}

/// Blocks of lines: `> script` lines, then the expected lines, then an empty line.
fn cases(table: &str) -> impl Iterator<Item = (String, String)> {
    let blocks = table.split("\n\n").filter(|block| block.lines().any(|line| line.starts_with('>')));
    blocks.map(|block| {
        let lines = || block.lines().filter(|line| !line.starts_with('#'));
        let script: Vec<_> = lines()
            .filter_map(|line| line.strip_prefix('>'))
            .map(|l| l.strip_prefix(' ').unwrap_or(l))
            .collect();
        let expected: Vec<_> = lines().filter(|line| !line.starts_with('>')).collect();
        (script.join("\n"), expected.join("\n").trim_end().to_owned())
    })
}

fn findings(parsed: &Parsed, sources: &SourceMap) -> String {
    let lines = parsed.diagnostics.iter().map(|finding| {
        let line = finding.headline(sources);
        let line = line.strip_prefix("main:").unwrap_or(&line).to_owned();
        match &finding.help {
            Some(help) => format!("{line} ({help})"),
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Compares all cases of a table at once; `UPDATE_TABLES=path` prints what is found in place of what is expected.
fn check(table: &str, found: impl Fn(&str) -> String) {
    let mut wrong = String::new();
    for (script, expected) in cases(table) {
        let found = found(&script);
        if found != expected {
            let script = script.replace('\n', "\n> ");
            wrong.push_str(&format!("> {script}\n{found}\n--- expected\n{expected}\n\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn scripts_parse_to_their_trees() {
    check(include_str!("tests/trees.txt"), |script| {
        let (parsed, sources) = parse_text(script);
        let errors = findings(&parsed, &sources);
        if errors.is_empty() { printed::script(&parsed.script) } else { errors }
    });
}

#[test]
fn wrong_scripts_are_refused_with_one_message_for_each_mistake() {
    check(include_str!("tests/errors.txt"), |script| {
        let (parsed, sources) = parse_text(script);
        findings(&parsed, &sources)
    });
}
