//! `halontop`: all counters on a screen, again and again (reference: cli-and-operations 4).
//!
//! [`Sample`] is what the server says at one time, [`panes`](panes::panes) makes of two of them what is shown, [`draw`]
//! lays that out, and [`terminal`] has the loop. All but the last are pure.

mod args;
pub mod draw;
pub mod panes;
mod sample;
mod terminal;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::text::visible_lines;
use crate::{Client, Failure, Settings, VERSION, cli};
use args::{ROOT, interval};
pub use draw::{Screen, draw};
pub use sample::Sample;

/// Width of the screen that `--once` prints where there is no terminal to say.
const ONCE_WIDTH: u16 = 100;

/// Runs the command line, without the program's name, and says how it ended.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run_line(words) {
        Ok(()) | Err(Failure::Unread) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = visible_lines(&failure.to_string());
            let lines: String = text.lines().map(|line| format!("halontop: {line}\n")).collect();
            // What cannot be said is not said.
            let _ = std::io::stderr().write_all(lines.as_bytes());
            failure.status()
        }
    }
}

fn run_line(words: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let arguments = match cli::parse(&ROOT, words)? {
        cli::Parsed::Help(path) => return print(&cli::help(&path)),
        cli::Parsed::Version => return print(&format!("halontop {VERSION}\n")),
        cli::Parsed::Run { arguments, .. } => arguments,
    };
    let settings = Settings::load(arguments.one("config"))?;
    let interval = interval(&arguments)?;
    if arguments.has("once") {
        let sample = Sample::take(&mut Client::connect(&settings.socket)?)?;
        return print(&once(sample));
    }
    if !std::io::stdout().is_terminal() {
        return Err(Failure::Usage("standard output is no terminal; --once prints one screen".to_owned()));
    }
    terminal::watch(&settings, interval)
}

/// One screen as text, as high as it takes.
fn once(sample: Sample) -> String {
    let width = crossterm::terminal::size().ok().filter(|_| std::io::stdout().is_terminal());
    let width = width.map_or(ONCE_WIDTH, |(width, _)| width);
    let screen = Screen::of(sample);
    let area = Rect::new(0, 0, width, draw::whole_height(&screen, width));
    let mut buffer = Buffer::empty(area);
    draw(&screen, area, &mut buffer);
    text(&buffer)
}

/// What a buffer shows, without colours.
fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        let mut skip = 0;
        for x in area.left()..area.right() {
            // The cell after a wide character is part of it.
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            skip = crate::text::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(crate::output::unwritten)
}

#[cfg(test)]
mod tests;
