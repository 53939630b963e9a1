//! What the statement `cache [options] function(arguments)` compiles to: `__cache(options, function, name, arguments)`.
//!
//! A miss is computed once: whoever finds nothing takes the entry's lock, and those who come meanwhile wait for the lock
//! and find the result. A script that cannot have the lock (it computes the same entry already, or a deadlock, or
//! waiting too long) computes without it.

use std::rc::Rc;
use std::sync::Arc;

use script::fault::Fault;
use script::host::{Host, HostCall};
use script::native::{Call, Native, NativeFrame, Next, Options, Step};
use script::value::{Array, Frozen, Function, FunctionBuf, Key, Value};

use super::lock::{is_held, lock, unlock};
use super::{Bounds, BucketName, Found, LockKey, Storing, at, owner, share};
use crate::arguments::Arguments;
use crate::library::{HostFunction, HostFuture};
use crate::{Execution, ScriptHost, limits, numbers};

const LOOK_UP: u16 = numbers::STORE + 9;
const STORE: u16 = numbers::STORE + 10;

pub(super) const NATIVE: Native = Native::frame(
    "__cache",
    "array options, function function, string name, array arguments",
    (4, Some(4)),
    "The cached result of a function for these arguments; calls it when there is none.",
    cache,
);

pub(super) const HOST: [HostFunction; 2] =
    [HostFunction { number: LOOK_UP, run: look_up }, HostFunction { number: STORE, run: store }];

/// Where an entry is: the same in the frame and in the host functions.
#[derive(Clone)]
struct Place {
    bucket: BucketName,
    key: Arc<[u8]>,
    /// In the execution's own caches.
    per_message: bool,
}

impl Place {
    fn lock(&self) -> LockKey {
        LockKey::cache(&self.bucket.joined(), &self.key)
    }

    fn to_values(&self) -> Vec<Value> {
        let texts = [&self.bucket.namespace, &self.bucket.function, &self.key];
        let mut values: Vec<Value> = texts.map(|text| Value::from(&text[..])).into();
        values.push(self.per_message.into());
        values
    }

    fn from_call(call: &HostCall) -> Result<Place, Fault> {
        let text = |index| call.str(index).map(|text| text.freeze());
        let bucket = BucketName { namespace: text(0)?, function: text(1)? };
        Ok(Place { bucket, key: text(2)?, per_message: call.arg(3).truthy() })
    }
}

// ---- the host functions

/// Arguments: place, force. Gives `[hit, result]`, or `[false, old result, whether there is one]`.
fn look_up(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let place = Place::from_call(&call)?;
        let force = call.arg(4).truthy();
        let mut found = find(&execution, &place, force).await?;
        let waits = !force && !place.per_message && !is_held(&execution, &place.lock());
        if waits && matches!(found, Found::Miss(_)) {
            let key = place.lock();
            if lock(&execution, &key, limits::LOCK_WAIT).await.is_ok() {
                // Somebody else may have computed it meanwhile.
                found = match find(&execution, &place, false).await {
                    Ok(found) => found,
                    Err(fault) => {
                        unlock(&execution, &key);
                        return Err(fault);
                    }
                };
                if matches!(found, Found::Hit(_)) {
                    unlock(&execution, &key);
                }
            }
        }
        let leads = waits && is_held(&execution, &place.lock());
        Ok(match found {
            Found::Hit(value) => vec![true.into(), Value::from_frozen(&value)].into(),
            Found::Miss(None) => vec![false.into(), Value::None, false.into(), leads.into()].into(),
            Found::Miss(Some(old)) => {
                vec![false.into(), Value::from_frozen(&old), true.into(), leads.into()].into()
            }
        })
    })
}

async fn find(execution: &Rc<Execution>, place: &Place, force: bool) -> Result<Found, Fault> {
    let (now_ms, theirs) = (now_ms(), place.clone());
    if place.per_message {
        return Ok(execution.message_caches.borrow_mut().look_up(&place.bucket, &place.key, force, now_ms));
    }
    let look_up = move |store: &super::Store| {
        store.caches.borrow_mut().look_up(&theirs.bucket, &theirs.key, force, now_ms)
    };
    at(owner(&place.bucket.joined()), look_up).await
}

/// Arguments: place, result, lifetime in seconds or none, size, lru. Gives whether it was stored.
fn store(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let place = Place::from_call(&call)?;
        let value: Frozen = call.arg(4).freeze()?;
        let now_ms = now_ms();
        let ttl_s = call.opt_number(5)?;
        let storing = Storing {
            expires_ms: ttl_s.map(|ttl_s| now_ms.saturating_add((ttl_s * 1000.0) as u64)),
            size: call.number(6)? as usize,
            lru: call.arg(7).truthy(),
        };
        let bounds =
            Bounds { bytes: share(limits::CACHE_BYTES_MAX), buckets: share(limits::CACHE_BUCKETS_MAX) };
        let (bucket, key) = (place.bucket.clone(), place.key.clone());
        if place.per_message {
            let mut caches = execution.message_caches.borrow_mut();
            return Ok(caches.store(&bucket, &key, value, storing, bounds, now_ms).into());
        }
        let store = move |store: &super::Store| {
            store.caches.borrow_mut().store(&bucket, &key, value, storing, bounds, now_ms)
        };
        at(owner(&place.bucket.joined()), store).await.map(Value::Bool)
    })
}

/// Wall clock: the clocks of all shards are the same.
fn now_ms() -> u64 {
    engine::time::wall_ms()
}

// ---- the frame

enum State {
    LookingUp,
    Computing,
    Updating,
    AskingLifetime,
    Storing,
}

struct Frame {
    place: Place,
    function: Value,
    arguments: Vec<Value>,
    options: CacheOptions,
    /// It holds the entry's lock.
    leads: bool,
    old: Option<Value>,
    result: Value,
    state: State,
}

struct CacheOptions {
    /// `None`: never expires.
    ttl_s: Option<f64>,
    ttl_override: Option<Array>,
    ttl_function: Option<Value>,
    update_function: Option<Value>,
    size: usize,
    lru: bool,
}

fn cache(call: &mut Call<'_>) -> Result<Step, Fault> {
    let given = call.opt_array(0)?.cloned().unwrap_or_default();
    let options = Options::new("cache", Some(given.clone()));
    let function = call.function(1)?;
    let arguments: Vec<Value> = call.array(3)?.values().collect();
    let size = options.number("size")?.unwrap_or(limits::CACHE_SIZE as f64);
    let frame = Frame {
        place: Place {
            bucket: BucketName {
                namespace: options.str("namespace")?.map(|text| text.freeze()).unwrap_or_default(),
                function: call.bytes(2)?.into(),
            },
            key: key_of(&arguments, options.array("argv_filter")?.as_ref())?.into(),
            per_message: options.boolean("per_message", false)?,
        },
        function,
        arguments,
        options: CacheOptions {
            ttl_s: match given.get_str("ttl") {
                Some(Value::None) => None,
                _ => Some(options.number("ttl")?.unwrap_or(limits::CACHE_TTL_S)),
            },
            ttl_override: options.array("ttl_override")?,
            ttl_function: options.function("ttl_function")?,
            update_function: options.function("update_function")?,
            size: (size.max(0.0) as usize).min(limits::CACHE_SIZE_MAX),
            lru: options.boolean("lru", true)?,
        },
        leads: false,
        old: None,
        result: Value::None,
        state: State::LookingUp,
    };
    let mut args = frame.place.to_values();
    args.push(options.boolean("force", false)?.into());
    let call = HostCall { function: LOOK_UP, name: "cache", this: None, args };
    Ok(Step::Host { call, then: Box::new(frame) })
}

impl Frame {
    fn found(&mut self, answer: &Value) -> Next {
        let answer = answer.as_array().cloned().unwrap_or_default();
        let item = |index| answer.get_index(index).unwrap_or_default();
        if item(0).truthy() {
            return Next::Return(item(1));
        }
        self.old = item(2).truthy().then(|| item(1));
        self.leads = item(3).truthy();
        self.state = State::Computing;
        Next::Call { function: self.function.clone(), args: std::mem::take(&mut self.arguments) }
    }

    fn computed(&mut self, result: Value) -> Result<Next, Fault> {
        match (self.options.update_function.clone(), self.old.take()) {
            (Some(function), Some(old)) => {
                self.state = State::Updating;
                Ok(Next::Call { function, args: vec![old, result] })
            }
            _ => self.updated(result),
        }
    }

    fn updated(&mut self, result: Value) -> Result<Next, Fault> {
        self.result = result;
        if let Some(function) = self.options.ttl_function.clone() {
            self.state = State::AskingLifetime;
            return Ok(Next::Call { function, args: vec![self.result.clone()] });
        }
        let overrides = self.options.ttl_override.as_ref();
        let ttl = match overrides.and_then(|overrides| overrides.get(&Key::from_value(self.result.clone()))) {
            Some(ttl) => ttl,
            None => self.options.ttl_s.into(),
        };
        self.store(&ttl)
    }

    fn store(&mut self, ttl: &Value) -> Result<Next, Fault> {
        let storable = match ttl {
            Value::None => true,
            Value::Number(ttl_s) => *ttl_s > 0.0,
            other => {
                let kind = other.type_name();
                return Err(Fault::error(format!("cache: a lifetime must be a number or none, not {kind}")));
            }
        };
        if !storable {
            return Ok(Next::Return(self.result.clone()));
        }
        self.state = State::Storing;
        let mut args = self.place.to_values();
        args.extend([self.result.clone(), ttl.clone(), self.options.size.into(), self.options.lru.into()]);
        Ok(Next::Host(HostCall { function: STORE, name: "cache", this: None, args }))
    }

    fn let_go(&mut self, host: &mut dyn Host) {
        if std::mem::take(&mut self.leads)
            && let Some(host) = ScriptHost::of(host)
        {
            unlock(&host.execution, &self.place.lock());
        }
    }
}

impl NativeFrame for Frame {
    fn resume(&mut self, result: Value, host: &mut dyn Host) -> Result<Next, Fault> {
        let next = match self.state {
            State::LookingUp => Ok(self.found(&result)),
            State::Computing => self.computed(result),
            State::Updating => self.updated(result),
            State::AskingLifetime => self.store(&result),
            State::Storing => Ok(Next::Return(self.result.clone())),
        };
        if !matches!(next, Ok(Next::Call { .. } | Next::Host(_))) {
            self.let_go(host);
        }
        next
    }

    fn unwind(&mut self, fault: Fault, host: &mut dyn Host) -> Result<Next, Fault> {
        self.let_go(host);
        Err(fault)
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.function);
        visit(&self.result);
        self.arguments.iter().for_each(&mut *visit);
        self.old.iter().for_each(&mut *visit);
        self.options.ttl_function.iter().for_each(&mut *visit);
        self.options.update_function.iter().for_each(visit);
    }
}

// ---- keys

/// The key of an entry: its arguments, or those that a filter names (counted from 1), each with its type and length so
/// that no two lists of arguments have the same key.
fn key_of(arguments: &[Value], filter: Option<&Array>) -> Result<Vec<u8>, Fault> {
    let mut key = Vec::new();
    match filter {
        None => arguments.iter().try_for_each(|argument| write_key(argument, 0, &mut key))?,
        Some(filter) => {
            for number in filter.values() {
                let number = number
                    .as_number()
                    .filter(|number| *number >= 1.0)
                    .ok_or_else(|| Fault::error("cache: argv_filter must be a list of numbers from 1 on"))?;
                let argument = arguments.get(number as usize - 1).unwrap_or(&Value::None);
                write_key(argument, 0, &mut key)?;
            }
        }
    }
    Ok(key)
}

fn write_key(value: &Value, depth: u32, key: &mut Vec<u8>) -> Result<(), Fault> {
    let text = |kind: u8, text: &[u8], key: &mut Vec<u8>| {
        key.push(kind);
        key.extend_from_slice(&(text.len() as u64).to_be_bytes());
        key.extend_from_slice(text);
    };
    match value {
        Value::None => key.push(b'-'),
        Value::Bool(flag) => key.push(if *flag { b't' } else { b'f' }),
        // Both zeros are the same number.
        Value::Number(number) => text(b'n', &(number + 0.0).to_bits().to_be_bytes(), key),
        Value::Str(bytes) => text(b's', bytes.as_bytes(), key),
        Value::Array(array) if depth < MAX_KEY_DEPTH => {
            text(b'a', &(array.len() as u64).to_be_bytes(), key);
            for (name, item) in array.iter() {
                write_key(&name.into_value(), depth + 1, key)?;
                write_key(&item, depth + 1, key)?;
            }
        }
        Value::Function(function) => match native_name(function) {
            Some(name) => text(b'b', name.as_bytes(), key),
            None => return Err(refused("a function of the script")),
        },
        Value::Array(_) => return Err(refused("an array that is nested too deep")),
        Value::Object(object) => return Err(refused(&format!("an object of class {}", object.class_name()))),
        other => return Err(refused(&format!("a {}", other.type_name()))),
    }
    if key.len() > limits::CACHE_KEY_BYTES_MAX {
        return Err(Fault::error(format!(
            "cache: the arguments are longer than {} bytes; argv_filter names those that count",
            limits::CACHE_KEY_BYTES_MAX
        )));
    }
    Ok(())
}

/// Arrays among the arguments may be nested this deep.
const MAX_KEY_DEPTH: u32 = 32;

fn refused(what: &str) -> Fault {
    Fault::error(format!(
        "cache: {what} cannot be part of the key; argv_filter names the arguments that count"
    ))
}

fn native_name(function: &Function) -> Option<&'static str> {
    match function.kind() {
        FunctionBuf::Native(native) => Some(native.name),
        FunctionBuf::NativeClass(class) => Some(class.name),
        _ => None,
    }
}
