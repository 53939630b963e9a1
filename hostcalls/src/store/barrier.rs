//! What the statement `barrier` compiles to: `__barrier_enter(name)` gives the value of the name, and
//! `__barrier_leave(name [, value])` stores it and lets the next one in.

use std::rc::Rc;

use script::fault::Fault;
use script::host::HostCall;
use script::native::{Native, NativeRun};
use script::value::Value;

use super::lock::{is_held, lock, unlock};
use super::memory_functions::{put, with_memory};
use super::{LockKey, Memory, name_of};
use crate::arguments::Arguments;
use crate::library::{HostFunction, HostFuture};
use crate::{Execution, limits, numbers};

const ENTER: u16 = numbers::STORE + 7;
const LEAVE: u16 = numbers::STORE + 8;

pub(super) const NATIVES: [Native; 2] = [
    Native {
        name: "__barrier_enter",
        params: "string name",
        doc: "Waits until no other script is inside the barrier. The shared value, not assigned when there is none.",
        min_args: 1,
        max_args: Some(1),
        run: NativeRun::Host(ENTER),
    },
    Native {
        name: "__barrier_leave",
        params: "string name [, any value]",
        doc: "Leaves the barrier; stores the shared value if one is given.",
        min_args: 1,
        max_args: Some(2),
        run: NativeRun::Host(LEAVE),
    },
];

pub(super) const HOST: [HostFunction; 2] =
    [HostFunction { number: ENTER, run: enter }, HostFunction { number: LEAVE, run: leave }];

fn enter(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let name = name_of("barrier", call.arg(0))?;
        let key = LockKey::memory(&name);
        lock(&execution, &key, limits::LOCK_WAIT).await.map_err(|error| error.fault("barrier", &name))?;
        let get = |memory: &mut Memory, key: &[u8]| memory.get(key);
        match with_memory(&execution, "barrier", &name, get).await {
            Ok(Some(value)) => Ok(Value::from_frozen(&value)),
            Ok(None) => Ok(Value::Undefined),
            Err(fault) => {
                unlock(&execution, &key);
                Err(fault)
            }
        }
    })
}

fn leave(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let name = name_of("barrier", call.arg(0))?;
        let key = LockKey::memory(&name);
        if !is_held(&execution, &key) {
            return Err(Fault::error("barrier: left without having been entered"));
        }
        let stored = match call.args.get(1) {
            None => Ok(()),
            Some(Value::Undefined) => {
                let remove = |memory: &mut Memory, key: &[u8]| drop(memory.remove(key));
                with_memory(&execution, "barrier", &name, remove).await
            }
            Some(value) => match value.freeze() {
                Ok(value) => put(&execution, "barrier", &name, value).await.map(drop),
                Err(fault) => Err(fault),
            },
        };
        unlock(&execution, &key);
        stored.map(|()| Value::None)
    })
}
