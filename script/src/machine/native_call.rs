//! Calls of natives, at once or step by step, and what they call back.

use std::rc::Rc;

use crate::fault::Fault;
use crate::host::{Host, HostCall, PendingCall};
use crate::native::{Adopting, Call, Native, NativeFrame, NativeRun, Next as NativeNext, Step, exceeds};
use crate::value::{Frozen, Object, Value};

use super::context::{Context, Next, Outcome, Run};
use super::frame::{Entry, Waiting};
use super::loaded::Loaded;
use super::operate::weight;

impl Context {
    /// Goes on with what the native at the top wants.
    pub(super) fn native_next(
        &mut self,
        next: NativeNext,
        host: &mut dyn Host,
    ) -> Result<Option<Run>, Fault> {
        match next {
            NativeNext::Return(value) => {
                self.entries.pop();
                self.next = Next::Deliver(value);
                Ok(None)
            }
            NativeNext::Pause => {
                self.next = Next::Deliver(Value::None);
                Ok(Some(Run::OutOfBudget))
            }
            NativeNext::Call { function, args } => {
                let loaded = self.loaded.clone();
                let outcome = self.call_back(&loaded, &function, args, host)?;
                Ok(self.after_native(outcome))
            }
            NativeNext::Host(call) => {
                self.next = Next::Waiting;
                Ok(Some(Run::Pending(PendingCall::Host(call))))
            }
            NativeNext::Offload { native, args } => {
                self.next = Next::Waiting;
                Ok(Some(Run::Pending(PendingCall::Offload { native, this: None, args })))
            }
        }
    }

    pub(super) fn after_native(&mut self, outcome: Outcome) -> Option<Run> {
        match outcome {
            Outcome::Value(value) => self.next = Next::Deliver(value),
            Outcome::Entered => self.next = Next::Run,
            Outcome::Redirected => {}
            Outcome::Pending(call) => {
                self.next = Next::Waiting;
                return Some(Run::Pending(call));
            }
        }
        None
    }

    /// Calls a function for a native.
    pub(super) fn call_back(
        &mut self,
        loaded: &Rc<Loaded>,
        function: &Value,
        args: Vec<Value>,
        host: &mut dyn Host,
    ) -> Result<Outcome, Fault> {
        let top = self.top().0;
        let count = args.len();
        self.reserve(top + 1 + count);
        for (at, value) in args.into_iter().enumerate() {
            self.stacks.values[top + 1 + at] = value;
        }
        self.invoke(loaded, function, top, count, host)
    }

    pub(super) fn checked_native(
        &mut self,
        native: &'static Native,
        this: Option<&Object>,
        base: usize,
        count: usize,
        host: &mut dyn Host,
    ) -> Result<Outcome, Fault> {
        native.check_arity(count)?;
        self.call_native(native, this, base, count, host)
    }

    /// Calls a native with the arguments from `base` on.
    pub(super) fn call_native(
        &mut self,
        native: &'static Native,
        this: Option<&Object>,
        base: usize,
        count: usize,
        host: &mut dyn Host,
    ) -> Result<Outcome, Fault> {
        let left = self.heap.left();
        let args = &mut self.stacks.values[base..base + count];
        let run = match native.run {
            NativeRun::Inline(run) => run,
            NativeRun::Sized { above_bytes, run } => {
                if !exceeds(args, this, above_bytes) {
                    run
                } else {
                    let frozen = args.iter_mut().map(|arg| std::mem::replace(arg, Value::Undefined).freeze());
                    let args = frozen.collect::<Result<Vec<_>, Fault>>()?;
                    let this = this.map(|this| Value::Object(this.clone()).freeze()).transpose()?;
                    return Ok(Outcome::Pending(PendingCall::Offload { native, this, args }));
                }
            }
            NativeRun::Weighed { above, weigh, run, .. } => {
                let weight = weigh(&Call::new(native, this, args, host));
                match this.filter(|_| weight > above) {
                    None => run,
                    Some(this) => {
                        let taken = args.iter_mut().map(|arg| std::mem::replace(arg, Value::Undefined));
                        let args = taken.map(|arg| arg.freeze()).collect::<Result<Vec<_>, Fault>>()?;
                        return self.change_elsewhere(native, this, args);
                    }
                }
            }
            NativeRun::Host(function) => {
                let args = args.iter_mut().map(|arg| std::mem::replace(arg, Value::Undefined)).collect();
                let call = HostCall { function, name: native.name, this: this.cloned(), args };
                return Ok(Outcome::Pending(PendingCall::Host(call)));
            }
            NativeRun::Frame(run) | NativeRun::Offloading { run, .. } => {
                let step = run(&mut Call::new(native, this, args, host).with_memory(left));
                args.iter_mut().for_each(|arg| *arg = Value::Undefined);
                return self.native_step(step?, host);
            }
        };
        let result = run(&mut Call::new(native, this, args, host).with_memory(left));
        args.iter_mut().for_each(|arg| *arg = Value::Undefined);
        let value = result?;
        self.heap.charge(weight(&value));
        Ok(Outcome::Value(value))
    }

    /// Has another thread run a method, whose object takes over what that changes.
    fn change_elsewhere(
        &mut self,
        native: &'static Native,
        this: &Object,
        args: Vec<Frozen>,
    ) -> Result<Outcome, Fault> {
        let frozen = Value::Object(this.clone()).freeze()?;
        // The object grows by no more than what it is given.
        self.heap.charge(args.iter().map(Frozen::size_bytes).sum());
        self.wait(Box::new(Adopting::new(this.clone())))?;
        Ok(Outcome::Pending(PendingCall::Offload { native, this: Some(frozen), args }))
    }

    /// Puts a native that waits on the call stack.
    fn wait(&mut self, frame: Box<dyn NativeFrame>) -> Result<(), Fault> {
        if self.entries.len() >= self.limits.depth as usize {
            return Err(Fault::error(format!("calls are nested deeper than {}", self.limits.depth)));
        }
        self.heap.charge(frame.size_bytes());
        let (top, nums_top) = self.top();
        self.entries.push(Entry::Native(Waiting { frame, top: top as u32, nums_top: nums_top as u32 }));
        Ok(())
    }

    pub(super) fn native_step(&mut self, step: Step, host: &mut dyn Host) -> Result<Outcome, Fault> {
        let (first, then) = match step {
            Step::Return(value) => {
                self.heap.charge(weight(&value));
                return Ok(Outcome::Value(value));
            }
            Step::Begin(frame) => {
                self.wait(frame)?;
                self.next = Next::Deliver(Value::None);
                return Ok(Outcome::Redirected);
            }
            Step::Offload { native, args, then } => {
                let pending = PendingCall::Offload { native, this: None, args };
                match then {
                    None => return Ok(Outcome::Pending(pending)),
                    Some(then) => (Err(pending), then),
                }
            }
            Step::Call { function, args, then } => (Ok((function, args)), then),
            Step::Host { call, then } => (Err(PendingCall::Host(call)), then),
        };
        self.wait(then)?;
        match first {
            Err(pending) => Ok(Outcome::Pending(pending)),
            Ok((function, args)) => {
                let loaded = self.loaded.clone();
                match self.call_back(&loaded, &function, args, host)? {
                    // The native is at the top and waits for the value.
                    Outcome::Value(value) => {
                        self.next = Next::Deliver(value);
                        Ok(Outcome::Redirected)
                    }
                    outcome => Ok(outcome),
                }
            }
        }
    }
}
