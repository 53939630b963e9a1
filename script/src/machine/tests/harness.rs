//! A host for tests: it keeps what scripts print, and a simple cache and shared memory.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::compile::{CompileOptions, LoadError, Loader, SourceText, compile};
use crate::fault::{Fault, Terminator};
use crate::host::Host;
use crate::machine::{Context, Limits, Loaded, Run};
use crate::native::{Call, Library, Native, NativeFrame, Next, Step};
use crate::std::regex::PatternCache;
use crate::value::Value;

/// Keeps what scripts print.
pub(super) struct TestHost {
    pub(super) printed: Vec<String>,
    patterns: PatternCache,
    zone: jiff::tz::TimeZone,
    cache: HashMap<Vec<u8>, Value>,
    memory: HashMap<Vec<u8>, Value>,
}

impl Default for TestHost {
    fn default() -> TestHost {
        TestHost {
            printed: Vec::new(),
            patterns: PatternCache::default(),
            zone: jiff::tz::TimeZone::UTC,
            cache: HashMap::new(),
            memory: HashMap::new(),
        }
    }
}

impl Host for TestHost {
    fn now(&self) -> f64 {
        1_700_000_000.0
    }
    fn monotonic(&self) -> f64 {
        1.0
    }
    fn uptime(&self) -> f64 {
        1.0
    }
    fn execution_time(&self) -> f64 {
        0.0
    }
    fn random(&mut self, out: &mut [u8]) {
        out.fill(7);
    }
    fn echo(&mut self, text: &[u8]) {
        self.printed.push(String::from_utf8_lossy(text).into_owned());
    }
    fn syslog(&mut self, _priority: u32, _text: &[u8]) {}
    fn hostname(&self) -> String {
        "mx".to_owned()
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

fn test_host(host: &mut dyn Host) -> &mut TestHost {
    host.as_any().downcast_mut().expect("the tests run scripts on their own host")
}

/// Files that a test names.
pub(super) struct Files<'f>(pub(super) &'f [(String, String)]);

impl Loader for Files<'_> {
    fn load(&mut self, path: &str, _from: &str) -> Result<SourceText, LoadError> {
        match self.0.iter().find(|(name, _)| name == path) {
            Some((_, text)) => {
                Ok(SourceText { name: format!("file:{path}"), bytes: text.as_bytes().to_vec() })
            }
            None => Err(LoadError("there is no such file".to_owned())),
        }
    }
}

static NATIVES: &[Native] = &[
    Native::frame("__cache", "", (4, Some(4)), "", cached),
    Native::inline("__barrier_enter", "", (1, Some(1)), "", |call| {
        let name = call.str(0)?.to_vec();
        Ok(test_host(call.host()).memory.get(&name).cloned().unwrap_or(Value::Undefined))
    }),
    Native::inline("__barrier_leave", "", (1, Some(2)), "", |call| {
        let name = call.str(0)?.to_vec();
        if call.len() == 2 {
            let value = call.take(1);
            test_host(call.host()).memory.insert(name, value);
        }
        Ok(Value::None)
    }),
    Native::inline("memory_fetch", "", (1, Some(1)), "", |call| {
        let name = call.str(0)?.to_vec();
        Ok(test_host(call.host()).memory.get(&name).cloned().unwrap_or_default())
    }),
    // Decides, as functions of a hook do.
    Native::inline("Accept", "", (0, Some(1)), "", |call| {
        Err(Fault::finished(Terminator { name: "Accept", arguments: vec![call.take(0)] }))
    }),
    Native::frame("twice", "", (1, Some(1)), "", |call| {
        let function = call.function(0)?;
        let then = Box::new(Twice { function: function.clone(), first: None });
        Ok(Step::Call { function, args: vec![Value::from(1i64)], then })
    }),
];

/// `twice(f)` calls f(1) and f(2) and adds what they return.
struct Twice {
    function: Value,
    first: Option<f64>,
}

impl NativeFrame for Twice {
    fn resume(&mut self, result: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        let number = result.as_number().unwrap_or(0.0);
        match self.first {
            None => {
                self.first = Some(number);
                Ok(Next::Call { function: self.function.clone(), args: vec![Value::from(2i64)] })
            }
            Some(first) => Ok(Next::Return(Value::Number(first + number))),
        }
    }
    fn for_each_value(&self, _visit: &mut dyn FnMut(&Value)) {}
}

fn cached(call: &mut Call<'_>) -> Result<Step, Fault> {
    let options = call.options(0)?;
    let args = call.array(3)?.clone();
    let mut key = call.bytes(2)?.to_vec();
    let filter = options.array("argv_filter")?;
    for (at, value) in args.values().enumerate() {
        let wanted = filter
            .as_ref()
            .is_none_or(|filter| filter.values().any(|n| n.as_number() == Some(at as f64 + 1.0)));
        if wanted {
            value.write_literal(&mut key)?;
        }
    }
    if let Some(value) = test_host(call.host()).cache.get(&key) {
        return Ok(Step::Return(value.clone()));
    }
    Ok(Step::Call { function: call.function(1)?, args: args.values().collect(), then: Box::new(Fill(key)) })
}

struct Fill(Vec<u8>);

impl NativeFrame for Fill {
    fn resume(&mut self, result: Value, host: &mut dyn Host) -> Result<Next, Fault> {
        test_host(host).cache.insert(std::mem::take(&mut self.0), result.clone());
        Ok(Next::Return(result))
    }
    fn for_each_value(&self, _visit: &mut dyn FnMut(&Value)) {}
}

/// The library of the tests.
pub(super) static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| {
    let mut library = Library::standard();
    library.add(NATIVES);
    library.build()
});

/// Compiles a script; the messages if that fails.
pub(super) fn load(script: &str, files: &[(String, String)]) -> Result<std::rc::Rc<Loaded>, Vec<String>> {
    let main = SourceText { name: "main".to_owned(), bytes: script.as_bytes().to_vec() };
    match compile(main, &mut Files(files), &LIBRARY, &CompileOptions::default()) {
        Ok(compiled) => Ok(Loaded::new(&compiled.program)),
        Err(found) => Err(found.all.iter().map(|diagnostic| diagnostic.headline(&found.sources)).collect()),
    }
}

/// What a script prints and how it ends.
pub(super) fn run_with(
    script: &str,
    files: &[(String, String)],
    limits: Limits,
    budget: u32,
) -> (Vec<String>, Run) {
    let loaded = match load(script, files) {
        Ok(loaded) => loaded,
        Err(messages) => panic!("{script}\n does not compile: {messages:#?}"),
    };
    let mut host = TestHost::default();
    let mut context = Context::new(&loaded, limits);
    loop {
        match context.run(&mut host, budget) {
            Run::OutOfBudget => {}
            run => return (host.printed, run),
        }
    }
}

/// What a script prints, and `error: ...` if it fails.
pub(super) fn printed(script: &str, files: &[(String, String)], budget: u32) -> Vec<String> {
    let (mut lines, run) = run_with(script, files, Limits::default(), budget);
    match run {
        Run::Done(_) => {}
        Run::Failed(error) => lines.push(format!("error: {error}")),
        Run::Finished(decision) => {
            let text = decision.arguments[0].to_text().expect("a short text").to_string_lossy().into_owned();
            lines.push(format!("finished: {text}"));
        }
        other => lines.push(format!("{other:?}")),
    }
    lines
}
