//! See `load -h` and `bench/README.md`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bench::load::main(lexopt::Parser::from_env())
}
