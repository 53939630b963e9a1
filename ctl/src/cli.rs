//! A command line as a tree of values.
//!
//! [`Command`] is a node; what a leaf does is up to the program ([`Command::run`] is a type of its own). [`parse`] turns
//! words into [`Parsed`], [`help`] and [`complete`] and [`reference`] read the same tree.

mod complete;
mod help;
mod parse;
mod reference;

pub use complete::{Shell, script};
pub use help::{help, usage};
pub use parse::{Arguments, Parsed, parse};
pub use reference::reference;

/// A command: either it has commands below it, or it runs.
#[derive(Debug)]
pub struct Command<R: 'static> {
    /// The word.
    pub name: &'static str,
    /// One line, without full stop.
    pub summary: &'static str,
    /// Paragraphs for its own help; may be empty.
    pub about: &'static str,
    /// Options, in groups that commands share.
    pub options: &'static [&'static Group],
    /// What comes without a dash.
    pub operands: &'static [Operand],
    /// Command lines with what they do.
    pub examples: &'static [(&'static str, &'static str)],
    /// What is below.
    pub body: Body<R>,
}

/// What a command is made of.
#[derive(Debug)]
pub enum Body<R: 'static> {
    /// More commands.
    Commands(&'static [Command<R>]),
    /// Something to run.
    Run(R),
}

/// Options under one heading.
#[derive(Debug)]
pub struct Group {
    /// The heading, as `Options`.
    pub title: &'static str,
    /// A paragraph below it; may be empty.
    pub note: &'static str,
    /// The options.
    pub options: &'static [Opt],
}

/// An option.
#[derive(Debug)]
pub struct Opt {
    /// Without the dashes.
    pub long: &'static str,
    /// A letter that means the same.
    pub short: Option<char>,
    /// What it takes.
    pub value: Value,
    /// Whether it may be given more than once.
    pub repeated: bool,
    /// One sentence without full stop.
    pub help: &'static str,
}

/// What an option or operand takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Nothing: it is there or not.
    None,
    /// Text; the name stands for it in help texts.
    Text(&'static str),
    /// One of some words; the name stands for it in help texts.
    Word(&'static str, &'static [&'static str]),
    /// A file or directory; the name stands for it in help texts.
    Path(&'static str),
}

/// An argument without a dash.
#[derive(Debug)]
pub struct Operand {
    /// Stands for it in help texts, and names its values.
    pub name: &'static str,
    /// What it takes.
    pub value: Value,
    /// Whether it must be given.
    pub required: bool,
    /// Takes all that follow.
    pub repeated: bool,
    /// One sentence without full stop.
    pub help: &'static str,
}

impl Value {
    /// What stands for it in help texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Text(name) | Self::Word(name, _) | Self::Path(name) => name,
        }
    }
}

impl<R> Command<R> {
    /// The commands below; none of a leaf.
    #[must_use]
    pub fn commands(&self) -> &'static [Self] {
        match self.body {
            Body::Commands(commands) => commands,
            Body::Run(_) => &[],
        }
    }

    /// All its options.
    pub fn all_options(&self) -> impl Iterator<Item = &'static Opt> {
        self.options.iter().flat_map(|group| group.options)
    }
}

/// An option without a value.
#[must_use]
pub const fn flag(long: &'static str, help: &'static str) -> Opt {
    Opt { long, short: None, value: Value::None, repeated: false, help }
}

/// An option with a value.
#[must_use]
pub const fn option(long: &'static str, value: Value, help: &'static str) -> Opt {
    Opt { long, short: None, value, repeated: false, help }
}

/// An operand that must be given once.
#[must_use]
pub const fn operand(name: &'static str, value: Value, help: &'static str) -> Operand {
    Operand { name, value, required: true, repeated: false, help }
}

impl Opt {
    /// With a letter that means the same.
    #[must_use]
    pub const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// May be given more than once.
    #[must_use]
    pub const fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }
}

impl Operand {
    /// Need not be given.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Takes all that follow.
    #[must_use]
    pub const fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }
}
