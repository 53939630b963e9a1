//! Space comes back from segments that are only partly live: their messages move to a cold segment.

use std::rc::Rc;

use crate::store::Store;

pub(crate) fn start_if_needed(_store: &Rc<Store>) {}
