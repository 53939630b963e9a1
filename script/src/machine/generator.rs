//! Generators: functions that wait between two values.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::compile::op::{NO_REG, Op};
use crate::fault::Fault;
use crate::native::{Call, HostObject, Native, NativeClass, NativeRun, Step};
use crate::value::{Object, Value};

use super::context::{Context, Flow, Outcome};
use super::frame::{Entry, Frame, Mode};
use super::loaded::Loaded;

/// What calling a function with `yield` returns.
pub(super) struct Generator {
    /// Where it is. Behind a count of its own, so that the context may know it without holding the object.
    pub(super) state: Rc<RefCell<State>>,
    /// How many values it has handed out.
    pub(super) count: Cell<u64>,
}

/// Where a generator is.
pub(super) enum State {
    /// It waits to be asked, with its registers.
    Waiting(Saved),
    /// Its function is on the call stack.
    Running,
    Done,
}

/// A function that does not run.
pub(super) struct Saved {
    pub(super) proto: u32,
    pub(super) pc: u32,
    pub(super) values: Vec<Value>,
    pub(super) numbers: Vec<f64>,
}

/// The machine runs `next` by itself.
static METHODS: [Native; 1] = [Native {
    name: "next",
    params: "",
    doc: "The next value that the generator yields, or false at its end.",
    min_args: 0,
    max_args: Some(0),
    run: NativeRun::Frame(never),
}];

static CLASS: NativeClass = NativeClass {
    name: "Generator",
    doc: "What a function with yield returns: foreach walks its values.",
    extends: None,
    constructor: None,
    methods: &METHODS,
    statics: &[],
};

fn never(call: &mut Call<'_>) -> Result<Step, Fault> {
    Err(call.error("needs a generator"))
}

impl HostObject for Generator {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn size_bytes(&self) -> usize {
        match &*self.state.borrow() {
            State::Waiting(saved) => {
                size_of::<Generator>() + saved.values.len() * 16 + saved.numbers.len() * 8
            }
            _ => size_of::<Generator>(),
        }
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        if let State::Waiting(saved) = &*self.state.borrow() {
            saved.values.iter().for_each(visit);
        }
    }

    fn take_values(&mut self, out: &mut Vec<Value>) {
        if let State::Waiting(saved) = &mut *self.state.borrow_mut() {
            out.append(&mut saved.values);
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        if let State::Waiting(saved) = &mut *self.state.borrow_mut() {
            crate::value::drop::release_all(&mut saved.values);
        }
    }
}

/// Whether the object is a generator.
pub(super) fn is(object: &Object) -> bool {
    object.downcast::<Generator>().is_some()
}

/// Whether this native is the `next` of generators.
pub(super) fn is_next(native: &'static Native) -> bool {
    std::ptr::eq(native, &METHODS[0])
}

impl Context {
    /// Turns the function at the top, just entered, into a generator.
    pub(super) fn make_generator(&mut self, loaded: &Loaded) -> Option<Value> {
        let Some(Entry::Script(frame)) = self.entries.pop() else { return None };
        let saved = self.save(loaded, &frame);
        self.heap.charge(160 + saved.values.len() * 16);
        let state = Rc::new(RefCell::new(State::Waiting(saved)));
        self.note_generator(&state);
        let object = Object::host(Generator { state, count: Cell::new(0) });
        Some(Value::Object(object))
    }

    /// Takes the registers of a function off the stack.
    pub(super) fn save(&mut self, loaded: &Loaded, frame: &Frame) -> Saved {
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

    pub(super) fn generator_next(&mut self, object: &Object, count: usize) -> Result<Outcome, Fault> {
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
    pub(super) fn resume_generator(&mut self, object: &Object, mode: Mode) -> Result<bool, Fault> {
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
    pub(super) fn yield_value(&mut self, loaded: &Rc<Loaded>, value: Value) -> Result<Flow, Fault> {
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
}
