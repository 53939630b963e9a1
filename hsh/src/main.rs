//! The program `hsh`. See [`hsh::args::USAGE`] and `docs/hsl/hsh.md`.

use std::process::ExitCode;
use std::sync::Arc;

use hsh::args::{self, Command};
use hsh::output::{self, Output};
use hsh::{bounds, program};

#[global_allocator]
static ALLOCATOR: engine::memory::Allocator = engine::memory::Allocator;

fn main() -> ExitCode {
    let wrong = |reason: &str| {
        Output::new(false).complain(&format!("hsh: {reason}"));
        ExitCode::from(2)
    };
    match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => match bounds::parse(&options.limits) {
            Ok(bounds) => {
                let output = Arc::new(Output::new(options.binary));
                match program::run(&options, bounds, &output) {
                    Ok(status) => output.exit(status),
                    Err(reason) => {
                        for line in reason.lines() {
                            output.complain(&format!("hsh: {line}"));
                        }
                        output.exit(1)
                    }
                }
            }
            Err(reason) => wrong(&reason),
        },
        Ok(Command::Version) => output::print(&format!("hsh {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Help) => output::print(&format!("{}{}{}", args::USAGE, bounds::help(), args::USAGE_END)),
        Err(reason) => wrong(&reason),
    }
}
