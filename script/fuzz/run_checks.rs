//! What the fuzz target of the machine checks, shared with the test that replays its corpus. Uses the public interface only.
#![allow(unreachable_pub)] // a module of several programs

use std::any::Any;
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use script::compile::{CompileOptions, NoLoader, SourceText, compile};
use script::fault::{Fault, Limit};
use script::host::{Host, PendingCall};
use script::machine::{Context, Limits, Loaded, Run};
use script::native::{Library, Surroundings, run_offloaded};
use script::std::regex::PatternCache;
use script::value::Value;

static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| Library::standard().build());

const LIMITS: Limits = Limits { steps: 20_000, memory_bytes: 4 << 20, depth: 50 };
/// Calls that are answered; a script that makes more is stopped, as one that takes too long.
const MAX_ANSWERS: u32 = 100;
/// Calls that really run on the side of a script: some of them take a second on purpose.
const MAX_OFFLOADED: u32 = 4;
/// Of each line that a script prints, what is compared.
const KEPT_BYTES: usize = 4096;
/// Of all that a script prints, what is shown.
const SHOWN_BYTES: usize = 64 << 10;

/// Any script that compiles comes to an end within its limits, and to the same end however often it is interrupted.
pub fn run(data: &[u8]) {
    let main = SourceText { name: "main".to_owned(), bytes: data.to_vec() };
    let Ok(compiled) = compile(main, &mut NoLoader, &LIBRARY, &CompileOptions::default()) else { return };
    let loaded = Loaded::new(&compiled.program);
    let whole = ending(&loaded, &[u32::MAX]);
    for budgets in [&[1][..], &[97, 1, 2]] {
        let sliced = ending(&loaded, budgets);
        if whole.limit.is_none() && sliced.limit.is_none() {
            assert_eq!(whole, sliced, "budgets of {budgets:?}");
        } else {
            // Memory is counted now and then, so that only the limits of steps and answers are hit at the same place.
            let memory = [whole.limit, sliced.limit].contains(&Some(Limit::Memory));
            assert!(
                memory || whole.limit == sliced.limit,
                "{whole:?} and with budgets of {budgets:?} {sliced:?}"
            );
        }
    }
    assert_eq!(Rc::strong_count(&loaded), 1, "nothing of an execution is left");
}

/// How an execution ended.
#[derive(Debug, PartialEq)]
struct Ending {
    printed: Printed,
    result: String,
    limit: Option<Limit>,
    steps: u64,
}

#[derive(Debug, Default, PartialEq)]
struct Printed {
    lines: u64,
    hash: u64,
    start: String,
}

/// Runs the program with these budgets, one after the other and again.
fn ending(loaded: &Rc<Loaded>, budgets: &[u32]) -> Ending {
    let mut host = Still::default();
    let mut context = Context::new(loaded, LIMITS);
    let mut answers = 0;
    let mut slices = 0;
    let run = loop {
        let budget = budgets[slices % budgets.len()];
        match context.run(&mut host, budget) {
            Run::OutOfBudget => {}
            Run::Pending(call) => {
                answers += 1;
                if answers > MAX_ANSWERS {
                    context.stop(Fault::limit(Limit::Time));
                }
                context.resume(answer(call, answers));
            }
            run => break run,
        }
        slices += 1;
        let most = LIMITS.steps as usize + MAX_ANSWERS as usize + 2;
        assert!(slices <= most, "{slices} slices at {:?}", context.position());
    };
    let (result, limit) = match &run {
        Run::Failed(error) => (error.to_string(), error.limit),
        Run::Done(value) => (format!("done: {}", text(value)), None),
        Run::Finished(value) => (format!("finished: {}", text(value)), None),
        other => unreachable!("{other:?} is no ending"),
    };
    assert!(
        matches!(context.run(&mut host, 1), Run::Done(Value::None)),
        "an ended execution has nothing to do"
    );
    Ending { printed: host.printed, result, limit, steps: context.steps() }
}

fn text(value: &Value) -> String {
    match value.to_text() {
        Ok(text) => String::from_utf8_lossy(&text[..text.len().min(KEPT_BYTES)]).into_owned(),
        Err(fault) => fault.to_string(),
    }
}

fn answer(call: PendingCall, number: u32) -> Result<Value, Fault> {
    match call {
        PendingCall::Offload { native, this, args } if number <= MAX_OFFLOADED => {
            let surroundings = Surroundings { now: NOW, seed: [7; 32], monotonic: || 0.0 };
            let result = run_offloaded(native, this, args, surroundings)?;
            Ok(Value::from_frozen(&result))
        }
        PendingCall::Offload { native, .. } => Err(Fault::error(format!("{}() is busy", native.name))),
        PendingCall::Host(call) => Err(Fault::error(format!("{}() is not here", call.name))),
    }
}

const NOW: f64 = 1_700_000_000.25;

/// A host where nothing happens by itself.
#[derive(Default)]
struct Still {
    printed: Printed,
    drawn: u8,
    patterns: PatternCache,
}

impl Still {
    fn print(&mut self, text: &[u8]) {
        let printed = &mut self.printed;
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(printed.hash);
        hasher.write_usize(text.len());
        let kept = &text[..text.len().min(KEPT_BYTES)];
        hasher.write(kept);
        printed.hash = hasher.finish();
        printed.lines += 1;
        if printed.start.len() < SHOWN_BYTES {
            printed.start.push_str(&String::from_utf8_lossy(kept));
            printed.start.push('\n');
        }
    }
}

impl Host for Still {
    fn now(&self) -> f64 {
        NOW
    }
    fn monotonic(&self) -> f64 {
        1.0
    }
    fn uptime(&self) -> f64 {
        2.0
    }
    fn execution_time(&self) -> f64 {
        0.0
    }
    fn random(&mut self, out: &mut [u8]) {
        for byte in out {
            self.drawn = self.drawn.wrapping_mul(5).wrapping_add(3);
            *byte = self.drawn;
        }
    }
    fn echo(&mut self, text: &[u8]) {
        self.print(text);
    }
    fn syslog(&mut self, priority: u32, text: &[u8]) {
        self.print(&priority.to_le_bytes());
        self.print(text);
    }
    fn hostname(&self) -> String {
        "mx".to_owned()
    }
    fn timezone(&self) -> &jiff::tz::TimeZone {
        static UTC: jiff::tz::TimeZone = jiff::tz::TimeZone::UTC;
        &UTC
    }
    fn patterns(&mut self) -> &mut PatternCache {
        &mut self.patterns
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
