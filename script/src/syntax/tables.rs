//! Tables of scripts for tests.

use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;

/// Blocks of lines: `> script` lines, then the expected lines, then an empty line.
fn cases(table: &str) -> impl Iterator<Item = (String, String)> {
    let blocks = table.split("\n\n").filter(|block| block.lines().any(|line| line.starts_with('>')));
    blocks.map(|block| {
        let lines = || block.lines().filter(|line| !line.starts_with("# "));
        let script: Vec<_> = lines()
            .filter_map(|line| line.strip_prefix('>'))
            .map(|l| l.strip_prefix(' ').unwrap_or(l))
            .collect();
        let expected: Vec<_> = lines().filter(|line| !line.starts_with('>')).collect();
        (script.join("\n"), expected.join("\n").trim_end().to_owned())
    })
}

/// One line for each finding.
pub(crate) fn findings(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let lines = diagnostics.iter().map(|finding| {
        let mut line = finding.headline(sources);
        for (span, note) in &finding.related {
            line.push_str(&format!(" [{} {note}]", sources.position(*span)));
        }
        if let Some(help) = &finding.help {
            line.push_str(&format!(" ({help})"));
        }
        line.strip_prefix("main:").unwrap_or(&line).to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Compares all cases of a table at once, and shows those that differ as the table would have them.
pub(crate) fn check(table: &str, found: impl Fn(&str) -> String) {
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
