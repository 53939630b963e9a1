//! One execution of a program.

use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};

use crate::compile::op::Reg;
use crate::compile::program::Input;
use crate::fault::{Fault, Limit, Terminator};
use crate::host::{Host, PendingCall};
use crate::value::{CellRef, Object, Value, WeakCell, WeakObject};

use super::error::{Place, ScriptError, StackEntry};
use super::fast::{self, Exit};
use super::frame::{Entry, Mode};
use super::generator::State;
use super::heap::Heap;
use super::loaded::{Loaded, Stacks};
use super::operate::Surroundings;
use super::stop::Debugging;

/// What an execution may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rounds of loops and calls.
    pub steps: u64,
    /// Bytes that values, registers and calls take together.
    pub memory_bytes: usize,
    /// Calls within each other.
    pub depth: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            steps: crate::limits::DEFAULT_STEPS,
            memory_bytes: crate::limits::DEFAULT_MEMORY_BYTES,
            depth: crate::limits::DEFAULT_DEPTH,
        }
    }
}

/// Where an execution stands.
#[derive(Debug)]
pub enum Run {
    /// It has come to its end, with the value of a top-level `return` or none.
    Done(Value),
    /// The budget is used up: others may run now, then call [`Context::run`] again.
    OutOfBudget,
    /// It waits for the embedder: [`Context::resume`] with the result, then [`Context::run`] again.
    Pending(PendingCall),
    /// A function of the host has ended it with this decision.
    Finished(Terminator),
    /// An error that nobody caught has ended it.
    Failed(Box<ScriptError>),
}

/// What [`Context::run`] does first.
pub(super) enum Next {
    Start,
    Run,
    Deliver(Value),
    Raise(Fault),
    Waiting,
    /// A debugger looks at a fault.
    Held(Fault),
    Ended,
}

/// Where a program finds a variable of the host: [`Loaded::variable`].
#[derive(Clone, Copy, Debug)]
pub struct HostVariable(pub(super) Input);

/// One execution of a program.
pub struct Context {
    pub(super) loaded: Rc<Loaded>,
    pub(super) stacks: Stacks,
    /// Variables of the host, until the script starts.
    inputs: Vec<(Input, Value)>,
    pub(super) entries: Vec<Entry>,
    pub(super) globals: Vec<Option<CellRef>>,
    modules_run: Vec<bool>,
    pub(super) next: Next,
    pub(super) limits: Limits,
    steps: u64,
    pub(super) heap: Heap,
    /// The variable whose last value the embedder wants, and that value once the script has ended.
    kept: Option<(Input, Value)>,
    stopped: Option<Fault>,
    /// The calls at the time of the fault that is on its way out.
    pub(super) trace: Vec<StackEntry>,
    /// What may be part of a cycle: cleared at the end.
    objects: Vec<WeakObject>,
    cells: Vec<WeakCell>,
    generators: Vec<Weak<RefCell<State>>>,
    live_bytes: usize,
    /// How a run has ended: see [`Flow::Exit`].
    pub(super) exit: Option<Run>,
    /// Whether variables outlive the run: a session goes on with them.
    keeps_variables: bool,
    pub(super) debugging: Option<Box<Debugging>>,
}

/// Whether the functions at the top of the call stack go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// The function at the top runs.
    Go,
    /// [`Context::next`] says what comes next, unless [`Context::exit`] says that the run ends.
    Exit,
}

/// What a call came to.
pub(super) enum Outcome {
    Value(Value),
    /// Its function is on the call stack.
    Entered,
    Pending(PendingCall),
    /// [`Context::next`] says what comes next.
    Redirected,
}

impl Context {
    /// A new execution, before its first instruction.
    pub fn new(loaded: &Rc<Loaded>, limits: Limits) -> Context {
        Context {
            loaded: loaded.clone(),
            stacks: Stacks::default(),
            inputs: Vec::new(),
            entries: Vec::new(),
            globals: Vec::new(),
            modules_run: Vec::new(),
            next: Next::Start,
            limits,
            steps: 0,
            heap: Heap::new(limits.memory_bytes),
            kept: None,
            stopped: None,
            trace: Vec::new(),
            objects: Vec::new(),
            cells: Vec::new(),
            generators: Vec::new(),
            live_bytes: 0,
            exit: None,
            keeps_variables: false,
            debugging: None,
        }
    }

    /// Makes it a new execution of the same program, in the memory of the last one.
    pub fn renew(&mut self) {
        if !matches!(self.next, Next::Ended) {
            self.end();
        }
        forget_large(&mut self.stacks.values);
        forget_large(&mut self.stacks.numbers);
        forget_large(&mut self.entries);
        forget_large(&mut self.cells);
        forget_large(&mut self.objects);
        forget_large(&mut self.generators);
        self.inputs.clear();
        self.next = Next::Start;
        self.steps = 0;
        self.heap = Heap::new(self.limits.memory_bytes);
        self.kept = None;
        self.stopped = None;
        self.live_bytes = 0;
        self.exit = None;
        self.debugging = None;
    }

    /// An execution that goes on with more and more code.
    pub(super) fn for_session(loaded: &Rc<Loaded>, limits: Limits) -> Context {
        let mut context = Context::new(loaded, limits);
        context.keeps_variables = true;
        context.next = Next::Ended;
        context
    }

    /// Goes on with the main function of a program that contains the one before.
    pub(super) fn go_on(&mut self, loaded: Rc<Loaded>) {
        self.end();
        self.loaded = loaded;
        self.steps = 0;
        self.next = Next::Start;
    }

    /// Sets a variable of the host, before the first [`run`](Self::run). One that the script does not mention is ignored.
    pub fn set(&mut self, name: &str, value: Value) {
        if let Some(variable) = self.loaded.variable(name) {
            self.set_variable(variable, value);
        }
    }

    /// The same for a variable that was looked up before.
    pub fn set_variable(&mut self, variable: HostVariable, value: Value) {
        self.inputs.push((variable.0, value));
    }

    /// Asks, before the first [`run`](Self::run), for the value that a variable of the host has at the end of the script,
    /// however it ends. The variable is one that the script may change.
    pub fn keep(&mut self, variable: HostVariable) {
        self.kept = Some((variable.0, Value::None));
    }

    /// What [`keep`](Self::keep) asked for, once the script has ended; none when the script does not mention it.
    pub fn take_kept(&mut self) -> Option<Value> {
        self.kept.take().map(|(_, value)| value)
    }

    /// Runs at most `budget` rounds of loops and calls.
    pub fn run(&mut self, host: &mut dyn Host, budget: u32) -> Run {
        let allowed = u64::from(budget).min(self.limits.steps.saturating_sub(self.steps)) as u32;
        let mut left = allowed;
        let run = self.run_within(host, &mut left);
        self.steps += u64::from(allowed - left);
        match run {
            Run::OutOfBudget if self.steps >= self.limits.steps && budget > 0 => {
                self.next = Next::Raise(Fault::limit(Limit::Steps));
                self.run_within(host, &mut 0)
            }
            run => run,
        }
    }

    fn run_within(&mut self, host: &mut dyn Host, budget: &mut u32) -> Run {
        if let Some(fault) = self.stopped.take() {
            self.next = Next::Raise(fault);
        }
        loop {
            if self.heap.is_over() && !matches!(self.next, Next::Raise(_) | Next::Ended) && !self.measure() {
                self.next = Next::Raise(Fault::limit(Limit::Memory));
            }
            let result = match std::mem::replace(&mut self.next, Next::Ended) {
                Next::Start => self.start(),
                Next::Run => self.execute(host, budget),
                Next::Deliver(value) => self.deliver(value, host, budget),
                Next::Raise(fault) => match self.look_at(fault) {
                    Ok(stop) => return Run::Pending(stop),
                    Err(fault) => self.unwind(fault, host),
                },
                Next::Held(fault) => self.unwind(fault, host),
                Next::Waiting => Err(Fault::error("the script waits for a result that nobody has given it")),
                Next::Ended => return Run::Done(Value::None),
            };
            match result {
                Ok(None) => {}
                Ok(Some(run)) => {
                    if let Run::Done(_) | Run::Finished(_) | Run::Failed(_) = run {
                        self.note_kept();
                        self.end();
                    }
                    return run;
                }
                Err(fault) => self.next = Next::Raise(fault),
            }
        }
    }

    /// Gives a waiting script its result: call [`run`](Self::run) next.
    pub fn resume(&mut self, result: Result<Value, Fault>) {
        self.next = match (std::mem::replace(&mut self.next, Next::Ended), result) {
            (Next::Waiting, Ok(value)) => Next::Deliver(value),
            (Next::Waiting, Err(fault)) => Next::Raise(fault),
            (Next::Held(fault), _) => {
                self.shown_to_debugger();
                Next::Raise(fault)
            }
            (other, _) => other,
        };
    }

    /// The next [`run`](Self::run) ends with this fault, such as an exceeded time limit, wherever the script is.
    pub fn stop(&mut self, fault: Fault) {
        self.stopped = Some(fault);
    }

    /// Rounds of loops and calls so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Bytes at the last count. A script that has taken little is never counted.
    pub fn memory_bytes(&self) -> usize {
        self.live_bytes
    }

    /// Where the script is, for reports about scripts that take long.
    pub fn position(&self) -> Option<Place> {
        self.entries.iter().rev().find_map(|entry| self.place_of(entry)).map(|entry| entry.place)
    }

    fn start(&mut self) -> Result<Option<Run>, Fault> {
        let loaded = self.loaded.clone();
        let program = &loaded.program;
        self.globals.resize(program.globals.len(), None);
        self.modules_run.resize(program.modules.len(), false);
        self.enter(&loaded, program.main, 0, 0, Mode::Plain)?;
        let mut inputs = std::mem::take(&mut self.inputs);
        for (input, value) in inputs.drain(..) {
            match input {
                Input::Register(reg) => self.stacks.values[usize::from(reg)] = value,
                Input::Global(index) => self.global(index).set(value),
            }
        }
        self.inputs = inputs;
        self.next = Next::Run;
        Ok(None)
    }

    /// The cell of a shared variable of the program.
    pub(super) fn global(&mut self, index: u32) -> CellRef {
        let loaded = &self.loaded;
        let cells = &mut self.cells;
        let cell = self.globals[index as usize].get_or_insert_with(|| {
            let initial = &loaded.program.globals[index as usize].initial;
            let cell = CellRef::new(initial.as_ref().map_or(Value::Undefined, Value::from_frozen));
            cells.push(cell.downgrade());
            cell
        });
        cell.clone()
    }

    /// Whether the module has to be run; it counts as run from now on.
    pub(super) fn claim_module(&mut self, module: u16) -> bool {
        self.modules_run.get_mut(usize::from(module)).is_some_and(|run| !std::mem::replace(run, true))
    }

    /// Runs the function at the top of the call stack, and those that it calls.
    fn execute(&mut self, host: &mut dyn Host, budget: &mut u32) -> Result<Option<Run>, Fault> {
        let loaded = self.loaded.clone();
        loop {
            let Some(Entry::Script(frame)) = self.entries.last() else {
                return Err(Fault::error("there is no function to run"));
            };
            let function = &loaded.protos[frame.proto as usize];
            let mut surroundings = Surroundings {
                function,
                loaded: &loaded,
                heap: &mut self.heap,
                host: &mut *host,
                fault: None,
            };
            let depth = self.limits.depth as usize;
            let exit = fast::run(&mut surroundings, &mut self.stacks, &mut self.entries, depth, budget);
            let fault = surroundings.fault;
            match exit {
                Exit::Op => {
                    let Some(Entry::Script(frame)) = self.entries.last() else { continue };
                    let op = loaded.protos[frame.proto as usize].proto.code[frame.pc as usize - 1];
                    let base = frame.base as usize;
                    if self.outer(&loaded, op, base, host)? == Flow::Exit {
                        return Ok(self.exit.take());
                    }
                }
                Exit::Budget => {
                    self.next = Next::Run;
                    return Ok(Some(Run::OutOfBudget));
                }
                Exit::Memory => {}
                Exit::Fault => {
                    return Err(fault.unwrap_or_else(|| Fault::error("an error without a description")));
                }
            }
            if self.heap.is_over() {
                self.next = Next::Run;
                return Ok(None);
            }
        }
    }

    /// Notes where a result of the function at the top goes.
    pub(super) fn expect(&mut self, to: Reg) {
        if let Some(Entry::Script(frame)) = self.entries.last_mut() {
            frame.to = to;
        }
    }

    /// The first registers that nobody uses.
    #[inline]
    pub(super) fn top(&self) -> (usize, usize) {
        match self.entries.last() {
            None => (0, 0),
            Some(Entry::Script(frame)) => (frame.end as usize, frame.nums_end as usize),
            Some(Entry::Native(waiting)) => (waiting.top as usize, waiting.nums_top as usize),
        }
    }

    /// An object that may become part of a cycle.
    pub(super) fn note_object(&mut self, object: &Object) {
        if self.objects.len() == self.objects.capacity() && self.objects.len() >= 256 {
            self.objects.retain(|object| object.upgrade().is_some());
            self.objects.reserve(self.objects.len());
        }
        self.objects.push(object.downgrade());
    }

    /// A generator that may become part of a cycle.
    pub(super) fn note_generator(&mut self, state: &Rc<RefCell<State>>) {
        if self.generators.len() == self.generators.capacity() && self.generators.len() >= 256 {
            self.generators.retain(|state| state.strong_count() > 0);
            self.generators.reserve(self.generators.len());
        }
        self.generators.push(Rc::downgrade(state));
    }

    /// A variable that may become part of a cycle.
    pub(super) fn note_cell(&mut self, cell: &CellRef) {
        if self.cells.len() == self.cells.capacity() && self.cells.len() >= 256 {
            self.cells.retain(|cell| cell.upgrade().is_some());
            self.cells.reserve(self.cells.len());
        }
        self.cells.push(cell.downgrade());
    }

    /// Counts live bytes; false if they exceed the limit.
    fn measure(&mut self) -> bool {
        self.live_bytes = super::memory::live_bytes(self);
        self.heap.counted(self.live_bytes)
    }

    fn note_kept(&mut self) {
        if let Some((Input::Global(index), _)) = self.kept {
            let value = self.global(index).get();
            self.kept =
                Some((Input::Global(index), if let Value::Undefined = value { Value::None } else { value }));
        }
    }

    /// Frees everything that the execution held.
    fn end(&mut self) {
        self.next = Next::Ended;
        let top = self.top().0;
        self.entries.clear();
        self.trace.clear();
        // Registers of functions that did not return are still set.
        self.stacks.values.iter_mut().take(top).for_each(|value| *value = Value::Undefined);
        if self.keeps_variables {
            return;
        }
        self.globals.clear();
        self.modules_run.clear();
        // What is alive now is held from outside, or by a cycle.
        for cell in self.cells.drain(..) {
            if let Some(cell) = cell.upgrade() {
                cell.set(Value::None);
            }
        }
        for state in self.generators.drain(..) {
            if let Some(state) = state.upgrade() {
                let state = state.replace(State::Done);
                drop(state);
            }
        }
        for object in self.objects.drain(..) {
            if let Some(object) = object.upgrade() {
                super::memory::clear(&object);
            }
        }
    }
}

/// Gives up the memory of a stack that has grown large.
fn forget_large<T>(stack: &mut Vec<T>) {
    if stack.capacity() > crate::limits::MAX_KEPT_ENTRIES {
        *stack = Vec::new();
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.keeps_variables = false;
        self.end();
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("depth", &self.entries.len()).field("steps", &self.steps).finish()
    }
}
