//! The stage on the control thread: at most one, from its start to its end.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::time::Instant;
use hostcalls::debugger::Desk;

use super::Stage;

/// Where the stage is, if there is one.
#[derive(Debug, Default)]
pub struct Deck {
    live: RefCell<Option<Rc<Live>>>,
    numbers: Cell<u64>,
}

/// A stage that runs.
#[derive(Debug)]
pub struct Live {
    /// What all threads share.
    pub stage: Arc<Stage>,
    /// For debuggers.
    pub desk: Desk,
    started: Instant,
    /// The client whose end is its end.
    bound_to: Option<u64>,
}

/// Why a stage ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody wants it to.
    Cancelled,
    /// Its time is over.
    Time,
    /// As many connections as were asked for have been on it.
    Count,
    /// The client that it was bound to has gone.
    ClientGone,
    /// The server stops.
    Stopping,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Cancelled => "it was cancelled",
            End::Time => "its time is over",
            End::Count => "all its connections have closed",
            End::ClientGone => "the client that it was bound to has gone",
            End::Stopping => "the server stops",
        })
    }
}

impl Deck {
    /// A number for the next stage.
    pub fn next_number(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// The stage that runs.
    pub fn live(&self) -> Option<Rc<Live>> {
        self.live.borrow().clone()
    }

    /// The desk of a stage, while that runs.
    pub fn of(&self, number: u64) -> Option<Rc<Live>> {
        self.live().filter(|live| live.stage.number == number)
    }

    /// A stage runs from now on. `bound_to`: the number of the client whose end is its end.
    pub fn begin(&self, stage: Arc<Stage>, bound_to: Option<u64>) -> Rc<Live> {
        let live = Live { stage, desk: Desk::default(), started: engine::time::now(), bound_to };
        let live = Rc::new(live);
        *self.live.borrow_mut() = Some(Rc::clone(&live));
        live
    }

    /// A stage ends; `None`: it has ended before.
    pub fn end(&self, number: u64) -> Option<Rc<Live>> {
        let live = self.live.borrow_mut().take_if(|live| live.stage.number == number)?;
        live.stage.end();
        live.desk.close();
        Some(live)
    }

    /// The stage that ends with this client.
    pub fn bound_to(&self, client: u64) -> Option<u64> {
        self.live().filter(|live| live.bound_to == Some(client)).map(|live| live.stage.number)
    }
}

impl Live {
    /// How long it runs already.
    pub fn elapsed(&self) -> Duration {
        engine::time::now() - self.started
    }

    /// Why it is to end now, if it is.
    pub fn is_over(&self) -> Option<End> {
        if self.stage.conditions().time.is_some_and(|time| self.elapsed() >= time) {
            return Some(End::Time);
        }
        self.stage.is_used_up().then_some(End::Count)
    }
}

/// A debugger, for as long as it is there.
#[derive(Debug)]
pub struct Watching(Rc<Live>);

impl Watching {
    /// A debugger has come.
    pub fn begin(live: &Rc<Live>) -> Watching {
        live.desk.enter();
        live.stage.set_watched(true);
        Watching(Rc::clone(live))
    }

    /// What it looks at.
    pub fn live(&self) -> &Rc<Live> {
        &self.0
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.0.desk.leave() {
            self.0.stage.set_watched(false);
        }
    }
}
