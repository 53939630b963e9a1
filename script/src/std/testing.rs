//! What the tests of this folder share: calling natives by name, as a script does.

use std::any::Any;
use std::sync::LazyLock;

use crate::fault::Fault;
use crate::host::Host;
use crate::native::{Call, Library, NativeRun, Next, Step};
use crate::std::regex::PatternCache;
use crate::value::Value;

/// A host whose clock stands still and whose randomness counts.
pub(crate) struct StillHost {
    pub(crate) now: f64,
    pub(crate) zone: jiff::tz::TimeZone,
    pub(crate) logged: Vec<(u32, Vec<u8>)>,
    pub(crate) drawn: u8,
    pub(crate) patterns: PatternCache,
}

impl Default for StillHost {
    fn default() -> Self {
        StillHost {
            now: 1_700_000_000.25,
            zone: jiff::tz::TimeZone::UTC,
            logged: Vec::new(),
            drawn: 0,
            patterns: PatternCache::default(),
        }
    }
}

impl Host for StillHost {
    fn now(&self) -> f64 {
        self.now
    }
    fn monotonic(&self) -> f64 {
        5.0
    }
    fn uptime(&self) -> f64 {
        1000.5
    }
    fn execution_time(&self) -> f64 {
        0.125
    }
    fn random(&mut self, out: &mut [u8]) {
        for byte in out {
            self.drawn = self.drawn.wrapping_add(41);
            *byte = self.drawn;
        }
    }
    fn echo(&mut self, _text: &[u8]) {}
    fn syslog(&mut self, priority: u32, text: &[u8]) {
        self.logged.push((priority, text.to_vec()));
    }
    fn hostname(&self) -> String {
        "mx.example.net".into()
    }
    fn timezone(&self) -> &jiff::tz::TimeZone {
        &self.zone
    }
    fn patterns(&mut self) -> &mut PatternCache {
        &mut self.patterns
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

static LIBRARY: LazyLock<Library> = LazyLock::new(Library::standard);

/// Calls a native of the standard library.
pub(crate) fn call<const N: usize>(name: &str, args: [Value; N]) -> Result<Value, Fault> {
    call_with(&mut StillHost::default(), name, args)
}

/// The same, with a host that the test looks at.
pub(crate) fn call_with<const N: usize>(
    host: &mut dyn Host,
    name: &str,
    mut args: [Value; N],
) -> Result<Value, Fault> {
    let native = LIBRARY.function(name).unwrap_or_else(|| panic!("there is no function {name}"));
    native.check_arity(N)?;
    let mut call = Call::new(native, None, &mut args, host);
    match native.run {
        NativeRun::Inline(run) | NativeRun::Sized { run, .. } | NativeRun::Weighed { run, .. } => {
            run(&mut call)
        }
        NativeRun::Frame(run) | NativeRun::Offloading { run, .. } => match run(&mut call)? {
            Step::Return(value) => Ok(value),
            Step::Begin(mut frame) => loop {
                match frame.resume(Value::None, host)? {
                    Next::Return(value) => return Ok(value),
                    Next::Pause => {}
                    _ => panic!("{name} calls back"),
                }
            },
            Step::Offload { native, args, then: None } => {
                let NativeRun::Sized { run, .. } = native.run else {
                    panic!("{name} offloads what cannot be")
                };
                let mut args: Vec<Value> = args.iter().map(Value::from_frozen).collect();
                run(&mut Call::new(native, None, &mut args, host))
            }
            _ => panic!("{name} calls back"),
        },
        NativeRun::Host(_) => panic!("{name} is not a plain function"),
    }
}

/// The text form of a result; a fault fails the test.
pub(crate) fn text(result: Result<Value, Fault>) -> String {
    String::from_utf8(result.unwrap().to_text().unwrap().to_vec()).unwrap()
}
