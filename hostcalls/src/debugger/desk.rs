//! Scripts that stand at breakpoints, one after the other, and what scripts print meanwhile. On the thread that talks with the
//! debugger.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use engine::sync::Notify;
use engine::time::timeout;
use script::machine::Stop;

use crate::limits;

/// What a debugger finds.
#[derive(Debug, Default)]
pub struct Desk {
    stops: RefCell<VecDeque<Rc<Standing>>>,
    printed: RefCell<VecDeque<Printed>>,
    /// Something has changed.
    changed: Notify,
    /// Debuggers that are there.
    watchers: Cell<u32>,
    closed: Cell<bool>,
}

/// Names a stop: the shard, and a number of it.
pub type Key = (u16, u64);

/// A script that stands.
#[derive(Debug)]
struct Standing {
    key: Key,
    stop: Stop,
    /// A debugger has seen it.
    shown: Cell<bool>,
    go_on: Notify,
}

/// What a script has printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// The transaction that it is about; empty outside of a mail server.
    pub about: String,
    /// The text.
    pub text: Vec<u8>,
}

/// There is no such script, or nobody has seen it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBreakPoint;

impl Desk {
    /// A script stands until a debugger lets it go on, or there is none, or it has stood for
    /// [`limits::BREAKPOINT_TIME`]. It goes on at once where [`limits::BREAKPOINTS`] stand already.
    pub async fn stand(&self, key: Key, stop: Stop) {
        if self.closed.get() || self.watchers.get() == 0 || self.stops.borrow().len() >= limits::BREAKPOINTS {
            return;
        }
        let (shown, go_on) = (Cell::new(false), Notify::new());
        let standing = Rc::new(Standing { key, stop, shown, go_on });
        self.stops.borrow_mut().push_back(Rc::clone(&standing));
        self.changed.notify_all();
        let _ = timeout(limits::BREAKPOINT_TIME, standing.go_on.notified()).await;
        self.withdraw(key);
    }

    /// A script stands no more, whatever the reason.
    pub fn withdraw(&self, key: Key) {
        let mut stops = self.stops.borrow_mut();
        let Some(at) = stops.iter().position(|standing| standing.key == key) else { return };
        let gone = stops.remove(at);
        drop(stops);
        gone.iter().for_each(|standing| standing.go_on.notify_one());
        self.changed.notify_all();
    }

    /// The script that stands longest, which counts as seen from now on.
    pub fn first(&self) -> Option<Stop> {
        let stops = self.stops.borrow();
        let first = stops.front()?;
        first.shown.set(true);
        Some(first.stop.clone())
    }

    /// Lets the script go on that was seen.
    ///
    /// # Errors
    /// There is none.
    pub fn go_on(&self) -> Result<(), NoBreakPoint> {
        let mut stops = self.stops.borrow_mut();
        let first = stops.pop_front_if(|first| first.shown.get()).ok_or(NoBreakPoint)?;
        first.go_on.notify_one();
        Ok(())
    }

    /// A debugger has come.
    pub fn enter(&self) {
        self.watchers.set(self.watchers.get() + 1);
    }

    /// A debugger has gone. True: it was the last one, and all scripts go on.
    pub fn leave(&self) -> bool {
        self.watchers.set(self.watchers.get().saturating_sub(1));
        let none = self.watchers.get() == 0;
        if none {
            self.release_all();
        }
        none
    }

    /// No script runs any more that a debugger could look at.
    pub fn close(&self) {
        self.closed.set(true);
        self.release_all();
        self.changed.notify_all();
    }

    fn release_all(&self) {
        for standing in self.stops.take() {
            standing.go_on.notify_one();
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// A script has printed something. The oldest of too much is lost.
    pub fn print(&self, printed: Printed) {
        let mut all = self.printed.borrow_mut();
        if all.len() >= limits::DEBUG_PRINTED {
            all.pop_front();
        }
        all.push_back(printed);
        self.changed.notify_all();
    }

    /// What was printed first of what nobody has read.
    pub fn read(&self) -> Option<Printed> {
        self.printed.borrow_mut().pop_front()
    }

    /// Waits until something is printed, a script stands or stands no more, or it is closed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}
