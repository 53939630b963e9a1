//! Words for a person: what is wrong with a script, and how it ended.

use std::fmt::Write as _;

use script::compile::Diagnostics;
use script::diagnostic::Diagnostic;
use script::machine::ScriptError;
use script::source::SourceMap;

/// Calls of a deep call stack that are shown at each end.
const STACK_SHOWN: usize = 10;

/// Everything that the compiler found.
pub(crate) fn diagnostics(found: &Diagnostics) -> String {
    found.all.iter().map(|diagnostic| diagnostic.render(&found.sources)).collect()
}

/// What the compiler found in a script that it compiled.
pub(crate) fn warnings(warnings: &[Diagnostic], sources: &SourceMap) -> String {
    warnings.iter().map(|warning| warning.render(sources)).collect()
}

/// How a script failed: what, where, and in which calls.
pub(crate) fn failure(error: &ScriptError, sources: &SourceMap) -> String {
    let mut text = match &error.position {
        Some(place) => Diagnostic::error(place.span, &*error.message).render(sources),
        None => format!("error: {}\n", error.message),
    };
    let stack = &error.stack;
    // The place is above; without a call there is nothing to add.
    if stack.len() < 2 {
        return text;
    }
    let left_out = (stack.len() > 2 * STACK_SHOWN).then(|| STACK_SHOWN..stack.len() - STACK_SHOWN);
    for (index, call) in stack.iter().enumerate() {
        match &left_out {
            Some(range) if index == range.start => {
                text.push_str("  ... more calls ...\n");
            }
            Some(range) if range.contains(&index) => {}
            _ => {
                let _ = writeln!(text, "  in {} at {}", call.function, call.place);
            }
        }
    }
    text
}

/// A line of the system log, as it is shown to a person.
pub(crate) fn syslog_line(priority: u32, text: &[u8]) -> String {
    const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    let name = NAMES[(priority & 7) as usize];
    // One call is one line, whatever is in it.
    let text = String::from_utf8_lossy(text).replace('\n', "?");
    format!("syslog {name}: {text}")
}
