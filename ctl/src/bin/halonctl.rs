//! The program `halonctl`. See [`ctl::commands`] and `docs/reference/halonctl.md`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::commands::run(std::env::args_os().skip(1), &mut std::io::stdout(), &mut std::io::stderr())
}
