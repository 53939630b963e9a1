//! The program `halontop`. See [`ctl::top`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::top::run(std::env::args_os().skip(1))
}
