//! `script`: how fast scripts run, beside Lua. The library's module is its manual.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    bench::script::main()
}
