//! The lines of an interactive session: editing, history, completion.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use rustyline::completion::Completer;
use rustyline::config::{BellStyle, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use script::syntax;

use crate::limits::HISTORY_LINES;

const PROMPT: &str = "> ";

/// What came from the terminal.
#[derive(Debug)]
pub(super) enum Line {
    /// A complete input, of one or more lines.
    Input(String),
    /// Ctrl-C: the input so far is dropped.
    Cleared,
    /// Ctrl-D, or the terminal is gone.
    End,
}

/// Reads inputs from the terminal. Blocks: belongs on a thread of its own.
pub(super) struct Lines {
    editor: Editor<Words, FileHistory>,
    history: Option<PathBuf>,
}

impl Lines {
    /// With the history of earlier sessions, where there is a place for it, and completion of these words.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub(super) fn open(words: Vec<String>) -> Result<Lines, String> {
        let config = Config::builder()
            .max_history_size(HISTORY_LINES)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(|error| error.to_string())?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .bell_style(BellStyle::None)
            .build();
        let mut editor = Editor::with_config(config).map_err(|error| error.to_string())?;
        editor.set_helper(Some(Words { all: words }));
        let history = history_path();
        if let Some(path) = &history {
            // The first session has none.
            let _ = editor.load_history(path);
        }
        Ok(Lines { editor, history })
    }

    /// Waits for the next input.
    pub(super) fn read(&mut self) -> Line {
        match self.editor.readline(PROMPT) {
            Ok(text) => {
                if !text.trim().is_empty() && self.editor.add_history_entry(&text).unwrap_or(false) {
                    self.keep();
                }
                Line::Input(text)
            }
            Err(ReadlineError::Interrupted) => Line::Cleared,
            Err(_) => Line::End,
        }
    }

    /// Completes these words from now on.
    pub(super) fn learn(&mut self, words: Vec<String>) {
        if let Some(helper) = self.editor.helper_mut() {
            helper.all = words;
        }
    }

    /// A session that is killed should not lose its history.
    fn keep(&mut self) {
        let Some(path) = &self.history else { return };
        let there = path.parent().is_none_or(|directory| directory.is_dir() || create_private(directory));
        // A history that cannot be written is no reason to bother the user at each line.
        if !there || self.editor.append_history(path).is_err() {
            self.history = None;
        }
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lines").field("history", &self.history).finish_non_exhaustive()
    }
}

/// `$XDG_STATE_HOME/hsh/history`, by default `~/.local/state/hsh/history`.
fn history_path() -> Option<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = directory("XDG_STATE_HOME").or_else(|| Some(directory("HOME")?.join(".local/state")))?;
    Some(state.join("hsh/history"))
}

/// Only the user may read what was typed.
fn create_private(directory: &Path) -> bool {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).is_ok()
}

/// Says when an input is complete, and knows words.
struct Words {
    all: Vec<String>,
}

impl Helper for Words {}
impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        Cow::Borrowed(prompt)
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match syntax::is_incomplete(context.input().as_bytes()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let start = word_start(line, cursor);
        let word = &line[start..cursor];
        let fits = |candidate: &&String| !word.is_empty() && candidate.starts_with(word);
        Ok((start, self.all.iter().filter(fits).cloned().collect()))
    }
}

/// Where the word before the cursor begins; `$` is part of it.
fn word_start(line: &str, cursor: usize) -> usize {
    let before = &line[..cursor];
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = before
        .rfind(|c| !is_part(c))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    if before[..start].ends_with('$') { start - 1 } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed_with_their_dollar() {
        for (line, start) in
            [("str_f", 0), ("1+str_f", 2), ("$ab", 0), ("f($ab", 2), ("ä$ab", 2), ("ä", 2), ("", 0)]
        {
            assert_eq!(word_start(line, line.len()), start, "{line}");
        }
    }
}
