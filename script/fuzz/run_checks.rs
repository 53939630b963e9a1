//! What the fuzz target of the machine checks, shared with the test that replays its corpus. Uses the public interface only.
#![allow(unreachable_pub)] // a module of several programs

use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use script::compile::{CompileOptions, NoLoader, SourceText, compile};
use script::fault::{Fault, Limit};
use script::machine::{Context, Limits, Loaded, Run};
use script::native::Library;
use script::value::Value;

use super::still::{KEPT_BYTES, Printed, Still, answer};

static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| Library::standard().build());

const LIMITS: Limits = Limits { steps: 20_000, memory_bytes: 4 << 20, depth: 50 };
/// Calls that are answered; a script that makes more is stopped, as one that takes too long.
const MAX_ANSWERS: u32 = 100;

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
        Run::Finished(decision) => {
            (format!("finished: {}", decision.arguments.iter().map(text).collect::<String>()), None)
        }
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
