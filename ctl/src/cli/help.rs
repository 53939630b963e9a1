//! Help texts.

use std::fmt::Write;

use super::{Command, Operand, Opt, Value};

/// Columns that a help text fills.
const WIDTH: usize = 100;

/// The help text of the last of `path`, each the parent of the next.
#[must_use]
pub fn help<R>(path: &[&'static Command<R>]) -> String {
    let command = path.last().expect("the path has the root");
    let mut text = format!("{}\n\nUsage: {}\n", command.summary, usage(path));
    if !command.about.is_empty() {
        let _ = write!(text, "\n{}", wrapped(command.about, "", WIDTH));
    }
    let commands = command.commands().iter().map(|one| (one.name.to_owned(), one.summary.to_owned()));
    rows(&mut text, "Commands", "", commands);
    let operands = command.operands.iter().map(|operand| (operand.name.to_owned(), operand.help.to_owned()));
    rows(&mut text, "Operands", "", operands);
    for group in path.iter().rev().flat_map(|command| command.options) {
        let options = group.options.iter().map(|option| (option_words(option), meaning(option)));
        rows(&mut text, group.title, group.note, options);
    }
    let version = ("-v, --version".to_owned(), "Print the version".to_owned());
    let help = ("-h, --help".to_owned(), "Print this text".to_owned());
    rows(&mut text, "Help", "", [version, help].into_iter().skip(usize::from(path.len() > 1)));
    if !command.examples.is_empty() {
        text.push_str("\nExamples:\n");
        for (line, meaning) in command.examples {
            let _ = writeln!(text, "  {line}\n      {meaning}");
        }
    }
    text
}

/// The line that shows how to call it.
#[must_use]
pub fn usage<R>(path: &[&'static Command<R>]) -> String {
    let command = path.last().expect("the path has the root");
    let mut words: Vec<String> = path.iter().map(|command| command.name.to_owned()).collect();
    if !command.commands().is_empty() {
        words.push("COMMAND".to_owned());
    }
    if path.iter().any(|command| !command.options.is_empty()) {
        words.push("[OPTIONS]".to_owned());
    }
    words.extend(command.operands.iter().map(operand_words));
    words.join(" ")
}

fn operand_words(operand: &Operand) -> String {
    let dots = if operand.repeated { "..." } else { "" };
    if operand.required { format!("{}{dots}", operand.name) } else { format!("[{}{dots}]", operand.name) }
}

/// The option with what it takes: the words themselves where they are few.
pub(super) fn option_words(option: &Opt) -> String {
    let short = option.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
    let value = match option.value {
        Value::None => return format!("{short}--{}", option.long),
        Value::Word(_, words) if words.len() <= FEW => words.join("|"),
        value => value.name().to_owned(),
    };
    format!("{short}--{} {value}", option.long)
}

/// What the option means, with the words that it takes where they are many.
pub(super) fn meaning(option: &Opt) -> String {
    match option.value {
        Value::Word(_, words) if words.len() > FEW => format!("{}: one of {}", option.help, words.join(", ")),
        _ => option.help.to_owned(),
    }
}

/// So many words fit beside the name of an option.
const FEW: usize = 3;

/// The paragraphs of a group's note are wrapped; so are the meanings, beside the names.
fn rows(text: &mut String, title: &str, note: &str, rows: impl Iterator<Item = (String, String)>) {
    let rows: Vec<(String, String)> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}:");
    if !note.is_empty() {
        text.push_str(&wrapped(note, "  ", WIDTH));
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, meaning) in rows {
        let indent = " ".repeat(width + 4);
        let meaning = wrapped(&meaning, &indent, WIDTH);
        let _ = write!(text, "  {name:width$}  {}", meaning.trim_start());
    }
}

/// Each line of `text` as a paragraph, broken at spaces.
pub(super) fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut out = String::new();
    for paragraph in text.lines() {
        let mut line = indent.to_owned();
        for word in paragraph.split(' ') {
            if line.len() > indent.len() && line.chars().count() + 1 + word.chars().count() > width {
                let _ = writeln!(out, "{}", line.trim_end());
                line = indent.to_owned();
            }
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_broken_at_spaces() {
        assert_eq!(wrapped("one two three\nfour", "  ", 9), "  one two\n  three\n  four\n");
    }
}
