//! Generators: functions that wait between two values.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::fault::Fault;
use crate::native::{Call, HostObject, Native, NativeClass, NativeRun, Step};
use crate::value::{Object, Value};

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
