//! Words to a command and its arguments.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::str::FromStr;

use lexopt::Arg;

use super::{Body, Command, Operand, Opt, Value};
use crate::Failure;

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed<R: 'static> {
    /// To run a command.
    Run {
        /// What runs.
        run: &'static R,
        /// With what.
        arguments: Arguments,
    },
    /// For help about the last of these commands, each the parent of the next.
    Help(Vec<&'static Command<R>>),
    /// For the version.
    Version,
}

/// Options and operands as they were given.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Arguments {
    /// Whether the option was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// All values of an option or operand, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of an option or operand.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }

    /// The value of an operand that must be given.
    #[must_use]
    pub fn operand(&self, name: &str) -> &str {
        self.one(name).expect("the parser has seen to it")
    }

    /// The value of an option as a number of the type.
    ///
    /// # Errors
    /// The value is none.
    pub fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, Failure> {
        self.one(name)
            .map(|text| {
                let wrong = || Failure::Usage(format!("--{name}: \"{text}\" is not a number that fits"));
                text.parse().map_err(|_| wrong())
            })
            .transpose()
    }
}

/// Finds the command of a line, without the program's name, and its arguments.
///
/// # Errors
/// A sentence for the user, with a hint where something similar exists.
pub fn parse<R>(
    root: &'static Command<R>,
    words: impl IntoIterator<Item = OsString>,
) -> Result<Parsed<R>, Failure> {
    let mut parser = lexopt::Parser::from_args(words);
    let mut path = vec![root];
    let mut arguments = Arguments::default();
    let mut operands = Vec::new();
    while let Some(arg) = parser.next().map_err(usage)? {
        let command = *path.last().expect("the root is never taken away");
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(Parsed::Help(path)),
            Arg::Long("version") | Arg::Short('v') if path.len() == 1 => return Ok(Parsed::Version),
            Arg::Long(_) | Arg::Short(_) => {
                let option = find_option(&path, &arg).ok_or_else(|| unknown_option(&path, &arg))?;
                let value = match option.value {
                    Value::None => String::new(),
                    _ => text(parser.value().map_err(usage)?)?,
                };
                store(&mut arguments, option, value)?;
            }
            Arg::Value(word) => {
                let word = text(word)?;
                match command.body {
                    Body::Commands(commands) => path.push(find_command(commands, &word)?),
                    Body::Run(_) => operands.push(word),
                }
            }
        }
    }
    let command = *path.last().expect("the root is never taken away");
    match &command.body {
        Body::Commands(_) => Ok(Parsed::Help(path)),
        Body::Run(run) => {
            place(&mut arguments, command.operands, operands)?;
            Ok(Parsed::Run { run, arguments })
        }
    }
}

/// Options of the commands above may stand anywhere after them.
fn find_option<R>(path: &[&'static Command<R>], arg: &Arg<'_>) -> Option<&'static Opt> {
    path.iter().rev().flat_map(|command| command.all_options()).find(|option| match arg {
        Arg::Long(name) => option.long == *name,
        Arg::Short(letter) => option.short == Some(*letter),
        Arg::Value(_) => false,
    })
}

fn unknown_option<R>(path: &[&'static Command<R>], arg: &Arg<'_>) -> Failure {
    let Arg::Long(name) = arg else {
        let Arg::Short(letter) = arg else { return Failure::Usage("unexpected value".to_owned()) };
        return Failure::Usage(format!("unknown option -{}", letter.escape_default()));
    };
    let names = path.iter().flat_map(|command| command.all_options()).map(|option| option.long);
    let hint = similar(name, names).map(|name| format!("; did you mean --{name}?")).unwrap_or_default();
    Failure::Usage(format!("unknown option --{}{hint}", name.escape_debug()))
}

fn find_command<R>(commands: &'static [Command<R>], word: &str) -> Result<&'static Command<R>, Failure> {
    commands.iter().find(|command| command.name == word).ok_or_else(|| {
        let names = commands.iter().map(|command| command.name);
        let hint = match similar(word, names.clone()) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        Failure::Usage(format!("unknown command \"{}\"; {hint}", word.escape_debug()))
    })
}

fn similar(word: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let far = 1 + word.chars().count() / 4;
    let (distance, name) = names.map(|name| (strsim::osa_distance(word, name), name)).min()?;
    (distance <= far).then_some(name)
}

fn store(arguments: &mut Arguments, option: &'static Opt, value: String) -> Result<(), Failure> {
    check_word(&format!("--{}", option.long), option.value, &value)?;
    let values = arguments.values.entry(option.long).or_default();
    if !values.is_empty() && !option.repeated && option.value != Value::None {
        return Err(Failure::Usage(format!("--{} is given twice", option.long)));
    }
    values.push(value);
    Ok(())
}

fn place(arguments: &mut Arguments, operands: &'static [Operand], words: Vec<String>) -> Result<(), Failure> {
    let mut words = words.into_iter();
    for operand in operands {
        let values: Vec<String> =
            words.by_ref().take(if operand.repeated { usize::MAX } else { 1 }).collect();
        if values.is_empty() && operand.required {
            return Err(Failure::Usage(format!("{} is missing: {}", operand.name, operand.help)));
        }
        for value in &values {
            check_word(operand.name, operand.value, value)?;
        }
        if !values.is_empty() {
            arguments.values.insert(operand.name, values);
        }
    }
    match words.next() {
        Some(word) => Err(Failure::Usage(format!("unexpected \"{}\"", word.escape_debug()))),
        None => Ok(()),
    }
}

fn check_word(name: &str, value: Value, text: &str) -> Result<(), Failure> {
    match value {
        Value::Word(_, words) if !words.contains(&text) => Err(Failure::Usage(format!(
            "{name}: \"{}\" is not one of {}",
            text.escape_debug(),
            words.join(", ")
        ))),
        _ => Ok(()),
    }
}

fn text(word: OsString) -> Result<String, Failure> {
    word.into_string()
        .map_err(|word| Failure::Usage(format!("\"{}\" is not UTF-8", word.to_string_lossy().escape_debug())))
}

fn usage(error: lexopt::Error) -> Failure {
    Failure::Usage(error.to_string())
}
