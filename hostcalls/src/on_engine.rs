//! Calls natives on a running engine and scripts, for the tests of this crate.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use engine::boot::{self, DriverChoice, Options, ShardId};
use script::compile::{CompileOptions, NoLoader, SourceText, compile};
use script::fault::Fault;
use script::machine::{Context, Limits, Loaded};
use script::native::{Call, Native, NativeRun, Next, Step};
use script::value::{Function, FunctionBuf, Object, Value};

use crate::{Environment, Execution, Log, Outcome, Settings, library};

/// Keeps what scripts say.
#[derive(Default)]
pub(crate) struct TestLog {
    pub(crate) lines: RefCell<Vec<String>>,
}

impl Log for TestLog {
    fn echo(&self, text: &[u8]) {
        self.lines.borrow_mut().push(String::from_utf8_lossy(text).into_owned());
    }
    fn syslog(&self, priority: u32, text: &[u8]) {
        self.lines.borrow_mut().push(format!("<{priority}> {}", String::from_utf8_lossy(text)));
    }
}

/// Runs `f` on each of some unpinned shards, with an environment. All answer each other until the last one is done.
pub(crate) fn on_shards<F, Fut>(shards: u16, settings: Settings, f: F)
where
    F: Fn(Rc<Environment>, ShardId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let settings = Arc::new(settings);
    let f = Arc::new(f);
    let running = Arc::new(AtomicU16::new(shards));
    let options = Options { shards, pin: false, driver: driver(), signals: Vec::new() };
    let root = move |id: ShardId| {
        let (settings, f, running) = (settings.clone(), f.clone(), running.clone());
        async move {
            if !boot::is_control() {
                let environment = Environment::start(settings, Rc::new(TestLog::default()));
                f(environment, id).await;
                running.fetch_sub(1, Ordering::SeqCst);
                while running.load(Ordering::SeqCst) > 0 {
                    engine::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    };
    boot::run(options, root).expect("the engine runs here");
}

/// The same on one shard.
pub(crate) fn on_a_shard<F, Fut>(settings: Settings, f: F)
where
    F: Fn(Rc<Environment>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    on_shards(1, settings, move |environment, _| f(environment));
}

/// What the tests run on: `TEST_DRIVER=epoll` chooses epoll where io_uring can be had.
fn driver() -> DriverChoice {
    match std::env::var("TEST_DRIVER").as_deref() {
        Ok("epoll") => DriverChoice::Epoll,
        Ok("uring") => DriverChoice::Uring,
        _ => DriverChoice::Auto,
    }
}

/// Compiles a script.
pub(crate) fn load(source: &str) -> Rc<Loaded> {
    let text = SourceText { name: "test".into(), bytes: source.as_bytes().to_vec() };
    match compile(text, &mut NoLoader, &library(), &CompileOptions::default()) {
        Ok(compiled) => Loaded::new(&compiled.program),
        Err(why) => panic!("{source}: {:?}", why.all),
    }
}

/// Runs a script.
pub(crate) async fn outcome(environment: &Rc<Environment>, source: &str) -> Outcome {
    let mut context = Context::new(&load(source), Limits::default());
    crate::run(&mut context, &Execution::begin(environment)).await
}

/// What a script returns, as text; or its error.
pub(crate) async fn result(environment: &Rc<Environment>, source: &str) -> String {
    match outcome(environment, source).await {
        Outcome::Done(value) => text(&value),
        Outcome::Finished(_) => panic!("{source}: finished"),
        Outcome::Failed(error) => format!("error: {}", error.message),
    }
}

type Called<'a> = Pin<Box<dyn Future<Output = Result<Value, Fault>> + 'a>>;

/// Calls a function by its name.
pub(crate) fn call<'a>(execution: &'a Rc<Execution>, name: &str, args: &[Value]) -> Called<'a> {
    let native = library().function(name).unwrap_or_else(|| panic!("no function {name}"));
    invoke(execution, native, None, args.to_vec())
}

/// Constructs an object.
pub(crate) fn construct<'a>(execution: &'a Rc<Execution>, class: &str, args: &[Value]) -> Called<'a> {
    let class = library().class(class).unwrap_or_else(|| panic!("no class {class}"));
    invoke(execution, class.constructor.as_ref().expect("it has one"), None, args.to_vec())
}

/// Calls a static function of a class.
pub(crate) fn static_call<'a>(
    execution: &'a Rc<Execution>,
    class: &str,
    name: &str,
    args: &[Value],
) -> Called<'a> {
    let class = library().class(class).unwrap_or_else(|| panic!("no class {class}"));
    let native = class.static_function(name.as_bytes()).unwrap_or_else(|| panic!("no function {name}"));
    invoke(execution, native, None, args.to_vec())
}

/// Calls a method.
pub(crate) fn method<'a>(
    execution: &'a Rc<Execution>,
    object: &Value,
    name: &str,
    args: &[Value],
) -> Called<'a> {
    let object = object.as_object().expect("an object").clone();
    let class = object.native_class().expect("a native class");
    let native = class.method(name.as_bytes()).unwrap_or_else(|| panic!("no method {name}"));
    invoke(execution, native, Some(object), args.to_vec())
}

/// Calls a native as the machine would.
pub(crate) fn invoke<'a>(
    execution: &'a Rc<Execution>,
    native: &'static Native,
    this: Option<Object>,
    mut args: Vec<Value>,
) -> Called<'a> {
    Box::pin(async move {
        native.check_arity(args.len())?;
        let step = {
            let mut host = execution.host();
            let mut call = Call::new(native, this.as_ref(), &mut args, &mut host);
            match native.run {
                NativeRun::Inline(run) | NativeRun::Sized { run, .. } | NativeRun::Weighed { run, .. } => {
                    return run(&mut call);
                }
                NativeRun::Frame(run) | NativeRun::Offloading { run, .. } => run(&mut call)?,
                NativeRun::Host(function) => {
                    let call = script::host::HostCall { function, name: native.name, this, args };
                    return crate::call(execution, call).await;
                }
            }
        };
        let (mut next, mut frame) = match step {
            Step::Return(value) => return Ok(value),
            Step::Offload { native, args, then } => {
                let args = args.iter().map(Value::from_frozen).collect();
                let result = invoke(execution, native, None, args).await;
                let Some(mut then) = then else { return result };
                match then.resume(result?, &mut execution.host())? {
                    Next::Return(value) => return Ok(value),
                    next => (next, then),
                }
            }
            Step::Begin(then) => (Next::Pause, then),
            Step::Call { function, args, then } => (Next::Call { function, args }, then),
            Step::Host { call, then } => (Next::Host(call), then),
        };
        loop {
            let result = match next {
                Next::Return(value) => return Ok(value),
                Next::Pause => Ok(Value::None),
                Next::Call { function, args } => match function.as_function().map(Function::kind) {
                    Some(FunctionBuf::Native(native)) => invoke(execution, native, None, args).await,
                    _ => panic!("tests call natives only"),
                },
                Next::Host(call) => crate::call(execution, call).await,
                Next::Offload { native, args } => {
                    let args = args.iter().map(Value::from_frozen).collect();
                    invoke(execution, native, None, args).await
                }
            };
            let mut host = execution.host();
            next = match result {
                Ok(value) => frame.resume(value, &mut host)?,
                Err(fault) => frame.unwind(fault, &mut host)?,
            };
        }
    })
}

/// A function value.
pub(crate) fn function(native: &'static Native) -> Value {
    Function::new(FunctionBuf::Native(native)).into()
}

/// The text form of a value.
pub(crate) fn text(value: &Value) -> String {
    value.to_text().expect("it has a text").to_string_lossy().into_owned()
}

/// An array from names and values.
pub(crate) fn array(entries: &[(&str, Value)]) -> Value {
    let mut array = script::value::Array::new();
    entries.iter().for_each(|(name, value)| array.set_str(name, value.clone()));
    array.into()
}

/// A list.
pub(crate) fn list<const N: usize>(items: [Value; N]) -> Value {
    Vec::from(items).into()
}
