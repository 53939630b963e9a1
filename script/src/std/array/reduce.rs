//! `array_reduce`.

use crate::fault::Fault;
use crate::host::Host;
use crate::native::{Call, NativeFrame, Next, Step};
use crate::value::{Array, Value};

struct Reduce {
    function: Value,
    array: Array,
    cursor: usize,
}

pub(super) fn start(call: &mut Call<'_>) -> Result<Step, Fault> {
    let (function, array) = (call.function(0)?, call.array(1)?.clone());
    let (carry, cursor) = if call.len() > 2 {
        (call.take(2), 0)
    } else {
        let first = array
            .next_from(0)
            .ok_or_else(|| call.error("the array is empty and there is no initial value"))?;
        (first.1, first.2)
    };
    let mut reduce = Reduce { function, array, cursor };
    Ok(reduce.advance(carry).first(reduce))
}

impl Reduce {
    fn advance(&mut self, carry: Value) -> Next {
        match self.array.next_from(self.cursor) {
            Some((_, value, cursor)) => {
                self.cursor = cursor;
                Next::Call { function: self.function.clone(), args: vec![carry, value] }
            }
            None => Next::Return(carry),
        }
    }
}

impl NativeFrame for Reduce {
    fn resume(&mut self, result: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        Ok(self.advance(result))
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.function);
        visit(&Value::Array(self.array.clone()));
    }
}
