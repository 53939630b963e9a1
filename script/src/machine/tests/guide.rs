//! The examples of the guide to the language print what it says.
//!
//! A block of `hsl` is a script, and the block of `output` after it what it prints, or why it does not compile. A block of
//! `hsl name` is a file for the next script.

use super::harness::{load, printed};

const GUIDE: &str = include_str!("../../../../docs/hsl/language.md");

/// The blocks of a document: what stands after the fence, the text, and the line of the fence.
fn blocks(document: &str) -> Vec<(&str, String, usize)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String, usize)> = None;
    for (number, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((info, String::new(), number + 1)),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, text, _))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn the_examples_of_the_guide_print_what_it_says() {
    let mut files = Vec::new();
    let mut script = None;
    let (mut examples, mut wrong) = (0, String::new());
    for (info, text, line) in blocks(GUIDE) {
        if let Some(name) = info.strip_prefix("hsl ") {
            files.push((name.to_owned(), text.trim_end().to_owned()));
        } else if info == "hsl" {
            script = Some((text, line));
        } else if info == "output" {
            let (script, line) = script.take().unwrap_or_else(|| panic!("line {line}: output of what?"));
            let files = std::mem::take(&mut files);
            let found = match load(&script, &files) {
                Ok(_) => printed(&script, &files, 1000),
                Err(messages) => messages,
            };
            if found.join("\n") != text.trim_end() {
                wrong.push_str(&format!("line {line} prints:\n{}\n\n", found.join("\n")));
            }
            examples += 1;
        }
    }
    assert!(script.is_none() && files.is_empty(), "an example without output");
    assert!(examples > 20, "the guide has its examples");
    assert!(wrong.is_empty(), "docs/hsl/language.md:\n{wrong}");
}

#[test]
fn the_limits_in_the_guide_are_those_of_the_code() {
    use crate::limits::{DEFAULT_DEPTH, DEFAULT_MEMORY_BYTES, DEFAULT_STEPS};
    use crate::limits::{MAX_ARRAY_ITEMS, MAX_NESTING, MAX_SOURCE_BYTES, MAX_STRING_BYTES};
    let spaced = |number: u64| {
        let digits = number.to_string();
        let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
        groups.join(" ")
    };
    for row in [
        format!("| steps (jumps backwards and calls) | {} |", spaced(DEFAULT_STEPS)),
        format!("| memory | {} MiB |", DEFAULT_MEMORY_BYTES >> 20),
        format!("| call depth | {DEFAULT_DEPTH} |"),
        format!("| a string | {} MiB |", MAX_STRING_BYTES >> 20),
        format!("| items made by one operation | {} |", spaced(MAX_ARRAY_ITEMS as u64)),
        format!("| a source file | {} MiB |", MAX_SOURCE_BYTES >> 20),
        format!("| nesting of statements and expressions | {MAX_NESTING} |"),
    ] {
        assert!(GUIDE.contains(&row), "docs/hsl/language.md lacks: {row}");
    }
}
