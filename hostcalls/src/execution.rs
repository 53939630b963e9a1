//! One script while it runs.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use engine::time::Instant;
use script::host::Host;
use script::std::regex::PatternCache;

use crate::item::ItemMetadata;
use crate::store::{Caches, Held};
use crate::{Board, Environment, Log, limits};

/// Tells executions of the process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId {
    /// The shard it runs on.
    pub shard: u16,
    /// Counts the executions of that shard.
    pub number: u64,
}

impl ExecutionId {
    fn next(environment: &Environment) -> ExecutionId {
        ExecutionId { shard: engine::boot::current().0, number: environment.store().next_execution() }
    }
}

/// What belongs to one execution: its clock, and what it holds in the store. When it is dropped, however the script
/// ended, all that is released.
pub struct Execution {
    pub(crate) id: ExecutionId,
    pub(crate) environment: Rc<Environment>,
    /// Where its output goes.
    log: Rc<dyn Log>,
    pub(crate) started: Instant,
    /// What runs, for the board.
    pub(crate) what: Rc<str>,
    /// Its number there, once it was shown.
    number: OnceCell<Option<usize>>,
    pub(crate) held: RefCell<Held>,
    /// Sockets and files on disk that it has open.
    open: OnceCell<Rc<Cell<usize>>>,
    /// What `cache` keeps with `per_message`: as long as the execution, which is all the message there is.
    pub(crate) message_caches: RefCell<Caches>,
    rest: OnceCell<Rc<dyn Rest>>,
    /// The queued recipient that it is about; only hooks of the queue have one.
    pub(crate) item: Option<Rc<ItemMetadata>>,
}

/// Memory of a script that it can do without while it waits.
pub trait Rest {
    /// Gives it up.
    fn leave(&self);

    /// Takes it back, before the script goes on; false: that cannot be done, and the script must not go on.
    fn come_back(&self) -> Pin<Box<dyn Future<Output = bool> + '_>>;
}

impl Execution {
    /// Begins one whose output goes where that of the shard goes.
    pub fn begin(environment: &Rc<Environment>) -> Rc<Execution> {
        Execution::begin_as("".into(), environment, Rc::clone(&environment.log), None)
    }

    /// Begins one of the script `what`, with an output of its own, and with the queued recipient that it is about.
    pub fn begin_as(
        what: Rc<str>,
        environment: &Rc<Environment>,
        log: Rc<dyn Log>,
        item: Option<Rc<ItemMetadata>>,
    ) -> Rc<Execution> {
        Rc::new(Execution {
            log,
            item,
            id: ExecutionId::next(environment),
            environment: environment.clone(),
            started: engine::time::now(),
            what,
            number: OnceCell::new(),
            held: RefCell::default(),
            open: OnceCell::new(),
            message_caches: RefCell::default(),
            rest: OnceCell::new(),
        })
    }

    /// Ends it, as dropping it does, so that its memory can serve [`begin_again`](Self::begin_again). False: somebody else
    /// holds it, and it goes on.
    pub fn end(self: &mut Rc<Self>) -> bool {
        let Some(own) = Rc::get_mut(self) else { return false };
        own.release();
        own.open.take();
        own.message_caches.get_mut().forget_all();
        own.rest.take();
        own.item = None;
        true
    }

    /// Begins another one of the same script in the memory of one that was [ended](Self::end).
    pub fn begin_again(self: &mut Rc<Self>, item: Option<Rc<ItemMetadata>>) {
        match Rc::get_mut(self) {
            Some(own) => {
                own.id = ExecutionId::next(&own.environment);
                own.started = engine::time::now();
                own.item = item;
            }
            None => *self = Execution::begin_as(self.what.clone(), &self.environment, self.log.clone(), item),
        }
    }

    fn release(&mut self) {
        crate::store::release_all(self.id, self.held.get_mut());
    }

    /// Gives up memory by `rest` while the script waits long.
    pub fn rest_by(&self, rest: Rc<dyn Rest>) {
        let _ = self.rest.set(rest);
    }

    pub(crate) fn rest(&self) -> Option<&Rc<dyn Rest>> {
        self.rest.get()
    }

    /// The number of what runs on the board.
    pub(crate) fn number_on(&self, board: &Board) -> Option<usize> {
        *self.number.get_or_init(|| board.name(&self.what))
    }

    /// Its number.
    pub fn id(&self) -> ExecutionId {
        self.id
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> &dyn Log {
        &*self.log
    }

    /// What it shares with the others of its shard.
    pub fn environment(&self) -> &Rc<Environment> {
        &self.environment
    }

    /// The right to open one more; none when the execution has [`limits::OPEN_MAX`].
    pub(crate) fn open_slot(&self) -> Option<Slot> {
        let open = self.open.get_or_init(Rc::default);
        if open.get() >= limits::OPEN_MAX {
            return None;
        }
        open.set(open.get() + 1);
        Some(Slot(Rc::clone(open)))
    }

    /// What a machine that runs the script asks.
    pub fn host(self: &Rc<Self>) -> ScriptHost {
        let patterns = self.environment.patterns.take().unwrap_or_default();
        ScriptHost { execution: self.clone(), patterns }
    }
}

/// One of the descriptors that an execution may have open; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Rc<Cell<usize>>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.release();
    }
}

/// The services of the shard, for one execution.
pub struct ScriptHost {
    pub(crate) execution: Rc<Execution>,
    /// The shard's compiled patterns, on loan.
    patterns: PatternCache,
}

impl Drop for ScriptHost {
    fn drop(&mut self) {
        self.execution.environment.patterns.set(Some(std::mem::take(&mut self.patterns)));
    }
}

impl ScriptHost {
    /// The host that a native of this crate was called with.
    pub(crate) fn of(host: &mut dyn Host) -> Option<&ScriptHost> {
        host.as_any().downcast_ref()
    }
}

impl Host for ScriptHost {
    fn now(&self) -> f64 {
        engine::time::wall_us() as f64 / 1e6
    }

    fn monotonic(&self) -> f64 {
        engine::time::now_precise().0 as f64 / 1e9
    }

    fn uptime(&self) -> f64 {
        self.execution.environment.booted_s() + self.monotonic()
    }

    fn execution_time(&self) -> f64 {
        (engine::time::now_precise() - self.execution.started).as_secs_f64()
    }

    fn random(&mut self, out: &mut [u8]) {
        engine::rng::fill(out);
    }

    fn echo(&mut self, text: &[u8]) {
        self.execution.log.echo(text);
    }

    fn syslog(&mut self, priority: u32, text: &[u8]) {
        self.execution.log.syslog(priority, text);
    }

    fn hostname(&self) -> String {
        self.execution.environment.hostname()
    }

    fn timezone(&self) -> &jiff::tz::TimeZone {
        self.execution.environment.timezone()
    }

    fn patterns(&mut self) -> &mut PatternCache {
        &mut self.patterns
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
