//! `memory_*`. Those with a callback hold the lock of the key from their look at it to the end of the callback.

use std::rc::Rc;

use script::fault::Fault;
use script::host::{Host, HostCall};
use script::native::{Call, Native, NativeFrame, NativeRun, Next, Step};
use script::value::{Frozen, Value};

use super::lock::{lock, unlock};
use super::{LockKey, Memory, Store, at, name_of, owner, share};
use crate::arguments::Arguments;
use crate::library::{HostFunction, HostFuture};
use crate::{Execution, ExecutionId, ScriptHost, limits, numbers};

const ADD: u16 = numbers::STORE;
const INC: u16 = numbers::STORE + 1;
const DEC: u16 = numbers::STORE + 2;
const FETCH: u16 = numbers::STORE + 3;
const STORE: u16 = numbers::STORE + 4;
const DELETE: u16 = numbers::STORE + 5;
/// Locks, then fetches.
const BEGIN: u16 = numbers::STORE + 6;

pub(super) const NATIVES: [Native; 8] = [
    Native {
        name: "memory_add",
        params: "string key, any value",
        doc: "Stores a value if the key does not exist yet. True when it was stored.",
        min_args: 2,
        max_args: Some(2),
        run: NativeRun::Host(ADD),
    },
    Native::frame(
        "memory_store",
        "string key, any value [, function callback]",
        (2, Some(3)),
        "Creates or replaces a key; callback(key, old value) is called if it existed. True if it existed.",
        memory_store,
    ),
    Native::frame(
        "memory_fetch",
        "string key [, function callback]",
        (1, Some(2)),
        "The value of a key. When it does not exist: the result of callback(key), which is not stored; or none.",
        memory_fetch,
    ),
    Native::frame(
        "memory_exists",
        "string key [, function callback]",
        (1, Some(2)),
        "Whether the key exists; if so, callback(key, value) is called.",
        memory_exists,
    ),
    Native::frame(
        "memory_delete",
        "string key [, function callback]",
        (1, Some(2)),
        "Removes a key; callback(key, value) is called if it existed. True if it existed.",
        memory_delete,
    ),
    Native {
        name: "memory_inc",
        params: "string key [, number offset = 1]",
        doc: "Adds to a number, which is 0 at first. The sum, or none when the value is no number.",
        min_args: 1,
        max_args: Some(2),
        run: NativeRun::Host(INC),
    },
    Native {
        name: "memory_dec",
        params: "string key [, number offset = 1 [, boolean remove_if_zero = false]]",
        doc: "Subtracts from a number, which is 0 at first. The difference, or none when the value is no number.",
        min_args: 1,
        max_args: Some(3),
        run: NativeRun::Host(DEC),
    },
    Native::frame(
        "memory_update",
        "string key, any value, function callback [, any initial]",
        (3, Some(4)),
        "Stores callback(key, current value, value) if the key exists, or if there is an initial value to take as \
         current. True if the key existed.",
        memory_update,
    ),
];

pub(super) const HOST: [HostFunction; 7] = [
    HostFunction { number: ADD, run: add },
    HostFunction { number: INC, run: inc },
    HostFunction { number: DEC, run: dec },
    HostFunction { number: FETCH, run: fetch },
    HostFunction { number: STORE, run: store },
    HostFunction { number: DELETE, run: delete },
    HostFunction { number: BEGIN, run: begin },
];

// ---- what runs on the owner

/// Runs `f` on the memory of a key's owner; waits while another script has the key locked.
pub(super) async fn with_memory<T, F>(
    execution: &Rc<Execution>,
    function: &str,
    key: &[u8],
    f: F,
) -> Result<T, Fault>
where
    T: Send + 'static,
    F: Fn(&mut Memory, &[u8]) -> T + Clone + Send + 'static,
{
    let (name, me, run) = (key.to_vec(), execution.id, f.clone());
    if let Some(result) = at(owner(key), move |store| unless_locked(store, me, &name, run)).await? {
        return Ok(result);
    }
    let name = LockKey::memory(key);
    lock(execution, &name, limits::LOCK_WAIT).await.map_err(|error| error.fault(function, key))?;
    let theirs = key.to_vec();
    let result = at(owner(key), move |store| f(&mut store.memory.borrow_mut(), &theirs)).await;
    unlock(execution, &name);
    result
}

fn unless_locked<T>(
    store: &Store,
    me: ExecutionId,
    key: &[u8],
    f: impl FnOnce(&mut Memory, &[u8]) -> T,
) -> Option<T> {
    let holder = store.locks.borrow().holder(&LockKey::memory(key));
    match holder {
        Some(holder) if holder != me => None,
        _ => Some(f(&mut store.memory.borrow_mut(), key)),
    }
}

/// Puts a value into the memory of its owner. Gives whether the key existed.
pub(super) async fn put(
    execution: &Rc<Execution>,
    function: &str,
    key: &[u8],
    value: Frozen,
) -> Result<bool, Fault> {
    let most = share(limits::MEMORY_BYTES_MAX);
    let put = move |memory: &mut Memory, key: &[u8]| memory.put(key, value.clone(), most);
    with_memory(execution, function, key, put).await?.map_err(|_| full(function))
}

fn full(function: &str) -> Fault {
    Fault::error(format!("{function}(): shared memory is full ({} bytes)", limits::MEMORY_BYTES_MAX))
}

// ---- the host functions

fn add(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let key = name_of(call.name, call.arg(0))?;
        let value = call.arg(1).freeze()?;
        let most = share(limits::MEMORY_BYTES_MAX);
        let put = move |memory: &mut Memory, key: &[u8]| match memory.get(key) {
            Some(_) => Ok(false),
            None => memory.put(key, value.clone(), most).map(|_| true),
        };
        let added = with_memory(&execution, call.name, &key, put).await?;
        added.map(Value::Bool).map_err(|_| full(call.name))
    })
}

fn inc(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let by = call.opt_number(1)?.unwrap_or(1.0);
        count(&execution, &call, by, false).await
    })
}

fn dec(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let by = call.opt_number(1)?.unwrap_or(1.0);
        let remove_zero = call.opt_boolean(2)?.unwrap_or(false);
        count(&execution, &call, -by, remove_zero).await
    })
}

async fn count(
    execution: &Rc<Execution>,
    call: &HostCall,
    by: f64,
    remove_zero: bool,
) -> Result<Value, Fault> {
    let key = name_of(call.name, call.arg(0))?;
    let most = share(limits::MEMORY_BYTES_MAX);
    let add = move |memory: &mut Memory, key: &[u8]| memory.add(key, by, remove_zero, most);
    let sum = with_memory(execution, call.name, &key, add).await?.map_err(|_| full(call.name))?;
    Ok(sum.into())
}

/// `[exists, value]`
fn fetch(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let key = name_of(call.name, call.arg(0))?;
        let get = |memory: &mut Memory, key: &[u8]| memory.get(key);
        let found = with_memory(&execution, call.name, &key, get).await?;
        let value = found.as_ref().map_or(Value::None, Value::from_frozen);
        Ok(vec![Value::Bool(found.is_some()), value].into())
    })
}

fn begin(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let key = name_of(call.name, call.arg(0))?;
        let locked = lock(&execution, &LockKey::memory(&key), limits::LOCK_WAIT).await;
        locked.map_err(|error| error.fault(call.name, &key))?;
        let fetched = fetch(execution.clone(), call).await;
        if fetched.is_err() {
            unlock(&execution, &LockKey::memory(&key));
        }
        fetched
    })
}

fn store(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let key = name_of(call.name, call.arg(0))?;
        let value = call.arg(1).freeze()?;
        put(&execution, call.name, &key, value).await.map(Value::Bool)
    })
}

fn delete(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let key = name_of(call.name, call.arg(0))?;
        let remove = |memory: &mut Memory, key: &[u8]| memory.remove(key).is_some();
        with_memory(&execution, call.name, &key, remove).await.map(Value::Bool)
    })
}

// ---- the functions that may call back

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Store,
    Fetch,
    Exists,
    Delete,
    Update,
}

enum State {
    /// The lock was asked for, and the value.
    Looking,
    /// The script's function runs.
    Calling,
    /// The last change is made; the result is known.
    Ending(Value),
}

/// A memory function with a callback. It holds the lock from `Looking` on.
struct Frame {
    what: What,
    name: &'static str,
    key: Value,
    value: Value,
    initial: Value,
    callback: Option<Value>,
    existed: bool,
    state: State,
}

fn memory_store(call: &mut Call<'_>) -> Result<Step, Fault> {
    let callback = call.opt_function(2)?;
    let value = call.arg(1).clone();
    start(call, What::Store, value, callback, Value::None)
}

fn memory_fetch(call: &mut Call<'_>) -> Result<Step, Fault> {
    let callback = call.opt_function(1)?;
    start(call, What::Fetch, Value::None, callback, Value::None)
}

fn memory_exists(call: &mut Call<'_>) -> Result<Step, Fault> {
    let callback = call.opt_function(1)?;
    start(call, What::Exists, Value::None, callback, Value::None)
}

fn memory_delete(call: &mut Call<'_>) -> Result<Step, Fault> {
    let callback = call.opt_function(1)?;
    start(call, What::Delete, Value::None, callback, Value::None)
}

fn memory_update(call: &mut Call<'_>) -> Result<Step, Fault> {
    let callback = Some(call.function(2)?);
    let (value, initial) = (call.arg(1).clone(), call.arg(3).clone());
    start(call, What::Update, value, callback, initial)
}

fn start(
    call: &mut Call<'_>,
    what: What,
    value: Value,
    callback: Option<Value>,
    initial: Value,
) -> Result<Step, Fault> {
    let name = call.native().name;
    let key = call.arg(0).clone();
    // Checked before anything is locked, and before a callback runs for nothing.
    name_of(name, &key)?;
    if what == What::Store {
        value.freeze()?;
    }
    let locks = callback.is_some();
    let frame = Frame { what, name, key, value, initial, callback, existed: false, state: State::Looking };
    let first = match what {
        _ if locks => frame.ask(BEGIN, None),
        What::Store => frame.ask(STORE, Some(frame.value.clone())),
        What::Delete => frame.ask(DELETE, None),
        What::Fetch | What::Exists | What::Update => frame.ask(FETCH, None),
    };
    Ok(Step::Host { call: first, then: Box::new(frame) })
}

impl Frame {
    fn ask(&self, function: u16, value: Option<Value>) -> HostCall {
        let mut args = vec![self.key.clone()];
        args.extend(value);
        HostCall { function, name: self.name, this: None, args }
    }

    /// Without a callback: the one answer is the result.
    fn answer(&self, result: Value) -> Value {
        match (self.what, result.as_array()) {
            (What::Fetch, Some(found)) => found.get_index(1).unwrap_or_default(),
            (What::Exists, Some(found)) => found.get_index(0).unwrap_or_default(),
            _ => result,
        }
    }

    fn looked(&mut self, exists: bool, value: Value) -> Next {
        self.existed = exists;
        let call = |frame: &mut Frame, args: Vec<Value>| {
            frame.state = State::Calling;
            let function = frame.callback.clone().expect("what locks has a callback");
            Next::Call { function, args }
        };
        match self.what {
            What::Fetch if exists => Next::Return(value),
            What::Fetch => call(self, vec![self.key.clone()]),
            What::Exists if exists => call(self, vec![self.key.clone(), value]),
            What::Exists => Next::Return(false.into()),
            What::Store | What::Delete if exists => call(self, vec![self.key.clone(), value]),
            What::Store => self.end(STORE, Some(self.value.clone()), false.into()),
            What::Delete => Next::Return(false.into()),
            What::Update => {
                let current = if exists { value } else { self.initial.clone() };
                if !exists && current.is_none() {
                    return Next::Return(false.into());
                }
                call(self, vec![self.key.clone(), current, self.value.clone()])
            }
        }
    }

    fn called(&mut self, result: Value) -> Next {
        match self.what {
            What::Fetch => Next::Return(result),
            What::Exists => Next::Return(true.into()),
            What::Store => self.end(STORE, Some(self.value.clone()), true.into()),
            What::Delete => self.end(DELETE, None, true.into()),
            What::Update => self.end(STORE, Some(result), self.existed.into()),
        }
    }

    fn end(&mut self, function: u16, value: Option<Value>, result: Value) -> Next {
        self.state = State::Ending(result);
        Next::Host(self.ask(function, value))
    }

    fn unlock(&self, host: &mut dyn Host) {
        if let Some(host) = ScriptHost::of(host)
            && self.callback.is_some()
            && let Ok(key) = name_of(self.name, &self.key)
        {
            unlock(&host.execution, &LockKey::memory(&key));
        }
    }
}

impl NativeFrame for Frame {
    fn resume(&mut self, result: Value, host: &mut dyn Host) -> Result<Next, Fault> {
        if self.callback.is_none() {
            return Ok(Next::Return(self.answer(result)));
        }
        let next = match std::mem::replace(&mut self.state, State::Calling) {
            State::Looking => {
                let found = result.as_array().cloned().unwrap_or_default();
                let exists = found.get_index(0).is_some_and(|exists| exists.truthy());
                self.looked(exists, found.get_index(1).unwrap_or_default())
            }
            State::Calling => self.called(result),
            State::Ending(known) => Next::Return(known),
        };
        if matches!(next, Next::Return(_)) {
            self.unlock(host);
        }
        Ok(next)
    }

    fn unwind(&mut self, fault: Fault, host: &mut dyn Host) -> Result<Next, Fault> {
        // While it looks it holds nothing of its own; an outer barrier may.
        if !matches!(self.state, State::Looking) {
            self.unlock(host);
        }
        Err(fault)
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.key);
        visit(&self.value);
        visit(&self.initial);
        self.callback.iter().for_each(visit);
    }
}
