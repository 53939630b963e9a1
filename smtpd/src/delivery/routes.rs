//! Routes with an attempt's own settings. The same settings give the same route, so that connections are used again.

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::settings::AttemptSettings;
use crate::limits;
use crate::snapshot::{Route, Snapshot};

/// Those made lately, of this shard.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By the address of the route that they were made of, which each entry keeps alive.
    made: RefCell<FxHashMap<(usize, AttemptSettings), Made>>,
}

#[derive(Debug)]
struct Made {
    _of: Arc<Route>,
    route: Arc<Route>,
}

impl Routes {
    /// `route` with `settings` instead of its own.
    ///
    /// # Errors
    /// A sentence that names the value which cannot be used.
    pub(super) fn with(
        &self,
        snapshot: &Snapshot,
        route: &Arc<Route>,
        settings: &AttemptSettings,
    ) -> Result<Arc<Route>, String> {
        if settings.is_empty() {
            return Ok(Arc::clone(route));
        }
        let key = (Arc::as_ptr(route) as usize, settings.clone());
        if let Some(made) = self.made.borrow().get(&key) {
            return Ok(Arc::clone(&made.route));
        }
        let made = Arc::new(snapshot.route_parts.remake(route, settings)?);
        let mut all = self.made.borrow_mut();
        if all.len() >= limits::ROUTES_MADE {
            all.clear();
        }
        all.insert(key, Made { _of: Arc::clone(route), route: Arc::clone(&made) });
        Ok(made)
    }

    /// Forgets all: the configuration has changed.
    pub(super) fn clear(&self) {
        self.made.borrow_mut().clear();
    }
}
