//! Calls and returns: whatever changes the call stack. What is called is in
//! [`super::invoke`], natives are in [`super::native_call`], generators in [`super::generator`].

use std::rc::Rc;

use crate::compile::op::{NO_REG, Op, Reg};
use crate::fault::Fault;
use crate::host::{Host, PendingCall};
use crate::std::regex;
use crate::value::{Array, Object, Str, Value};

use super::context::{Context, Flow, Next, Outcome, Run};
use super::frame::{Entry, Frame, Mode};
use super::generator::{Generator, State};
use super::loaded::Loaded;
use super::operate::weight;

impl Context {
    /// An instruction that concerns other functions. `Some` ends the run of the function at the top.
    pub(super) fn outer(
        &mut self,
        loaded: &Rc<Loaded>,
        op: Op,
        base: usize,
        host: &mut dyn Host,
    ) -> Result<Flow, Fault> {
        let at = |reg: Reg| base + usize::from(reg);
        match op {
            Op::CallProto { count, to, start, proto } => {
                self.expect(to);
                self.enter(loaded, u32::from(proto), at(start), usize::from(count), Mode::Plain)?;
                if loaded.protos[usize::from(proto)].proto.generator {
                    let outcome = self.entered(loaded, u32::from(proto));
                    return self.settle(outcome);
                }
                return Ok(Flow::Go);
            }
            Op::Return { from } => {
                let value = std::mem::replace(&mut self.stacks.values[at(from)], Value::Undefined);
                if matches!(value, Value::Undefined) {
                    return Err(self.undefined(from));
                }
                return self.leave(value);
            }
            Op::ReturnNone => return self.leave(Value::None),
            Op::CallNative { count, to, start, native } => {
                self.expect(to);
                let native = loaded.natives[usize::from(native)];
                let outcome = self.call_native(native, None, at(start), usize::from(count), host)?;
                return self.settle(outcome);
            }
            Op::CallClass { count, to, start, class } => {
                self.expect(to);
                let outcome = self.construct(loaded, u32::from(class), at(start), usize::from(count))?;
                return self.settle(outcome);
            }
            Op::CallValue { count, to, start } => {
                self.expect(to);
                let function = std::mem::replace(&mut self.stacks.values[at(start)], Value::Undefined);
                let outcome = self.invoke(loaded, &function, at(start), usize::from(count), host)?;
                return self.settle(outcome);
            }
            Op::CallMethod { count, to, start, name } => {
                self.expect(to);
                let name = self.name(name);
                let outcome = self.call_method(loaded, &name, at(start), usize::from(count), host)?;
                return self.settle(outcome);
            }
            Op::CallSpread { to, start } => {
                self.expect(to);
                let function = std::mem::replace(&mut self.stacks.values[at(start)], Value::Undefined);
                let count = self.spread(at(start) + 1);
                let top = self.top().0;
                let outcome = self.invoke(loaded, &function, top, count, host)?;
                return self.settle(outcome);
            }
            Op::CallMethodSpread { to, start, name } => {
                self.expect(to);
                let name = self.name(name);
                let object = std::mem::replace(&mut self.stacks.values[at(start)], Value::Undefined);
                let count = self.spread(at(start) + 1);
                let top = self.top().0;
                self.stacks.values[top] = object;
                let outcome = self.call_method(loaded, &name, top, count, host)?;
                return self.settle(outcome);
            }
            Op::Matches { negate, to, a, b } => {
                self.expect(to);
                let native = if negate { &regex::MATCHES_NOT } else { &regex::MATCHES };
                let args = [self.operand(at(b), b)?.freeze()?, self.operand(at(a), a)?.freeze()?];
                return self.settle(Outcome::Pending(PendingCall::Offload {
                    native,
                    this: None,
                    args: args.into(),
                }));
            }
            Op::Closure { to, proto, captures } => self.closure(loaded, base, (to, proto, captures))?,
            Op::BreakPoint { stage, id } => return self.break_point(stage, id),
            Op::BindGlobal { reg, index } => {
                let cell = self.global(index);
                self.stacks.values[at(reg)] = Value::Cell(cell);
            }
            Op::RunModule { module } => {
                if self.claim_module(module) {
                    let main = loaded.program.modules[usize::from(module)].main;
                    let top = self.top().0;
                    self.enter(loaded, main, top, 0, Mode::Discard)?;
                }
            }
            Op::Throw { from } => {
                let value = self.operand(at(from), from)?;
                return Err(Fault::thrown(value));
            }
            Op::Rethrow { from } => {
                // Whoever looks at errors has seen this one.
                self.shown_to_debugger();
                let value = std::mem::replace(&mut self.stacks.values[at(from)], Value::Undefined);
                return Err(Fault::thrown(value));
            }
            Op::NoMatch { subject } => {
                let value = &self.stacks.values[at(subject)];
                let text =
                    value.to_text().map(|text| text.to_string_lossy().chars().take(80).collect::<String>());
                let shown = match (value, text) {
                    (Value::Str(_), Ok(text)) => format!("\"{text}\""),
                    (Value::None, _) => "none".to_owned(),
                    (_, Ok(text)) => text,
                    (other, Err(_)) => other.type_name().to_owned(),
                };
                return Err(Fault::error(format!("no arm of match applies to {shown}")));
            }
            Op::Yield { from } => {
                let value = self.operand(at(from), from)?;
                return self.yield_value(loaded, value);
            }
            Op::ForeachNext { iterator, .. } => {
                let Value::Object(object) = self.stacks.values[at(iterator)].clone() else {
                    return Ok(Flow::Go);
                };
                if !self.resume_generator(&object, Mode::Foreach)? {
                    self.skip();
                }
            }
            other => unreachable!("{other:?} runs in the loop"),
        }
        Ok(Flow::Go)
    }

    pub(super) fn name(&self, constant: u16) -> Str {
        let Some(Entry::Script(frame)) = self.entries.last() else { return Str::default() };
        match &self.loaded.protos[frame.proto as usize].constants[usize::from(constant)] {
            Value::Str(name) => name.clone(),
            _ => Str::default(),
        }
    }

    fn undefined(&self, reg: Reg) -> Fault {
        let Some(Entry::Script(frame)) = self.entries.last() else {
            return Fault::error("undefined variable");
        };
        match self.loaded.protos[frame.proto as usize].proto.names.get(usize::from(reg)) {
            Some(name) => Fault::error(format!("undefined variable ${name}")),
            None => Fault::error("undefined variable"),
        }
    }

    fn operand(&self, at: usize, reg: Reg) -> Result<Value, Fault> {
        match &self.stacks.values[at] {
            Value::Undefined => Err(self.undefined(reg)),
            value => Ok(value.clone()),
        }
    }

    /// Puts an array of arguments above the function at the top, from its second free register on.
    fn spread(&mut self, at: usize) -> usize {
        let array = std::mem::replace(&mut self.stacks.values[at], Value::Undefined);
        let Value::Array(array) = array else { return 0 };
        let top = self.top().0;
        self.reserve(top + 1 + array.len());
        let mut count = 0;
        for value in array.values() {
            self.stacks.values[top + 1 + count] = value;
            count += 1;
        }
        count
    }

    /// Makes sure that there are registers below `end`.
    pub(super) fn reserve(&mut self, end: usize) {
        let values = &mut self.stacks.values;
        if values.len() < end {
            let length = end.max(values.len() * 2).max(64);
            self.heap.charge((length - values.len()) * size_of::<Value>());
            values.resize(length, Value::Undefined);
        }
    }

    pub(super) fn reserve_numbers(&mut self, base: usize) {
        let numbers = &mut self.stacks.numbers;
        if numbers.len() < base + 256 {
            numbers.resize((base + 256).max(if base == 0 { 0 } else { numbers.len() * 2 }), 0.0);
        }
    }

    /// Begins a function whose arguments are in place: `$this` at `base`, if it has one, then `given` arguments.
    #[inline]
    pub(super) fn enter(
        &mut self,
        loaded: &Loaded,
        id: u32,
        base: usize,
        given: usize,
        mode: Mode,
    ) -> Result<(), Fault> {
        if self.entries.len() >= self.limits.depth as usize {
            return Err(Fault::error(format!("calls are nested deeper than {}", self.limits.depth)));
        }
        let function = &loaded.protos[id as usize];
        let proto = &*function.proto;
        let (top, nums) = self.top();
        let end = base + usize::from(proto.registers);
        let args = base + usize::from(proto.has_this);
        self.reserve(end.max(args + given));
        self.reserve_numbers(nums);
        if given != usize::from(proto.params) || proto.variadic {
            self.bind(loaded, id, args, given)?;
        }
        // Temporaries of the caller that are its registers now.
        let used = args + usize::from(proto.params) + usize::from(proto.variadic);
        for value in &mut self.stacks.values[used.min(end)..end.min(top.max(used)).max(used.min(end))] {
            *value = Value::Undefined;
        }
        self.stacks.numbers[nums..nums + proto.numbers.len()].copy_from_slice(&proto.numbers);
        self.entries.push(Entry::Script(Frame {
            proto: id,
            pc: 0,
            base: base as u32,
            nums: nums as u32,
            end: end as u32,
            nums_end: (nums + usize::from(proto.number_registers)) as u32,
            to: NO_REG,
            mode,
            generator: None,
        }));
        Ok(())
    }

    /// Fills in defaults and collects the rest.
    fn bind(&mut self, loaded: &Loaded, id: u32, args: usize, given: usize) -> Result<(), Fault> {
        let function = &loaded.protos[id as usize];
        let proto = &*function.proto;
        let params = usize::from(proto.params);
        let min = params - proto.defaults.len();
        if given < min || (given > params && !proto.variadic) {
            let max = (!proto.variadic).then_some(params);
            return Err(Fault::error(crate::compile::arity_message(&proto.name, min, max, given)));
        }
        let values = &mut self.stacks.values;
        let rest = if proto.variadic && given > params {
            values[args + params..args + given]
                .iter_mut()
                .map(|value| std::mem::replace(value, Value::Undefined))
                .collect()
        } else {
            Vec::new()
        };
        for missing in given..params {
            let constant = proto.defaults[missing - min];
            values[args + missing] = function.constants[usize::from(constant)].clone();
        }
        if proto.variadic {
            self.heap.charge(rest.len() * 16 + 64);
            values[args + params] = Value::Array(Array::from_list(rest));
        }
        Ok(())
    }

    /// The function at the top returns.
    #[inline]
    fn leave(&mut self, mut value: Value) -> Result<Flow, Fault> {
        let Some(Entry::Script(frame)) = self.entries.pop() else { return Ok(Flow::Go) };
        let base = frame.base as usize;
        if frame.mode == Mode::Construct {
            value = std::mem::replace(&mut self.stacks.values[base], Value::Undefined);
        }
        for register in &mut self.stacks.values[base..frame.end as usize] {
            *register = Value::Undefined;
        }
        match frame.mode {
            Mode::Plain | Mode::Construct => self.settle(Outcome::Value(value)),
            Mode::Discard => Ok(Flow::Go),
            Mode::Foreach | Mode::Next => {
                if let Some(generator) = frame.generator.as_ref().and_then(Object::downcast::<Generator>) {
                    *generator.state.borrow_mut() = State::Done;
                }
                if frame.mode == Mode::Foreach {
                    self.skip();
                    return Ok(Flow::Go);
                }
                self.settle(Outcome::Value(Value::Bool(false)))
            }
        }
    }

    /// Goes on with what a call came to.
    #[inline]
    pub(super) fn settle(&mut self, outcome: Outcome) -> Result<Flow, Fault> {
        match outcome {
            Outcome::Value(value) => {
                if let Some(Entry::Script(frame)) = self.entries.last() {
                    if frame.to != NO_REG {
                        self.stacks.values[frame.base as usize + usize::from(frame.to)] = value;
                    }
                    return Ok(Flow::Go);
                }
                self.next = Next::Deliver(value);
                Ok(Flow::Exit)
            }
            Outcome::Entered => Ok(Flow::Go),
            Outcome::Redirected => Ok(Flow::Exit),
            Outcome::Pending(call) => {
                self.next = Next::Waiting;
                self.exit = Some(Run::Pending(call));
                Ok(Flow::Exit)
            }
        }
    }

    /// Hands a result to whoever waits for it.
    pub(super) fn deliver(
        &mut self,
        value: Value,
        host: &mut dyn Host,
        budget: &mut u32,
    ) -> Result<Option<Run>, Fault> {
        match self.entries.last_mut() {
            None => Ok(Some(Run::Done(value))),
            Some(Entry::Script(frame)) => {
                self.heap.charge(weight(&value));
                if frame.to != NO_REG {
                    self.stacks.values[frame.base as usize + usize::from(frame.to)] = value;
                }
                self.next = Next::Run;
                Ok(None)
            }
            Some(Entry::Native(waiting)) => {
                if *budget == 0 {
                    self.next = Next::Deliver(value);
                    return Ok(Some(Run::OutOfBudget));
                }
                *budget -= 1;
                let before = waiting.frame.size_bytes();
                let next = waiting.frame.resume(value, host)?;
                self.heap.charge(waiting.frame.size_bytes().saturating_sub(before));
                self.native_next(next, host)
            }
        }
    }

    /// The `foreach` at the top has no more items.
    fn skip(&mut self) {
        if let Some(Entry::Script(frame)) = self.entries.last_mut() {
            frame.pc += 1;
        }
    }
}
