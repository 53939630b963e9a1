//! Functions that call back with one item after the other.

use super::many::{Cursor, Search};
use crate::fault::Fault;
use crate::host::Host;
use crate::native::{Call, NativeFrame, Next, Step, in_slices};
use crate::value::{Array, Key, Value};

/// What becomes of the results.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Every,
    Filter,
    Find,
    Includes,
    Map,
}

struct Each {
    kind: Kind,
    function: Value,
    array: Array,
    cursor: usize,
    /// The item whose result is awaited.
    current: (Key, Value),
    result: Array,
}

/// Calls argument 0 with the items of argument 1.
pub(super) fn start(call: &mut Call<'_>, kind: Kind) -> Result<Step, Fault> {
    let (function, array) = (call.function(0)?, call.array(1)?.clone());
    let current = (Key::Int(0), Value::None);
    let mut each = Each { kind, function, array, cursor: 0, current, result: Array::new() };
    Ok(each.advance().first(each))
}

/// `array_includes`: calls back only if the needle is a function.
pub(super) fn includes(call: &mut Call<'_>) -> Result<Step, Fault> {
    if matches!(call.arg(0), Value::Function(_)) {
        return start(call, Kind::Includes);
    }
    let items = Cursor::new(call.array(1)?);
    let work = Search { items, wanted: call.arg(0).clone(), equal: Value::strict_eq };
    in_slices(call, work)
}

impl Each {
    /// Goes to the next item, or returns what is left when there is none.
    fn advance(&mut self) -> Next {
        let Some((key, value, cursor)) = self.array.next_from(self.cursor) else {
            return Next::Return(match self.kind {
                Kind::Every => true.into(),
                Kind::Includes => false.into(),
                Kind::Find => Value::None,
                Kind::Filter | Kind::Map => std::mem::take(&mut self.result).into(),
            });
        };
        self.cursor = cursor;
        let args = vec![value.clone()];
        self.current = (key, value);
        Next::Call { function: self.function.clone(), args }
    }
}

impl NativeFrame for Each {
    fn resume(&mut self, result: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        let (key, value) = std::mem::replace(&mut self.current, (Key::Int(0), Value::None));
        match (self.kind, result.truthy()) {
            (Kind::Every, false) => return Ok(Next::Return(false.into())),
            (Kind::Includes, true) => return Ok(Next::Return(true.into())),
            (Kind::Find, true) => return Ok(Next::Return(value)),
            (Kind::Filter, true) => self.result.set(key, value),
            (Kind::Map, _) => self.result.set(key, result),
            _ => {}
        }
        Ok(self.advance())
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.function);
        visit(&self.current.1);
        visit(&Value::Array(self.array.clone()));
        visit(&Value::Array(self.result.clone()));
    }

    fn size_bytes(&self) -> usize {
        size_of::<Each>()
    }
}
