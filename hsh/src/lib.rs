//! The stand-alone interpreter of the script language, and its checker.
//!
//! Owns two programs: `hsh` runs a file, standard input or an interactive session on one shard of the engine, with the
//! standard library of [`hostcalls`]; `hsl-lint` checks a script for editors. `docs/hsl/hsh.md` and
//! `docs/hsl/hsl-lint.md` are their manuals.
//!
//! Principal types: [`args::Options`] (the command line), [`settings::Configuration`] (what the files of the server give
//! to scripts), [`output::Output`] (what a script prints).
//!
//! ```
//! use hsh::args::{self, Command, Script};
//!
//! let words = ["-s", "policy.hsl"].map(Into::into);
//! let Ok(Command::Run(options)) = args::parse(words) else { panic!("good arguments") };
//! assert!(options.syntax && options.script == Script::File("policy.hsl".into()));
//! ```

pub mod args;
pub mod bounds;
mod debug;
pub mod input;
pub mod limits;
pub mod lint;
pub mod output;
mod privdrop;
pub mod program;
mod repl;
mod report;
mod server;
pub mod settings;
mod shard;
