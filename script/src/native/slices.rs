//! Natives that work on many items, some at a time, so that others run in between.

use super::{Call, NativeFrame, Next, Step};
use crate::fault::Fault;
use crate::host::Host;
use crate::limits::SLICE_ITEMS;
use crate::value::Value;

/// Work on many items.
pub trait Slices {
    /// Works on at most so many items; gives the result when there are no more.
    fn go_on(&mut self, most: usize, host: &mut dyn Host) -> Result<Option<Value>, Fault>;

    /// Calls `visit` with each value that the work keeps alive.
    fn for_each_value(&self, visit: &mut dyn FnMut(&Value));

    /// Bytes of memory beside those values and the work itself.
    fn size_bytes(&self) -> usize {
        0
    }
}

/// Does the work: at once if it is little.
pub fn in_slices(call: &mut Call<'_>, mut work: impl Slices + 'static) -> Result<Step, Fault> {
    Ok(match work.go_on(SLICE_ITEMS, call.host())? {
        Some(result) => Step::Return(result),
        None => Step::Begin(Box::new(Sliced(work))),
    })
}

struct Sliced<W>(W);

impl<W: Slices> NativeFrame for Sliced<W> {
    fn resume(&mut self, _: Value, host: &mut dyn Host) -> Result<Next, Fault> {
        Ok(self.0.go_on(SLICE_ITEMS, host)?.map_or(Next::Pause, Next::Return))
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.0.for_each_value(visit);
    }

    fn size_bytes(&self) -> usize {
        size_of::<W>() + self.0.size_bytes()
    }
}
