//! The program `hsl-lint`. See [`USAGE`] and `docs/hsl/hsl-lint.md`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use hsh::input::Input;
use hsh::lint::{Document, Warnings};

#[global_allocator]
static ALLOCATOR: engine::memory::Allocator = engine::memory::Allocator;

const USAGE: &str = "\
hsl-lint - check a script for an editor

Usage: hsl-lint < DOCUMENT
       hsl-lint -v | -h

Reads one YAML document on standard input:

  version    version of the configuration, such as \"6.10\"
  phase      hook that the script is for: connect, proxy, helo, auth, mailfrom, rcptto, eod,
             disconnect, predelivery, postdelivery; empty for a file
  data       text of the script
  files      list of {id, data, binary}: files that it may import; base64 where binary is true
  scripting  that part of the startup configuration
  plugins    that part of the startup configuration (no plugins are supported)

Exit status: 0 if the script is valid; 1 if it is not, with one YAML document on standard error:
{file, line, column, message, path: [{file, line, column}]}, where no file means the script itself
and path is the chain of includes from the failing file to the script; 2 if the document cannot be
read. Of a valid script nothing is said, except warnings, if there are any: a YAML list of the same
on standard output.
";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match (args.next(), args.next()) {
        (None, _) => check(),
        (Some(option), None) if option == "-h" || option == "--help" => hsh::output::print(USAGE),
        (Some(option), None) if option == "-v" || option == "--version" => {
            hsh::output::print(&format!("hsl-lint {}\n", env!("CARGO_PKG_VERSION")))
        }
        (Some(other), _) => {
            fail(&format!("unexpected argument {}; see hsl-lint --help", other.to_string_lossy()))
        }
    }
}

fn check() -> ExitCode {
    let document = Input::new(io::stdin().lock()).rest().map_err(|error| format!("standard input: {error}"));
    match document.and_then(|text| Document::parse(&text)) {
        Ok(document) => match document.check() {
            // Where nobody reads, the status says it all.
            Ok(Warnings(found)) => {
                let _ = io::stdout().write_all(found.as_bytes());
                ExitCode::SUCCESS
            }
            Err(found) => {
                let _ = io::stderr().write_all(found.as_bytes());
                ExitCode::FAILURE
            }
        },
        Err(reason) => fail(&reason),
    }
}

fn fail(reason: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "hsl-lint: {reason}");
    ExitCode::from(2)
}
