//! Drives a script on the engine: lets others run between its slices, starts what it waits for, and ends it in time.

#[cfg(test)]
mod callback_tests;
#[cfg(test)]
mod match_tests;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use engine::time::{Instant, now_precise, timeout};
use script::fault::{Fault, Limit, Terminator};
use script::host::PendingCall;
use script::machine::{Context, Run, ScriptError};
use script::native::{Surroundings, run_offloaded};
use script::value::Value;

use crate::{Execution, limits};

/// How a script ended.
#[derive(Debug)]
pub enum Outcome {
    /// At its end, with the value of a top-level `return`.
    Done(Value),
    /// By a deciding function of a hook.
    Finished(Terminator),
    /// By an error that nobody caught, or by a limit.
    Failed(Box<ScriptError>),
}

/// Runs a script to its end. It may take as long as the settings say, counted from here.
///
/// When the future is dropped, what the script waited for ends, and the script stays where it is. To give up on it, drop
/// context and execution: that releases the locks it holds. To have it unwind, [`Context::stop`] it and run it again.
pub async fn run(context: &mut Context, execution: &Rc<Execution>) -> Outcome {
    if let Some(debugger) = execution.environment.debugger().filter(|debugger| debugger.is_attached()) {
        context.debug(debugger.stage());
    }
    // Most scripts end here. What the others take is not part of every task that runs one.
    match step(context, execution, limits::SLICE_ROUNDS_FIRST) {
        Ok(outcome) => outcome,
        Err(run) => Box::pin(go_on(context, execution, run)).await,
    }
}

/// Runs a script for a slice. The error: it is not at its end.
fn step(context: &mut Context, execution: &Rc<Execution>, rounds: u32) -> Result<Outcome, Run> {
    // The host is not kept while others run: they want the patterns that it has on loan.
    show(context, execution);
    let run = context.run(&mut execution.host(), rounds);
    if let Some(board) = execution.environment.board.get() {
        board.clear();
    }
    match run {
        Run::Done(value) => Ok(Outcome::Done(value)),
        Run::Finished(decision) => Ok(Outcome::Finished(decision)),
        Run::Failed(error) => Ok(Outcome::Failed(error)),
        run => Err(run),
    }
}

/// Goes on where the first slice has ended.
async fn go_on(context: &mut Context, execution: &Rc<Execution>, mut run: Run) -> Outcome {
    let mut deadline = engine::time::now() + execution.environment.settings.wall_clock;
    let mut slice = Slice::default();
    loop {
        match run {
            Run::OutOfBudget if engine::time::now() >= deadline => {
                context.stop(Fault::limit(Limit::Time));
            }
            Run::OutOfBudget => engine::task::yield_now().await,
            Run::Pending(call @ PendingCall::Stop(_)) => {
                let stopped = engine::time::now();
                let answer = answer_at_rest(execution, call).await;
                deadline = deadline + (engine::time::now() - stopped);
                context.resume(answer);
            }
            Run::Pending(call) => {
                let left = deadline - engine::time::now();
                let answer = timeout(left, answer_at_rest(execution, call)).await;
                context.resume(answer.unwrap_or_else(|_| Err(Fault::limit(Limit::Time))));
            }
            Run::Done(_) | Run::Finished(_) | Run::Failed(_) => unreachable!("a step says that it is an end"),
        }
        let (start, steps) = (now_precise(), context.steps());
        match step(context, execution, slice.rounds) {
            Ok(outcome) => return outcome,
            Err(other) => run = other,
        }
        let rounds = context.steps() - steps;
        slice.adapt(start, now_precise(), rounds >= u64::from(slice.rounds));
    }
}

/// Says what begins a slice, and where it is; at its beginning a script is nowhere yet.
fn show(context: &Context, execution: &Execution) {
    let Some(board) = execution.environment.board.get() else { return };
    let what = &execution.what;
    match context.position() {
        Some(place) if *place.file == **what => board.show(format_args!("{what}:{}", place.line)),
        Some(place) => board.show(format_args!("{what} at {}:{}", place.file, place.line)),
        None => match execution.number_on(board) {
            Some(number) => board.show_name(number),
            None => board.show(format_args!("{what}")),
        },
    }
}

/// The answer to a call. Where it takes long, the script's memory is given up until it comes. When the answer is dropped,
/// it stays away: the script has no time left, and nothing of it runs any more.
async fn answer_at_rest(execution: &Rc<Execution>, call: PendingCall) -> Result<Value, Fault> {
    let mut answering = pin!(answer(execution, call));
    let Some(rest) = execution.rest() else { return answering.await };
    if let Ok(answer) = timeout(limits::REST_AFTER, answering.as_mut()).await {
        return answer;
    }
    rest.leave();
    let answer = answering.await;
    if rest.come_back().await { answer } else { Err(Fault::limit(Limit::Memory)) }
}

async fn answer(execution: &Rc<Execution>, call: PendingCall) -> Result<Value, Fault> {
    match call {
        PendingCall::Host(call) => crate::call(execution, call).await,
        PendingCall::Stop(stop) => {
            if let Some(debugger) = execution.environment.debugger() {
                debugger.stop(*stop).await;
            }
            Ok(Value::None)
        }
        PendingCall::Offload { native, this, args } => {
            let mut seed = [0; 32];
            engine::rng::fill(&mut seed);
            let now = engine::time::wall_us() as f64 / 1e6;
            let timezone = execution.environment.timezone().clone();
            let surroundings = Surroundings { now, seed, monotonic: crate::time::monotonic_s, timezone };
            let run = move || run_offloaded(native, this, args, surroundings);
            let result = crate::offload::offload(native.name, run).await?;
            Ok(Value::from_frozen(&result?))
        }
    }
}

/// How much a script may do at once: rounds of its loops and calls, so many as fit into the time of a slice. What a
/// round takes differs by script, so it is measured.
struct Slice {
    rounds: u32,
}

impl Default for Slice {
    fn default() -> Slice {
        Slice { rounds: limits::SLICE_ROUNDS_FIRST }
    }
}

impl Slice {
    /// A slice that waits, or pauses within a function, says nothing of how long all of its rounds would have taken.
    fn adapt(&mut self, start: Instant, end: Instant, all_rounds: bool) {
        let took: Duration = end - start;
        if took > limits::SLICE {
            self.rounds = (self.rounds / 2).max(limits::SLICE_ROUNDS_MIN);
        } else if all_rounds && took < limits::SLICE / 3 {
            self.rounds = (self.rounds * 2).min(limits::SLICE_ROUNDS_MAX);
        }
    }
}
