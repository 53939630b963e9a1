//! See `sink -h` and `bench/README.md`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: engine::memory::Allocator = engine::memory::Allocator;

fn main() -> ExitCode {
    bench::sink::main(lexopt::Parser::from_env())
}
