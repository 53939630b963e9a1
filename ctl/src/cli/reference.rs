//! The reference document of a tree.

use std::fmt::Write;

use super::help::{meaning, option_words, wrapped};
use super::{Command, Group, usage};

/// Columns of the document.
const WIDTH: usize = 120;

/// A Markdown document of all commands; `introduction` comes first. Groups of options that several commands share are
/// written once.
#[must_use]
pub fn reference<R>(root: &'static Command<R>, introduction: &str) -> String {
    let mut text = introduction.to_owned();
    let mut leaves = Vec::new();
    collect(&mut vec![root], &mut leaves);
    let shared = shared_groups(&leaves);
    for path in &leaves {
        section(&mut text, path, &shared);
    }
    for group in shared {
        let _ = writeln!(text, "\n## {}\n", group.title);
        if !group.note.is_empty() {
            let _ = writeln!(text, "{}", wrapped(group.note, "", WIDTH));
        }
        options(&mut text, group);
    }
    text
}

fn collect<R>(path: &mut Vec<&'static Command<R>>, leaves: &mut Vec<Vec<&'static Command<R>>>) {
    let command = *path.last().expect("the path has the root");
    if command.commands().is_empty() {
        leaves.push(path.clone());
    }
    for below in command.commands() {
        path.push(below);
        collect(path, leaves);
        path.pop();
    }
}

fn shared_groups<R>(leaves: &[Vec<&'static Command<R>>]) -> Vec<&'static Group> {
    let mut shared: Vec<&Group> = Vec::new();
    let all: Vec<&'static Group> = leaves
        .iter()
        .flat_map(|path| path.iter().flat_map(|command| command.options.iter().copied()))
        .collect();
    for group in &all {
        let uses = all.iter().filter(|other| std::ptr::eq(**other, *group)).count();
        if uses > 1 && !shared.iter().any(|known| std::ptr::eq(*known, *group)) {
            shared.push(group);
        }
    }
    shared
}

fn section<R>(text: &mut String, path: &[&'static Command<R>], shared: &[&'static Group]) {
    let command = path.last().expect("the path has the root");
    let words: Vec<&str> = path.iter().map(|command| command.name).collect();
    let _ = writeln!(text, "\n## `{}`\n\n{}.\n\n    {}", words.join(" "), command.summary, usage(path));
    if !command.about.is_empty() {
        let _ = write!(text, "\n{}", wrapped(command.about, "", WIDTH));
    }
    let mut see = Vec::new();
    for group in path.iter().rev().flat_map(|command| command.options) {
        if shared.iter().any(|other| std::ptr::eq(*other, *group)) {
            see.push(format!("[{}](#{})", group.title, group.title.to_lowercase().replace(' ', "-")));
        } else {
            text.push('\n');
            options(text, group);
        }
    }
    if !command.operands.is_empty() {
        text.push_str("\n| Operand | Meaning |\n|---|---|\n");
        for operand in command.operands {
            let _ = writeln!(text, "| `{}` | {} |", operand.name, cell(operand.help));
        }
    }
    if !see.is_empty() {
        let _ = writeln!(text, "\nAlso: {}.", see.join(", "));
    }
    for (line, meaning) in command.examples {
        let _ = writeln!(text, "\n{meaning}:\n\n    {line}");
    }
}

fn options(text: &mut String, group: &Group) {
    text.push_str("| Option | Meaning |\n|---|---|\n");
    for option in group.options {
        let more = if option.repeated { "; repeatable" } else { "" };
        let _ = writeln!(
            text,
            "| `{}` | {}{more} |",
            cell(option_words(option).trim_start()),
            cell(&meaning(option))
        );
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
