//! Natives on another thread: frozen arguments in, a frozen result out.

use std::any::Any;

use super::{Call, HostObject, Native, NativeFrame, NativeRun, Next};
use crate::fault::{Fault, FaultKind};
use crate::host::Host;
use crate::std::regex::PatternCache;
use crate::value::{Frozen, Object, Value};

/// What an offloaded native may know of its surroundings: taken when the call was made.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Wall clock, seconds since 1970.
    pub now: f64,
    /// Seed of the random bytes that it may ask for.
    pub seed: [u8; 32],
    /// Seconds of a clock that never jumps.
    pub monotonic: fn() -> f64,
    /// The local time zone.
    pub timezone: jiff::tz::TimeZone,
}

/// What only frees its arguments, on another thread.
static FREE: Native = Native {
    name: "free",
    params: "any value",
    doc: "",
    min_args: 1,
    max_args: Some(1),
    run: NativeRun::Sized { above_bytes: 0, run: |_| Ok(Value::None) },
};

/// Runs a native that was too large for its shard. A thrown value comes back as an error with its text. A native of the kind
/// [`NativeRun::Weighed`] gives a list: its result, its object, and whether that is the result.
pub fn run_offloaded(
    native: &'static Native,
    this: Option<Frozen>,
    args: Vec<Frozen>,
    surroundings: Surroundings,
) -> Result<Frozen, OffloadError> {
    let (run, changes) = match native.run {
        NativeRun::Sized { run, .. } => (run, false),
        NativeRun::Weighed { run, .. } => (run, true),
        _ => return Err(OffloadError(format!("{}() cannot run on another thread", native.name))),
    };
    let mut args: Vec<Value> = args.iter().map(Value::from_frozen).collect();
    let this = this.as_ref().map(Value::from_frozen);
    let this: Option<&Object> = this.as_ref().and_then(Value::as_object);
    let mut host = Bare { surroundings, drawn: 0, patterns: PatternCache::default() };
    let mut call = Call::new(native, this, &mut args, &mut host);
    let frozen = run(&mut call).and_then(|value| match this.filter(|_| changes) {
        Some(this) => {
            let is_this = value.as_object().is_some_and(|object| object.same(this));
            let value = if is_this { Frozen::None } else { value.freeze()? };
            Frozen::list(vec![value, Value::Object(this.clone()).freeze()?, Frozen::Bool(is_this)])
        }
        None => value.freeze(),
    });
    frozen.map_err(OffloadError::from)
}

/// Waits for a method that another thread runs, and then for that thread to free what the object had before.
pub(crate) struct Adopting {
    object: Object,
    /// The result, once it is there.
    result: Option<Value>,
}

impl Adopting {
    pub(crate) fn new(object: Object) -> Adopting {
        Adopting { object, result: None }
    }
}

impl NativeFrame for Adopting {
    fn resume(&mut self, answer: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        if let Some(result) = self.result.take() {
            return Ok(Next::Return(result));
        }
        let item = |at| answer.as_array().and_then(|list| list.get_index(at)).unwrap_or_default();
        let (result, changed) = (item(0), item(1));
        let result = if item(2).truthy() { Value::Object(self.object.clone()) } else { result };
        let (Some(object), Some(changed_object)) = (self.object.as_host(), changed.as_object()) else {
            return Ok(Next::Return(result));
        };
        if !object.adopt(changed_object) {
            return Ok(Next::Return(result));
        }
        self.result = Some(result);
        Ok(Next::Offload { native: &FREE, args: vec![changed.freeze()?] })
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&Value::Object(self.object.clone()));
        self.result.iter().for_each(visit);
    }
}

/// Whether arguments hold more than this many bytes.
pub(crate) fn exceeds(args: &[Value], this: Option<&Object>, above_bytes: usize) -> bool {
    if above_bytes == 0 {
        return true;
    }
    let mut room = Room { left_bytes: above_bytes, pending: Vec::new() };
    if !room.fits_object(this) || !args.iter().all(|arg| room.fits(arg)) {
        return true;
    }
    while let Some(value) = room.pending.pop() {
        if !room.fits(&value) {
            return true;
        }
    }
    false
}

/// What is left of a size, and the items of arrays that were not looked at yet.
struct Room {
    left_bytes: usize,
    pending: Vec<Value>,
}

impl Room {
    fn fits(&mut self, value: &Value) -> bool {
        match value {
            Value::Str(text) => self.take(text.len()),
            Value::Array(array) => {
                let fits = self.take(array.len().saturating_mul(16));
                if fits {
                    self.pending.extend(array.values());
                }
                fits
            }
            Value::Object(object) => self.fits_object(Some(object)),
            _ => true,
        }
    }

    fn fits_object(&mut self, object: Option<&Object>) -> bool {
        self.take(object.and_then(Object::as_host).map_or(0, HostObject::size_bytes))
    }

    fn take(&mut self, bytes: usize) -> bool {
        let left = self.left_bytes.checked_sub(bytes);
        self.left_bytes = left.unwrap_or(0);
        left.is_some()
    }
}

/// Why an offloaded native failed; faults themselves cannot cross threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffloadError(pub String);

impl From<Fault> for OffloadError {
    fn from(fault: Fault) -> OffloadError {
        match fault.into_parts().0 {
            FaultKind::Error(message) => OffloadError(message),
            other => OffloadError(Fault::new(other).to_string()),
        }
    }
}

impl From<OffloadError> for Fault {
    fn from(error: OffloadError) -> Fault {
        Fault::error(error.0)
    }
}

struct Bare {
    surroundings: Surroundings,
    drawn: u64,
    patterns: PatternCache,
}

impl Host for Bare {
    fn now(&self) -> f64 {
        self.surroundings.now
    }
    fn monotonic(&self) -> f64 {
        (self.surroundings.monotonic)()
    }
    fn uptime(&self) -> f64 {
        0.0
    }
    fn execution_time(&self) -> f64 {
        0.0
    }
    /// Hashes a counter under the seed.
    fn random(&mut self, out: &mut [u8]) {
        use sha2::Digest;
        for chunk in out.chunks_mut(32) {
            let block = sha2::Sha256::new()
                .chain_update(self.surroundings.seed)
                .chain_update(self.drawn.to_le_bytes())
                .finalize();
            self.drawn += 1;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
    fn echo(&mut self, _text: &[u8]) {}
    fn syslog(&mut self, _priority: u32, _text: &[u8]) {}
    fn hostname(&self) -> String {
        String::new()
    }
    fn timezone(&self) -> &jiff::tz::TimeZone {
        &self.surroundings.timezone
    }
    fn patterns(&mut self) -> &mut PatternCache {
        &mut self.patterns
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
