//! Calls natives in tests as the machine would, with their callbacks, which can only be natives.

use std::sync::LazyLock;

use crate::fault::Fault;
use crate::native::{Call, Library, Native, NativeFrame, NativeRun, Next, Step};
use crate::std::testing::StillHost;
use crate::value::{Function, FunctionBuf, Object, Value};

/// Calls a function, method or constructor by name: `length`, `Map`, or `get` with an object.
pub(crate) fn call_with(
    host: &mut StillHost,
    this: Option<&Object>,
    name: &str,
    args: Vec<Value>,
) -> Result<Value, Fault> {
    static LIBRARY: LazyLock<Library> = LazyLock::new(Library::standard);
    let native = match this {
        Some(object) => object.native_class().and_then(|class| class.method(name.as_bytes())),
        None => LIBRARY.function(name).or_else(|| LIBRARY.class(name)?.constructor.as_ref()),
    };
    run(host, native.unwrap_or_else(|| panic!("there is no {name}")), this, args)
}

/// Calls a function by name.
pub(crate) fn call(name: &str, args: Vec<Value>) -> Result<Value, Fault> {
    call_with(&mut StillHost::default(), None, name, args)
}

/// Calls a native to its end.
pub(crate) fn run(
    host: &mut StillHost,
    native: &'static Native,
    this: Option<&Object>,
    mut args: Vec<Value>,
) -> Result<Value, Fault> {
    native.check_arity(args.len())?;
    let mut call = Call::new(native, this, &mut args, host);
    match native.run {
        NativeRun::Inline(run) | NativeRun::Sized { run, .. } | NativeRun::Weighed { run, .. } => {
            run(&mut call)
        }
        NativeRun::Host(_) => panic!("{} needs the embedder", native.name),
        NativeRun::Frame(run) | NativeRun::Offloading { run, .. } => match run(&mut call)? {
            Step::Return(value) => Ok(value),
            Step::Host { .. } | Step::Offload { then: Some(_), .. } => {
                panic!("{} needs the embedder", native.name)
            }
            Step::Offload { native, args, then: None } => {
                self::run(host, native, None, args.iter().map(Value::from_frozen).collect())
            }
            Step::Begin(then) => drive(host, native, Next::Pause, then),
            Step::Call { function, args, then } => drive(host, native, Next::Call { function, args }, then),
        },
    }
}

fn drive(
    host: &mut StillHost,
    native: &Native,
    mut next: Next,
    mut frame: Box<dyn NativeFrame>,
) -> Result<Value, Fault> {
    loop {
        frame.for_each_value(&mut |_| {});
        let result = match next {
            Next::Return(value) => return Ok(value),
            Next::Pause => Value::None,
            Next::Call { function, args } => call_value(host, &function, args)?,
            Next::Host(_) | Next::Offload { .. } => panic!("{} needs the embedder", native.name),
        };
        next = frame.resume(result, host)?;
    }
}

fn call_value(host: &mut StillHost, function: &Value, args: Vec<Value>) -> Result<Value, Fault> {
    match function.as_function().map(Function::kind) {
        Some(FunctionBuf::Native(native)) => run(host, native, None, args),
        _ => panic!("tests can only call natives back"),
    }
}

/// A function value.
pub(crate) fn function(native: &'static Native) -> Value {
    Function::new(FunctionBuf::Native(native)).into()
}
