//! The queued recipient that a hook of the queue is about: what scripts keep with it (reference: hooks 4.1 and 10).

use std::cell::{Cell, RefCell};

use script::fault::Fault;
use script::native::Call;
use script::value::{Array, Value};

use crate::mail::{Metadata, metadata};
use crate::{ScriptHost, limits};

/// The metadata of a queued recipient while its scripts run: what `GetMetaData` tells and `SetMetaData` replaces.
#[derive(Debug, Default)]
pub struct ItemMetadata {
    values: RefCell<Metadata>,
    changed: Cell<bool>,
}

impl ItemMetadata {
    /// As it is stored.
    pub fn new(values: Metadata) -> ItemMetadata {
        ItemMetadata { values: RefCell::new(values), changed: Cell::new(false) }
    }

    /// What is to be stored, if a script has replaced it since the last call.
    pub fn take_change(&self) -> Option<Metadata> {
        self.changed.take().then(|| self.values.borrow().clone())
    }
}

/// The native `SetMetaData`.
pub(crate) fn set_metadata(call: &mut Call<'_>) -> Result<Value, Fault> {
    let values = metadata(&call.array(0)?.clone())?;
    let size_bytes: usize = values.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
    if size_bytes > limits::REWRITTEN_METADATA_BYTES {
        let most = limits::REWRITTEN_METADATA_BYTES;
        return Err(call.error(format_args!("{size_bytes} bytes, of which {most} can be kept")));
    }
    with_item(call, |item| {
        *item.values.borrow_mut() = values;
        item.changed.set(true);
        Value::None
    })
}

/// The native `GetMetaData`.
pub(crate) fn get_metadata(call: &mut Call<'_>) -> Result<Value, Fault> {
    with_item(call, |item| {
        let mut array = Array::new();
        for (key, value) in &*item.values.borrow() {
            array.set(script::value::Key::from_bytes(key), Value::from(&value[..]));
        }
        array.into()
    })
}

fn with_item(call: &mut Call<'_>, act: impl FnOnce(&ItemMetadata) -> Value) -> Result<Value, Fault> {
    let item = ScriptHost::of(call.host()).and_then(|host| host.execution.item.clone());
    match item {
        Some(item) => Ok(act(&item)),
        None => Err(call.error("there is no message in a queue here")),
    }
}
