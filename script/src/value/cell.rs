//! Variables that several functions share.

use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};

use super::Value;

/// A captured, global or imported variable.
#[derive(Clone)]
pub struct CellRef(Rc<CellBuf>);

#[derive(Default)]
struct CellBuf {
    value: RefCell<Value>,
}

/// A cell that does not keep its variable alive.
#[derive(Clone, Debug)]
pub struct WeakCell(Weak<CellBuf>);

impl CellRef {
    /// A variable with a value; [`Value::Undefined`] for one not yet assigned.
    pub fn new(value: Value) -> CellRef {
        CellRef(Rc::new(CellBuf { value: RefCell::new(value) }))
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> Value {
        self.0.value.borrow().clone()
    }

    /// Assigns.
    #[inline]
    pub fn set(&self, value: Value) {
        // The old value is dropped after the borrow: its drop may reach this cell.
        let old = std::mem::replace(&mut *self.0.value.borrow_mut(), value);
        drop(old);
    }

    /// Takes the value out for work in place; the variable is undefined meanwhile.
    #[inline]
    pub fn take(&self) -> Value {
        std::mem::replace(&mut *self.0.value.borrow_mut(), Value::Undefined)
    }

    /// Looks at the value without cloning it. `look` must not assign to this cell.
    #[inline]
    pub fn with<R>(&self, look: impl FnOnce(&Value) -> R) -> R {
        look(&self.0.value.borrow())
    }

    /// Whether both are the same variable.
    pub fn same(&self, other: &CellRef) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// An address that identifies the variable while it lives.
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }

    /// For the list of what may be part of a cycle.
    pub fn downgrade(&self) -> WeakCell {
        WeakCell(Rc::downgrade(&self.0))
    }

    /// The value if nobody else holds the variable.
    pub(super) fn take_if_unique(&mut self) -> Option<Value> {
        // `get_mut` would refuse because of the weak ones.
        (Rc::strong_count(&self.0) == 1).then(|| self.0.value.take())
    }
}

impl WeakCell {
    /// The variable if it still lives.
    pub fn upgrade(&self) -> Option<CellRef> {
        self.0.upgrade().map(CellRef)
    }
}

impl fmt::Debug for CellRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cell({:#x})", self.address())
    }
}
impl Drop for CellBuf {
    fn drop(&mut self) {
        let value = std::mem::take(self.value.get_mut());
        super::drop::release(value);
    }
}
