//! `script`: how fast scripts run, beside Lua. The library's module is its manual.

#[global_allocator]
static ALLOCATOR: engine::memory::Allocator = engine::memory::Allocator;

fn main() -> std::process::ExitCode {
    bench::script::main()
}
