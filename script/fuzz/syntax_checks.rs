//! What the fuzz target of the parser checks, shared with the test that replays its corpus. Uses the public interface only.
#![allow(unreachable_pub)] // a module of several programs

use std::sync::LazyLock;

use script::limits::MAX_SYNTAX_ERRORS;
use script::lint::{Surroundings, lint};
use script::native::Library;
use script::source::{SourceMap, Span};
use script::syntax::{Names, is_incomplete, parse as parse_script};

static LIBRARY: LazyLock<Library> = LazyLock::new(Library::standard);

/// Any bytes parse, within bounds, to findings that lie within them; and to the same again.
pub fn parse(data: &[u8]) {
    let mut sources = SourceMap::new();
    let file = sources.add("main", data, None);
    let parsed = parse_script(&sources, file, &mut Names::new());
    let errors = parsed.diagnostics.iter().filter(|finding| finding.is_error()).count();
    assert!(errors <= MAX_SYNTAX_ERRORS + 1, "{errors} errors");
    let within = |span: Span| span.file == file && span.start <= span.end && span.end as usize <= data.len();
    for finding in &parsed.diagnostics {
        assert!(within(finding.span), "{finding:?}");
        assert!(finding.related.iter().all(|(span, _)| within(*span)), "{finding:?}");
        let text = finding.render(&sources);
        assert!(text.lines().count() >= 3 && text.len() < 4000, "{text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
    let sorted = parsed.diagnostics.is_sorted_by_key(|finding| finding.span.start);
    assert!(sorted, "findings in the order of the source");
    for statement in &parsed.script.statements {
        assert!(within(statement.span) && statement.span.start < statement.span.end, "{statement:?}");
    }
    let surroundings = Surroundings { library: &LIBRARY, predefined: Some(&["message"]), hook: None };
    for warning in lint(&sources, surroundings) {
        assert!(within(warning.span) && !warning.is_error(), "{warning:?}");
    }
    let again = parse_script(&sources, file, &mut Names::new());
    assert_eq!(parsed.diagnostics, again.diagnostics);
    assert_eq!(format!("{:?}", parsed.script), format!("{:?}", again.script));
    is_incomplete(data);
}
