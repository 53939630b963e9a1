//! Functions and classes that are written in Rust.

mod call;
mod library;
mod offload;
mod slices;

use std::any::Any;
use std::fmt;

pub use call::{Call, Options};
pub use library::{Absent, DataLoader, Library};
pub(crate) use offload::{Adopting, exceeds};
pub use offload::{OffloadError, Surroundings, run_offloaded};

pub use slices::{Slices, in_slices};

use crate::fault::Fault;
use crate::host::{Host, HostCall};
use crate::value::{Freezer, Frozen, Object, Value};

/// A function that is written in Rust.
pub struct Native {
    /// The name in scripts.
    pub name: &'static str,
    /// The parameters, as the reference prints them: `array keys, array values [, any default]`.
    pub params: &'static str,
    /// What it does, in a sentence or a few.
    pub doc: &'static str,
    /// The least number of arguments.
    pub min_args: u8,
    /// The greatest number of arguments; none for any number.
    pub max_args: Option<u8>,
    /// The code.
    pub run: NativeRun,
}

/// How a native runs.
#[derive(Clone, Copy)]
pub enum NativeRun {
    /// At once: takes at most about 200 µs, by bounds on its input.
    Inline(fn(&mut Call<'_>) -> Result<Value, Fault>),
    /// At once if its arguments have at most `above_bytes` bytes together, else on another thread, with frozen arguments
    /// and a frozen result.
    Sized {
        /// The greatest size to run at once; 0 always goes to the other thread.
        above_bytes: usize,
        /// The code.
        run: fn(&mut Call<'_>) -> Result<Value, Fault>,
    },
    /// At once if `weigh` gives at most `above`, else on another thread, with a frozen object, which takes over what the
    /// call has changed there ([`HostObject::adopt`]).
    Weighed {
        /// The greatest weight to run at once.
        above: usize,
        /// What is weighed, for the reference: `the header`.
        of: &'static str,
        /// What the call has to look at, in bytes or what takes as long; quick to know.
        weigh: fn(&Call<'_>) -> usize,
        /// The code.
        run: fn(&mut Call<'_>) -> Result<Value, Fault>,
    },
    /// May call functions of the script, or the host, and go on with their results.
    Frame(fn(&mut Call<'_>) -> Result<Step, Fault>),
    /// As `Frame`, and what computes for long runs on another thread.
    Offloading {
        /// The greatest size to compute at once; 0 always goes to the other thread.
        above_bytes: usize,
        /// What the size is of, for the reference: `the subject`.
        of: &'static str,
        /// The code.
        run: fn(&mut Call<'_>) -> Result<Step, Fault>,
    },
    /// The embedder answers it, by this number in its table; the script waits meanwhile.
    Host(u16),
}

/// What a native with a frame does first.
pub enum Step {
    /// It is done.
    Return(Value),
    /// It takes long, and works in slices, each with a `resume` of its frame, which gets none.
    Begin(Box<dyn NativeFrame>),
    /// Call a function of the script; `then` gets the result.
    Call {
        /// The function.
        function: Value,
        /// Its arguments.
        args: Vec<Value>,
        /// What goes on.
        then: Box<dyn NativeFrame>,
    },
    /// Ask the embedder; `then` gets the result.
    Host {
        /// What to ask.
        call: HostCall,
        /// What goes on.
        then: Box<dyn NativeFrame>,
    },
    /// Run a native of the kind [`NativeRun::Sized`] on another thread.
    Offload {
        /// What to run.
        native: &'static Native,
        /// Its arguments.
        args: Vec<Frozen>,
        /// What gets the result; without it, that is the result of the call.
        then: Option<Box<dyn NativeFrame>>,
    },
}

impl Step {
    /// Runs another native in place of this one on another thread, with the same arguments.
    ///
    /// # Errors
    /// An argument cannot go to another thread.
    pub fn offload(native: &'static Native, call: &Call<'_>) -> Result<Step, Fault> {
        let args = call.args().iter().map(Value::freeze).collect::<Result<_, _>>()?;
        Ok(Step::Offload { native, args, then: None })
    }
}

/// What a native with a frame does next.
pub enum Next {
    /// It is done.
    Return(Value),
    /// Let others run, and resume with none.
    Pause,
    /// Call a function of the script and resume with the result.
    Call {
        /// The function.
        function: Value,
        /// Its arguments.
        args: Vec<Value>,
    },
    /// Ask the embedder and resume with the result.
    Host(HostCall),
    /// Run a native of the kind [`NativeRun::Sized`] on another thread and resume with the result.
    Offload {
        /// What to run.
        native: &'static Native,
        /// Its arguments.
        args: Vec<Frozen>,
    },
}

impl Next {
    /// What a native does first, if this is what its frame does next.
    pub fn first(self, frame: impl NativeFrame + 'static) -> Step {
        match self {
            Next::Return(value) => Step::Return(value),
            Next::Pause => Step::Begin(Box::new(frame)),
            Next::Call { function, args } => Step::Call { function, args, then: Box::new(frame) },
            Next::Host(call) => Step::Host { call, then: Box::new(frame) },
            Next::Offload { native, args } => Step::Offload { native, args, then: Some(Box::new(frame)) },
        }
    }
}

/// A native that waits for the result of what it called.
pub trait NativeFrame {
    /// Goes on with the result.
    fn resume(&mut self, result: Value, host: &mut dyn Host) -> Result<Next, Fault>;

    /// What it called failed, or the script ends. Returns the fault, unless it has something to release first.
    fn unwind(&mut self, fault: Fault, host: &mut dyn Host) -> Result<Next, Fault> {
        let _ = host;
        Err(fault)
    }

    /// Calls `visit` with each value that the frame keeps alive.
    fn for_each_value(&self, visit: &mut dyn FnMut(&Value));

    /// Bytes of memory of the frame itself, without those values.
    fn size_bytes(&self) -> usize {
        64
    }
}

/// A class that is written in Rust.
pub struct NativeClass {
    /// The name in scripts.
    pub name: &'static str,
    /// What it is, in a sentence or a few.
    pub doc: &'static str,
    /// The class whose methods it has too.
    pub extends: Option<&'static NativeClass>,
    /// What `Name(...)` runs; a class without one cannot be constructed by scripts.
    pub constructor: Option<Native>,
    /// What `$object->name(...)` runs.
    pub methods: &'static [Native],
    /// What `Name::name(...)` runs.
    pub statics: &'static [Native],
}

/// An object that is written in Rust. It changes through interior mutability.
pub trait HostObject: Any {
    /// Its class.
    fn class(&self) -> &'static NativeClass;

    /// A form that other threads may hold.
    fn freeze(&self) -> Option<Frozen> {
        None
    }

    /// The same for classes that hold values: each goes through the freezer, which bounds depth and size.
    fn freeze_within(&self, freezer: &mut Freezer) -> Result<Option<Frozen>, Fault> {
        let _ = freezer;
        Ok(self.freeze())
    }

    /// Takes over what a method has changed in a copy on another thread ([`NativeRun::Weighed`]), and leaves in it what it had
    /// itself. True: freeing that takes long.
    fn adopt(&self, changed: &Object) -> bool {
        let _ = changed;
        false
    }

    /// Bytes of memory, without the values that `for_each_value` visits. Quick to know.
    fn size_bytes(&self) -> usize;

    /// Calls `visit` with each value that the object keeps alive.
    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        let _ = visit;
    }

    /// Moves the values that it holds into `out`: the object is being freed. Only classes that hold values need this.
    fn take_values(&mut self, out: &mut Vec<Value>) {
        let _ = out;
    }

    /// What `foreach` walks.
    fn iterate(&self) -> Option<Box<dyn HostIterator>> {
        None
    }

    /// A property, for classes that have some; `None` for one that does not exist.
    fn property(&self, name: &[u8]) -> Option<Value> {
        let _ = name;
        None
    }

    /// One line for the log, when a script throws the object and nobody catches it.
    fn describe(&self) -> Option<String> {
        None
    }
}

/// The items of an object, one by one.
pub trait HostIterator {
    /// The next key and value.
    fn next(&mut self) -> Option<(Value, Value)>;

    /// Calls `visit` with each value that the iterator keeps alive.
    fn for_each_value(&self, visit: &mut dyn FnMut(&Value));
}

impl Native {
    /// A native that runs at once. `params` and `doc` are for the reference.
    pub const fn inline(
        name: &'static str,
        params: &'static str,
        args: (u8, Option<u8>),
        doc: &'static str,
        run: fn(&mut Call<'_>) -> Result<Value, Fault>,
    ) -> Native {
        Native { name, params, doc, min_args: args.0, max_args: args.1, run: NativeRun::Inline(run) }
    }

    /// A native that goes to another thread when its arguments have more than `above_bytes` bytes.
    pub const fn sized(
        name: &'static str,
        params: &'static str,
        args: (u8, Option<u8>),
        doc: &'static str,
        above_bytes: usize,
        run: fn(&mut Call<'_>) -> Result<Value, Fault>,
    ) -> Native {
        Native {
            name,
            params,
            doc,
            min_args: args.0,
            max_args: args.1,
            run: NativeRun::Sized { above_bytes, run },
        }
    }

    /// A method that goes to another thread, and changes its object there, when it weighs more than `above` bytes `of`
    /// something.
    pub const fn weighed(
        name: &'static str,
        params: &'static str,
        args: (u8, Option<u8>),
        doc: &'static str,
        (above, of): (usize, &'static str),
        weigh: fn(&Call<'_>) -> usize,
        run: fn(&mut Call<'_>) -> Result<Value, Fault>,
    ) -> Native {
        let run = NativeRun::Weighed { above, of, weigh, run };
        Native { name, params, doc, min_args: args.0, max_args: args.1, run }
    }

    /// A native that calls back.
    pub const fn frame(
        name: &'static str,
        params: &'static str,
        args: (u8, Option<u8>),
        doc: &'static str,
        run: fn(&mut Call<'_>) -> Result<Step, Fault>,
    ) -> Native {
        Native { name, params, doc, min_args: args.0, max_args: args.1, run: NativeRun::Frame(run) }
    }

    /// A native that calls back, and offloads what it computes on more than `above_bytes` bytes `of` something.
    pub const fn offloading(
        name: &'static str,
        params: &'static str,
        args: (u8, Option<u8>),
        doc: &'static str,
        (above_bytes, of): (usize, &'static str),
        run: fn(&mut Call<'_>) -> Result<Step, Fault>,
    ) -> Native {
        let run = NativeRun::Offloading { above_bytes, of, run };
        Native { name, params, doc, min_args: args.0, max_args: args.1, run }
    }

    /// Checks the number of arguments.
    pub fn check_arity(&self, given: usize) -> Result<(), Fault> {
        if given >= usize::from(self.min_args) && self.max_args.is_none_or(|max| given <= usize::from(max)) {
            return Ok(());
        }
        Err(Fault::error(self.arity_message(given)))
    }

    /// What is wrong with this number of arguments.
    pub fn arity_message(&self, given: usize) -> String {
        let expected = match (self.min_args, self.max_args) {
            (min, Some(max)) if min == max => format!("{min}"),
            (min, Some(max)) => format!("{min} to {max}"),
            (min, None) => format!("at least {min}"),
        };
        format!("{}() takes {expected} argument(s), not {given}", self.name)
    }
}

impl NativeClass {
    /// The method of this name, its own or inherited.
    pub fn method(&self, name: &[u8]) -> Option<&'static Native> {
        let own = self.methods.iter().find(|native| native.name.as_bytes() == name);
        own.or_else(|| self.extends?.method(name))
    }

    /// Whether it is `class`, or extends it.
    pub fn is(&self, class: &NativeClass) -> bool {
        std::ptr::eq(self, class) || self.extends.is_some_and(|parent| parent.is(class))
    }

    /// The static function of this name.
    pub fn static_function(&self, name: &[u8]) -> Option<&'static Native> {
        self.statics.iter().find(|native| native.name.as_bytes() == name)
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.params)
    }
}

impl fmt::Debug for NativeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "class {}", self.name)
    }
}
