//! `script`: how fast scripts run, beside Lua 5.4, and what a hook costs.
//!
//! ```text
//! script [--repeat N] [--lua PROGRAM] [--cases DIR] [CASE...]
//!
//!   --repeat N      how often each case is run on either side, in turn (default 5)
//!   --lua PROGRAM   the interpreter to compare with (default lua5.4)
//!   --cases DIR     where CASE.hsl and CASE.lua are (default bench/script)
//!   -h, --help      this text
//! ```
//!
//! A case is the same algorithm in both languages, and prints one line that must be the same. What is compared is CPU time:
//! of this thread from a loaded program to its end, and of a whole `lua5.4` process less that of one that does nothing. The
//! ratio is the median over pairs of runs, one of each side after the other.
//!
//! Without cases, all are run, and then `rcpt.hsl`, which stands for a typical RCPT hook: from a loaded program with a fresh
//! context and its variables to the decision.

mod host;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::sync::Arc;

use script::Value;
use script::compile::{CompileOptions, NoLoader, Predefined, SourceText, compile};
use script::machine::{Context, Limits, Loaded, Run};
use script::native::Library;
use script::value::Array;

use crate::cli;
use host::BenchHost;

/// Hooks run to measure one.
const HOOKS: u32 = 200_000;
/// Contexts made to measure the memory of one.
const IDLE_CONTEXTS: usize = 10_000;

struct Options {
    repeat: usize,
    lua: String,
    dir: PathBuf,
    cases: Vec<String>,
}

/// The program.
pub fn main() -> ExitCode {
    let options = match parse() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => return cli::usage("script", error),
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            cli::complain("script", why);
            ExitCode::from(cli::FAILED)
        }
    }
}

fn parse() -> Result<Option<Options>, String> {
    use lexopt::prelude::*;
    let mut options =
        Options { repeat: 5, lua: "lua5.4".into(), dir: "bench/script".into(), cases: Vec::new() };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Long("repeat") => options.repeat = cli::number(&mut parser, "--repeat", 1, 1000)? as usize,
            Long("lua") => options.lua = cli::value(&mut parser, "--lua")?,
            Long("cases") => options.dir = cli::value(&mut parser, "--cases")?,
            Short('h') | Long("help") => {
                cli::print(&manual());
                return Ok(None);
            }
            Value(name) => options.cases.push(name.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(options))
}

/// The head of this file.
fn manual() -> String {
    let head = include_str!("mod.rs").lines().take_while(|line| line.starts_with("//!"));
    head.map(|line| line.trim_start_matches("//!").trim_start_matches(' ').to_owned() + "\n").collect()
}

fn run(options: &Options) -> Result<(), String> {
    let all = options.cases.is_empty();
    let cases = if all { find_cases(&options.dir)? } else { options.cases.clone() };
    let nothing: Result<Vec<f64>, String> =
        (0..options.repeat).map(|_| Ok(lua_seconds(options, None)?.0)).collect();
    let nothing = median(nothing?);
    cli::print(&format!(
        "{:<12} {:>9} {:>9} {:>7}   (CPU ms, median of {}; ratio ours/lua)\n",
        "case", "ours", "lua", "ratio", options.repeat
    ));
    for case in &cases {
        let program = load(&options.dir.join(format!("{case}.hsl")), &[])?;
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.repeat {
            let (our_seconds, our_line) = hsl_seconds(&program)?;
            let (lua_seconds, lua_line) = lua_seconds(options, Some(case))?;
            if our_line != lua_line {
                return Err(format!("{case}: we say {our_line}, lua says {lua_line}"));
            }
            let lua_seconds = (lua_seconds - nothing).max(1e-9);
            ours.push(our_seconds * 1e3);
            theirs.push(lua_seconds * 1e3);
            ratios.push(our_seconds / lua_seconds);
        }
        cli::print(&format!(
            "{case:<12} {:>9.1} {:>9.1} {:>7.2}\n",
            median(ours),
            median(theirs),
            median(ratios)
        ));
    }
    if all {
        hook(options)?;
    }
    Ok(())
}

fn find_cases(dir: &Path) -> Result<Vec<String>, String> {
    let list = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut cases: Vec<String> = list
        .filter_map(|entry| {
            entry.ok()?.file_name().into_string().ok()?.strip_suffix(".lua").map(str::to_owned)
        })
        .collect();
    cases.sort();
    Ok(cases)
}

fn load(path: &Path, predefined: &[&str]) -> Result<Rc<Loaded>, String> {
    #[expect(clippy::disallowed_methods, reason = "not on a shard")]
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let predefined =
        predefined.iter().map(|name| Predefined { name: (*name).into(), read_only: false }).collect();
    let options = CompileOptions { predefined, ..CompileOptions::default() };
    let main = SourceText { name: path.display().to_string(), bytes };
    let compiled = compile(main, &mut NoLoader, &Arc::new(Library::standard()), &options)
        .map_err(|errors| errors.all.iter().map(|error| error.render(&errors.sources)).collect::<String>())?;
    Ok(Loaded::new(&compiled.program))
}

/// CPU seconds of a script, and what it printed.
fn hsl_seconds(program: &Rc<Loaded>) -> Result<(f64, String), String> {
    let mut host = BenchHost::default();
    let limits = Limits { steps: u64::MAX, ..Limits::default() };
    let start = host::thread_cpu_seconds();
    let mut context = Context::new(program, limits);
    loop {
        match context.run(&mut host, 1_000_000) {
            Run::Done(_) => break,
            Run::OutOfBudget => {}
            other => return Err(format!("{other:?}")),
        }
    }
    drop(context);
    Ok((host::thread_cpu_seconds() - start, host.line()))
}

/// CPU seconds of a Lua process that runs a case, or nothing, and what it printed.
fn lua_seconds(options: &Options, case: Option<&str>) -> Result<(f64, String), String> {
    let mut command = Command::new(&options.lua);
    match case {
        Some(case) => command.arg(options.dir.join(format!("{case}.lua"))),
        None => command.args(["-e", ""]),
    };
    let before = host::children_cpu_seconds();
    let output = command.output().map_err(|error| format!("{}: {error}", options.lua))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((host::children_cpu_seconds() - before, line))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// ---- a hook

fn hook(options: &Options) -> Result<(), String> {
    let program = load(&options.dir.join("rcpt.hsl"), &["connection", "transaction"])?;
    let mut host = BenchHost::default();
    let connection = map(&[("remoteip", "198.51.100.7".into()), ("remoteport", 40_000.0.into())]);
    let transaction = map(&[
        ("senderaddress", map(&[("localpart", "news".into()), ("domain", "sender.example".into())])),
        ("recipientaddress", map(&[("localpart", "jo.doe".into()), ("domain", "example.org".into())])),
    ]);
    let run_one = |host: &mut BenchHost| {
        let mut context = Context::new(&program, Limits::default());
        context.set("connection", connection.clone());
        context.set("transaction", transaction.clone());
        match context.run(host, 10_000) {
            Run::Done(Value::Str(answer)) if answer.as_bytes() == b"accept" => Ok(()),
            other => Err(format!("rcpt: {other:?}")),
        }
    };
    let mut rounds = Vec::new();
    for _ in 0..options.repeat {
        let start = host::thread_cpu_seconds();
        for _ in 0..HOOKS {
            run_one(&mut host)?;
        }
        rounds.push((host::thread_cpu_seconds() - start) / f64::from(HOOKS) * 1e9);
    }
    cli::print(&format!("rcpt hook    {:>9.0} ns from a fresh context to the decision\n", median(rounds)));
    let before = host::resident_bytes();
    let idle: Vec<Context> = (0..IDLE_CONTEXTS)
        .map(|_| {
            let mut context = Context::new(&program, Limits::default());
            context.set("connection", connection.clone());
            context.set("transaction", transaction.clone());
            context
        })
        .collect();
    let bytes = host::resident_bytes().saturating_sub(before) / idle.len();
    cli::print(&format!(
        "idle context {bytes:>9} bytes of memory, with its variables set, of {IDLE_CONTEXTS} at once\n"
    ));
    Ok(())
}

fn map(fields: &[(&str, Value)]) -> Value {
    let mut array = Array::new();
    for (name, value) in fields {
        array.set_str(name, value.clone());
    }
    Value::Array(array)
}
