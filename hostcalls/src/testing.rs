//! Calls natives without a machine, for the tests of this crate.

use std::any::Any;

use script::fault::Fault;
use script::host::{Host, HostCall};
use script::native::{Call, Native, NativeRun, Next, Step, Surroundings, run_offloaded};
use script::std::regex::PatternCache;
use script::value::{FunctionBuf, Object, Value};

/// What stands for the world in tests.
pub(crate) struct World<'a> {
    /// The clock, seconds since 1970.
    pub(crate) now: f64,
    /// Answers the host calls of frames.
    pub(crate) answer: &'a mut dyn FnMut(HostCall) -> Result<Value, Fault>,
    /// Answers calls of functions that are not native: any other function value.
    pub(crate) script: &'a mut dyn FnMut(Vec<Value>) -> Result<Value, Fault>,
}

/// Calls a native as the machine would; what it offloads goes through frozen values.
pub(crate) fn call(
    world: &mut World<'_>,
    native: &'static Native,
    this: Option<&Object>,
    args: &[Value],
) -> Result<Value, Fault> {
    native.check_arity(args.len())?;
    let now = world.now;
    let mut args = args.to_vec();
    let mut host = TestHost::new(now);
    match native.run {
        NativeRun::Inline(run) => run(&mut Call::new(native, this, &mut args, &mut host)),
        NativeRun::Sized { .. } => {
            let this =
                this.map(|object| object.freeze().expect("an object of an offloaded method can be frozen"));
            let args = args.iter().map(Value::freeze).collect::<Result<_, Fault>>()?;
            let result = run_offloaded(native, this, args, surroundings(now))?;
            Ok(Value::from_frozen(&result))
        }
        // What it changes stays with its object.
        NativeRun::Weighed { run, .. } => run(&mut Call::new(native, this, &mut args, &mut host)),
        NativeRun::Frame(run) | NativeRun::Offloading { run, .. } => {
            let step = run(&mut Call::new(native, this, &mut args, &mut host))?;
            drive(world, step, &mut host)
        }
        NativeRun::Host(function) => {
            let call = HostCall { function, name: native.name, this: this.cloned(), args };
            (world.answer)(call)
        }
    }
}

fn surroundings(now: f64) -> Surroundings {
    Surroundings { now, seed: [0; 32], monotonic: || 0.0, timezone: jiff::tz::TimeZone::UTC }
}

fn drive(world: &mut World<'_>, step: Step, host: &mut TestHost) -> Result<Value, Fault> {
    let (mut next, mut frame) = match step {
        Step::Return(value) => return Ok(value),
        Step::Offload { native, args, then } => {
            let args: Vec<Value> = args.iter().map(Value::from_frozen).collect();
            let result = call(world, native, None, &args)?;
            let Some(mut then) = then else { return Ok(result) };
            (then.resume(result, host)?, then)
        }
        Step::Begin(then) => (Next::Pause, then),
        Step::Call { function, args, then } => (Next::Call { function, args }, then),
        Step::Host { call, then } => (Next::Host(call), then),
    };
    loop {
        let result = match next {
            Next::Return(value) => return Ok(value),
            Next::Pause => Ok(Value::None),
            Next::Call { function, args } => match function.as_function().map(|function| function.kind()) {
                Some(FunctionBuf::Native(native)) => call(world, native, None, &args),
                _ => (world.script)(args),
            },
            Next::Host(call) => (world.answer)(call),
            Next::Offload { native, args } => {
                let args: Vec<Value> = args.iter().map(Value::from_frozen).collect();
                call(world, native, None, &args)
            }
        };
        next = match result {
            Ok(value) => frame.resume(value, host)?,
            Err(fault) => frame.unwind(fault, host)?,
        };
    }
}

/// Calls a native that needs no world.
pub(crate) fn plain(native: &'static Native, args: &[Value]) -> Result<Value, Fault> {
    on(None, native, args)
}

/// Calls a method that needs no world.
pub(crate) fn method(object: &Value, name: &str, args: &[Value]) -> Result<Value, Fault> {
    let object = object.as_object().expect("an object");
    let class = object.native_class().expect("a native class");
    let native = class.method(name.as_bytes()).unwrap_or_else(|| panic!("no method {name}"));
    on(Some(object), native, args)
}

fn on(this: Option<&Object>, native: &'static Native, args: &[Value]) -> Result<Value, Fault> {
    let mut world = World {
        now: 1_800_000_000.0,
        answer: &mut |call| panic!("asks the host for {}", call.name),
        script: &mut |_| panic!("calls a function of the script"),
    };
    call(&mut world, native, this, args)
}

pub(crate) struct TestHost {
    now: f64,
    patterns: PatternCache,
    timezone: jiff::tz::TimeZone,
}

impl TestHost {
    pub(crate) fn new(now: f64) -> TestHost {
        TestHost { now, patterns: PatternCache::default(), timezone: jiff::tz::TimeZone::UTC }
    }
}

impl Host for TestHost {
    fn now(&self) -> f64 {
        self.now
    }
    fn monotonic(&self) -> f64 {
        0.0
    }
    fn uptime(&self) -> f64 {
        0.0
    }
    fn execution_time(&self) -> f64 {
        0.0
    }
    fn random(&mut self, out: &mut [u8]) {
        out.fill(7);
    }
    fn echo(&mut self, _text: &[u8]) {}
    fn syslog(&mut self, _priority: u32, _text: &[u8]) {}
    fn hostname(&self) -> String {
        "test.example".to_owned()
    }
    fn timezone(&self) -> &jiff::tz::TimeZone {
        &self.timezone
    }
    fn patterns(&mut self) -> &mut PatternCache {
        &mut self.patterns
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
