//! Calls and returns: whatever changes the call stack.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::compile::op::{NO_REG, Op, Reg};
use crate::fault::Fault;
use crate::host::{Host, HostCall, PendingCall};
use crate::native::{Call, Native, NativeRun, Next as NativeNext, Step};
use crate::value::{Array, CellRef, Function, FunctionBuf, Instance, Object, ScriptFunction, Str, Value};

use super::context::{Context, Flow, Next, Outcome, Run};
use super::frame::{Entry, Frame, Mode, Waiting};
use super::generator::{self, Generator, Saved, State};
use super::loaded::Loaded;
use super::object::private;
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
            Op::Closure { to, proto, captures } => self.closure(loaded, base, (to, proto, captures))?,
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

    fn name(&self, constant: u16) -> Str {
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
    fn reserve(&mut self, end: usize) {
        let values = &mut self.stacks.values;
        if values.len() < end {
            let length = end.max(values.len() * 2).max(64);
            self.heap.charge((length - values.len()) * size_of::<Value>());
            values.resize(length, Value::Undefined);
        }
    }

    fn reserve_numbers(&mut self, base: usize) {
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
            NativeNext::Call { function, args } => {
                let loaded = self.loaded.clone();
                let outcome = self.call_back(&loaded, &function, args, host)?;
                Ok(self.after_native(outcome))
            }
            NativeNext::Host(call) => {
                self.next = Next::Waiting;
                Ok(Some(Run::Pending(PendingCall::Host(call))))
            }
        }
    }

    fn after_native(&mut self, outcome: Outcome) -> Option<Run> {
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
    fn call_back(
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

    /// Calls a function value. Register `base` is free, the arguments come after it.
    pub(super) fn invoke(
        &mut self,
        loaded: &Rc<Loaded>,
        function: &Value,
        base: usize,
        count: usize,
        host: &mut dyn Host,
    ) -> Result<Outcome, Fault> {
        let Value::Function(function) = function else {
            return Err(Fault::error(format!("{} is not a function", article(function.type_name()))));
        };
        match function.kind() {
            FunctionBuf::Native(native) => self.checked_native(native, None, base + 1, count, host),
            FunctionBuf::BoundNative(native, this) => {
                if generator::is_next(native) {
                    return self.generator_next(this, count);
                }
                self.checked_native(native, Some(this), base + 1, count, host)
            }
            FunctionBuf::NativeClass(class) => match &class.constructor {
                Some(native) => self.checked_native(native, None, base + 1, count, host),
                None => Err(Fault::error(format!("class {} cannot be constructed by scripts", class.name))),
            },
            FunctionBuf::Script(script) => self.invoke_script(loaded, script, base, count),
        }
    }

    fn invoke_script(
        &mut self,
        loaded: &Rc<Loaded>,
        script: &ScriptFunction,
        base: usize,
        count: usize,
    ) -> Result<Outcome, Fault> {
        if !Rc::ptr_eq(&script.home, &loaded.home) {
            return Err(Fault::error("a function of another script cannot be called"));
        }
        if script.is_class {
            return self.construct(loaded, script.index, base, count);
        }
        let proto = &loaded.protos[script.index as usize].proto;
        let start = if proto.has_this {
            let Some(this) = &script.this else { return Err(Fault::error("a method needs an object")) };
            self.stacks.values[base] = Value::Object(this.clone());
            base
        } else {
            base + 1
        };
        self.enter(loaded, script.index, start, count, Mode::Plain)?;
        let captured =
            start + usize::from(proto.has_this) + usize::from(proto.params) + usize::from(proto.variadic);
        for (at, cell) in script.captures.iter().enumerate() {
            self.stacks.values[captured + at] = Value::Cell(cell.clone());
        }
        Ok(self.entered(loaded, script.index))
    }

    /// What a call that has entered a function came to: that of a generator has its value at once.
    fn entered(&mut self, loaded: &Loaded, id: u32) -> Outcome {
        if !loaded.protos[id as usize].proto.generator {
            return Outcome::Entered;
        }
        match self.make_generator(loaded) {
            Some(value) => Outcome::Value(value),
            None => Outcome::Entered,
        }
    }

    /// `object->name(arguments)` with the object at `base`.
    fn call_method(
        &mut self,
        loaded: &Rc<Loaded>,
        name: &Str,
        base: usize,
        count: usize,
        host: &mut dyn Host,
    ) -> Result<Outcome, Fault> {
        let Value::Object(object) = &self.stacks.values[base] else {
            let what = self.stacks.values[base].type_name();
            let name = name.to_string_lossy();
            return Err(Fault::error(format!("{} has no method {name}", article(what))));
        };
        let object = object.clone();
        let Some(instance) = object.as_instance() else {
            self.stacks.values[base] = Value::Undefined;
            let class = object.native_class();
            return match class.and_then(|class| class.method(name)) {
                Some(native) if generator::is_next(native) => self.generator_next(&object, count),
                Some(native) => self.checked_native(native, Some(&object), base + 1, count, host),
                None => Err(no_method(&object, name)),
            };
        };
        let class = &loaded.classes[instance.class as usize];
        let own = self.running_class(loaded) == Some(instance.class);
        if let Some(method) = class.methods.get(name) {
            if method.private && !own {
                return Err(private(&class.name, name));
            }
            self.enter(loaded, method.proto, base, count, Mode::Plain)?;
            return Ok(self.entered(loaded, method.proto));
        }
        if !own && class.restricted.get(name) == Some(&crate::compile::program::Restriction::Private) {
            return Err(private(&class.name, name));
        }
        let property = instance.fields.borrow().get(name).cloned();
        match property {
            Some(function @ Value::Function(_)) => {
                self.stacks.values[base] = Value::Undefined;
                self.invoke(loaded, &function, base, count, host)
            }
            _ => Err(no_method(&object, name)),
        }
    }

    fn running_class(&self, loaded: &Loaded) -> Option<u32> {
        match self.entries.last() {
            Some(Entry::Script(frame)) => loaded.protos[frame.proto as usize].proto.class,
            _ => None,
        }
    }

    /// Makes an instance. Register `base` is free, the arguments of the constructor come after it.
    pub(super) fn construct(
        &mut self,
        loaded: &Rc<Loaded>,
        id: u32,
        base: usize,
        count: usize,
    ) -> Result<Outcome, Fault> {
        let class = &loaded.classes[id as usize];
        let object = Object::instance(Instance {
            class_name: class.name.clone(),
            home: loaded.home.clone(),
            class: id,
            fields: RefCell::new(class.template.clone()),
        });
        self.note_object(&object);
        self.heap.charge(160 + class.template.len() * 64);
        let value = Value::Object(object);
        match (class.constructor, class.initializer) {
            (None, _) if count > 0 => Err(Fault::error(crate::compile::arity_message(
                &class.name.to_string_lossy(),
                0,
                Some(0),
                count,
            ))),
            (None, None) => Ok(Outcome::Value(value)),
            (None, Some(initializer)) => {
                self.stacks.values[base] = value;
                self.enter(loaded, initializer, base, 0, Mode::Construct)?;
                Ok(Outcome::Entered)
            }
            (Some(constructor), initializer) => {
                self.stacks.values[base] = value.clone();
                self.enter(loaded, constructor, base, count, Mode::Construct)?;
                if let Some(initializer) = initializer {
                    let top = self.top().0;
                    self.reserve(top + 1);
                    self.stacks.values[top] = value;
                    self.enter(loaded, initializer, top, 0, Mode::Discard)?;
                }
                Ok(Outcome::Entered)
            }
        }
    }

    fn checked_native(
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
            NativeRun::Host(function) => {
                let args = args.iter_mut().map(|arg| std::mem::replace(arg, Value::Undefined)).collect();
                let call = HostCall { function, name: native.name, this: this.cloned(), args };
                return Ok(Outcome::Pending(PendingCall::Host(call)));
            }
            NativeRun::Frame(run) => {
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

    fn native_step(&mut self, step: Step, host: &mut dyn Host) -> Result<Outcome, Fault> {
        let (call, then) = match step {
            Step::Return(value) => {
                self.heap.charge(weight(&value));
                return Ok(Outcome::Value(value));
            }
            Step::Call { function, args, then } => (Ok((function, args)), then),
            Step::Host { call, then } => (Err(call), then),
        };
        if self.entries.len() >= self.limits.depth as usize {
            return Err(Fault::error(format!("calls are nested deeper than {}", self.limits.depth)));
        }
        let (top, nums_top) = self.top();
        let waiting = Waiting { frame: then, top: top as u32, nums_top: nums_top as u32 };
        self.entries.push(Entry::Native(waiting));
        match call {
            Err(call) => Ok(Outcome::Pending(PendingCall::Host(call))),
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

    fn closure(
        &mut self,
        loaded: &Rc<Loaded>,
        base: usize,
        (to, proto, captures): (Reg, u16, u16),
    ) -> Result<(), Fault> {
        let Some(Entry::Script(frame)) = self.entries.last() else { return Ok(()) };
        let creator = &loaded.protos[frame.proto as usize].proto;
        let list = &creator.capture_lists[usize::from(captures)];
        let mut cells: Vec<CellRef> = Vec::with_capacity(list.len());
        for reg in list {
            let slot = &mut self.stacks.values[base + usize::from(*reg)];
            let cell = match slot {
                Value::Cell(cell) => cell.clone(),
                _ => {
                    let cell = CellRef::new(std::mem::replace(slot, Value::Undefined));
                    *slot = Value::Cell(cell.clone());
                    self.note_cell(&cell);
                    cell
                }
            };
            cells.push(cell);
        }
        let this = match &self.stacks.values[base] {
            Value::Object(object) if loaded.protos[usize::from(proto)].proto.has_this => Some(object.clone()),
            _ => None,
        };
        self.heap.charge(96 + cells.len() * 48);
        let function = ScriptFunction {
            home: loaded.home.clone(),
            index: u32::from(proto),
            is_class: false,
            captures: cells.into(),
            this,
        };
        self.stacks.values[base + usize::from(to)] =
            Value::Function(Function::new(FunctionBuf::Script(function)));
        Ok(())
    }

    /// Turns the function at the top, just entered, into a generator.
    fn make_generator(&mut self, loaded: &Loaded) -> Option<Value> {
        let Some(Entry::Script(frame)) = self.entries.pop() else { return None };
        let saved = self.save(loaded, &frame);
        self.heap.charge(160 + saved.values.len() * 16);
        let state = Rc::new(RefCell::new(State::Waiting(saved)));
        self.note_generator(&state);
        let object = Object::host(Generator { state, count: Cell::new(0) });
        Some(Value::Object(object))
    }

    /// Takes the registers of a function off the stack.
    fn save(&mut self, loaded: &Loaded, frame: &Frame) -> Saved {
        let proto = &loaded.protos[frame.proto as usize].proto;
        let (base, nums) = (frame.base as usize, frame.nums as usize);
        let values = self.stacks.values[base..base + usize::from(proto.registers)].iter_mut();
        Saved {
            proto: frame.proto,
            pc: frame.pc,
            values: values.map(|value| std::mem::replace(value, Value::Undefined)).collect(),
            numbers: self.stacks.numbers[nums..nums + usize::from(proto.number_registers)].to_vec(),
        }
    }

    fn generator_next(&mut self, object: &Object, count: usize) -> Result<Outcome, Fault> {
        if count > 0 {
            return Err(Fault::error(crate::compile::arity_message("next", 0, Some(0), count)));
        }
        if self.resume_generator(object, Mode::Next)? {
            Ok(Outcome::Entered)
        } else {
            Ok(Outcome::Value(Value::Bool(false)))
        }
    }

    /// Puts the function of a generator on the call stack; false if it has ended.
    fn resume_generator(&mut self, object: &Object, mode: Mode) -> Result<bool, Fault> {
        let Some(generator) = object.downcast::<Generator>() else {
            return Err(Fault::error("next() needs a generator"));
        };
        if self.entries.len() >= self.limits.depth as usize {
            return Err(Fault::error(format!("calls are nested deeper than {}", self.limits.depth)));
        }
        let state = std::mem::replace(&mut *generator.state.borrow_mut(), State::Running);
        let saved = match state {
            State::Waiting(saved) => saved,
            State::Running => return Err(Fault::error("the generator is running already")),
            State::Done => {
                *generator.state.borrow_mut() = State::Done;
                return Ok(false);
            }
        };
        let (base, nums) = self.top();
        let (end, nums_end) = (base + saved.values.len(), nums + saved.numbers.len());
        self.reserve(end);
        self.reserve_numbers(nums);
        for (at, value) in saved.values.into_iter().enumerate() {
            self.stacks.values[base + at] = value;
        }
        self.stacks.numbers[nums..nums + saved.numbers.len()].copy_from_slice(&saved.numbers);
        self.entries.push(Entry::Script(Frame {
            proto: saved.proto,
            pc: saved.pc,
            base: base as u32,
            nums: nums as u32,
            end: end as u32,
            nums_end: nums_end as u32,
            to: NO_REG,
            mode,
            generator: Some(object.clone()),
        }));
        Ok(true)
    }

    /// The generator at the top hands out a value.
    fn yield_value(&mut self, loaded: &Rc<Loaded>, value: Value) -> Result<Flow, Fault> {
        let Some(Entry::Script(frame)) = self.entries.pop() else { return Ok(Flow::Go) };
        let object = frame.generator.clone();
        let Some(generator) = object.as_ref().and_then(Object::downcast::<Generator>) else {
            return Ok(Flow::Go);
        };
        let count = generator.count.get();
        generator.count.set(count + 1);
        let saved = self.save(loaded, &frame);
        *generator.state.borrow_mut() = State::Waiting(saved);
        if frame.mode == Mode::Next {
            return self.settle(Outcome::Value(value));
        }
        if let Some(Entry::Script(consumer)) = self.entries.last() {
            let code = &loaded.protos[consumer.proto as usize].proto.code;
            if let Op::ForeachNext { value: to, key, .. } = code[consumer.pc as usize - 1] {
                let base = consumer.base as usize;
                self.stacks.values[base + usize::from(to)] = value;
                if key != NO_REG {
                    self.stacks.values[base + usize::from(key)] = Value::Number(count as f64);
                }
            }
        }
        Ok(Flow::Go)
    }

    /// The `foreach` at the top has no more items.
    fn skip(&mut self) {
        if let Some(Entry::Script(frame)) = self.entries.last_mut() {
            frame.pc += 1;
        }
    }
}

/// Whether arguments hold more than this many bytes.
fn exceeds(args: &[Value], this: Option<&Object>, above_bytes: usize) -> bool {
    if above_bytes == 0 {
        return true;
    }
    let mut left = above_bytes;
    let mut pending: Vec<Value> = args.to_vec();
    pending.extend(this.map(|this| Value::Object(this.clone())));
    while let Some(value) = pending.pop() {
        let size = match &value {
            Value::Str(text) => text.len(),
            Value::Array(array) => {
                let size = array.len().saturating_mul(16);
                if size <= left {
                    array.iter().for_each(|(_, item)| pending.push(item));
                }
                size
            }
            Value::Object(object) => object.as_host().map_or(0, crate::native::HostObject::size_bytes),
            _ => 0,
        };
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return true,
        }
    }
    false
}

fn no_method(object: &Object, name: &Str) -> Fault {
    Fault::error(format!("class {} has no method {}", object.class_name(), name.to_string_lossy()))
}

fn article(what: &str) -> String {
    match what {
        "none" => "none".to_owned(),
        "array" | "object" => format!("an {what}"),
        _ => format!("a {what}"),
    }
}
