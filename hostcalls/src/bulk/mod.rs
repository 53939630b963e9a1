//! `http-bulk`: items that scripts put into queues on disk, and that are posted in batches until a server has taken them.
//!
//! Each queue has a directory ([`journal`]) and a shard, which alone works on it ([`queue`], [`worker`]). The others send
//! what their scripts say there, one call at a time for each queue ([`outbox`]). An item is confirmed to the script when
//! it is on disk, and forgotten when a request with it was answered with 2xx: it is sent at least once.

mod journal;
mod outbox;
mod queue;
#[cfg(test)]
mod tests;
mod worker;

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;
use std::sync::Arc;

use config::BulkQueue;
use engine::boot::ShardId;
use engine::task::{Class, Task};
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Native, NativeRun};
use script::value::Value;

use outbox::Outbox;
use queue::Queue;

use crate::arguments::Arguments;
use crate::library::{Family, HostFunction, HostFuture};
use crate::{Environment, Execution, limits, numbers};

pub(crate) static FAMILY: Family = Family {
    natives: &[Native {
        name: "http_bulk",
        params: "string id, string data",
        doc: "Adds an item to a queue of http-bulk: true when it is on disk, and will be posted. False: it is not, and \
              the log says why. None: there is no such queue. Also in extras://http-bulk.",
        min_args: 2,
        max_args: Some(2),
        run: NativeRun::Host(numbers::BULK),
    }],
    host: &[HostFunction { number: numbers::BULK, run: http_bulk }],
    modules: &[("extras://http-bulk", include_str!("http_bulk.hsl"))],
    ..Family::EMPTY
};

/// Works on the queues that belong to this shard, with this environment from now on.
pub fn attach(environment: &Rc<Environment>) {
    let settings = &environment.settings.plugins.bulk;
    if settings.is_empty() {
        return;
    }
    match engine::mesh::local::get::<Bulk>() {
        Some(bulk) => *bulk.environment.borrow_mut() = Rc::clone(environment),
        None => Bulk::start(settings, environment),
    }
}

/// What an operator asks of a queue: `start`, `start-one`, `stop`, `status`, `count`, `head`, `pop`, `clear` or
/// `last-error`, and the name of a queue. On any shard.
///
/// # Errors
/// What to tell the operator.
pub async fn command(words: &[String]) -> Result<Vec<u8>, String> {
    const USAGE: &str = "start|start-one|stop|status|count|head|pop|clear|last-error <queue>";
    let [verb, id, ..] = words else { return Err(USAGE.to_owned()) };
    let (verb, name) = (queue::Verb::from_name(verb).ok_or(USAGE)?, id.clone());
    let answer = engine::mesh::call_task(owner(id), move || async move {
        let queue = engine::mesh::local::get::<Bulk>().and_then(|bulk| bulk.queues.get(&name).cloned());
        queue.ok_or("No such queue")?.obey(verb).await
    });
    answer.await.map_err(|error| error.to_string())?
}

/// The queues that this shard works on, and those that it sends to.
struct Bulk {
    /// Replaced when the configuration is.
    environment: RefCell<Rc<Environment>>,
    queues: HashMap<String, Rc<Queue>>,
    outboxes: HashMap<String, Outboxes>,
    workers: RefCell<Vec<Task<()>>>,
}

/// Those of one id of the configuration.
struct Outboxes {
    all: Vec<Rc<Outbox>>,
    /// Counts the items.
    turn: std::cell::Cell<usize>,
}

impl Bulk {
    fn start(settings: &[BulkQueue], environment: &Rc<Environment>) {
        let mut bulk = Bulk {
            environment: RefCell::new(Rc::clone(environment)),
            queues: HashMap::new(),
            outboxes: HashMap::new(),
            workers: RefCell::default(),
        };
        let here = engine::boot::current();
        for settings in settings {
            let settings = Arc::new(settings.clone());
            let names = (1..=settings.concurrency).map(|number| match number {
                1 => (settings.id.clone(), settings.path.clone()),
                _ => {
                    let mut path = settings.path.clone().into_os_string();
                    path.push(format!(".{number}"));
                    (format!("{}.{number}", settings.id), path.into())
                }
            });
            let mut all = Vec::new();
            for (id, path) in names {
                all.push(Rc::new(Outbox::new(&id, owner(&id))));
                if owner(&id) == here {
                    bulk.queues.insert(id.clone(), Rc::new(Queue::new(id, path, Arc::clone(&settings))));
                }
            }
            // Shards begin with different ones.
            let turn = usize::from(here.0).into();
            bulk.outboxes.insert(settings.id.clone(), Outboxes { all, turn });
        }
        let bulk = Rc::new(bulk);
        engine::mesh::local::set(Rc::clone(&bulk));
        let work = |queue: &Rc<Queue>| engine::task::spawn(Class::Background, worker::work(Rc::clone(queue)));
        bulk.workers.borrow_mut().extend(bulk.queues.values().map(work));
    }

    /// `None` when this shard has no queues.
    fn here() -> Option<Rc<Bulk>> {
        engine::mesh::local::get()
    }

    fn environment(&self) -> Rc<Environment> {
        Rc::clone(&self.environment.borrow())
    }

    /// Tells the log, as an error.
    fn complain(&self, queue: &str, what: &str) {
        const ERR: u32 = 3;
        self.environment().log.syslog(ERR, format!("http_bulk({queue}): {what}").as_bytes());
    }
}

/// The shard that works on a queue: the same on all shards.
fn owner(id: &str) -> ShardId {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    ShardId((hasher.finish() % u64::from(engine::boot::shards()).max(1)) as u16)
}

fn http_bulk(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let id = call.str(0)?.to_string_lossy().into_owned();
        let item = call.str(1)?.as_bytes().to_vec();
        if let Some(why) = execution.environment.settings.plugins.no_bulk {
            return Err(Fault::error(format!("http_bulk(): no queue \"{id}\": {why}")));
        }
        let bulk = Bulk::here();
        let Some(outboxes) = bulk.as_ref().and_then(|bulk| bulk.outboxes.get(&id)) else {
            const ERR: u32 = 3;
            execution
                .log()
                .syslog(ERR, format!("http_bulk({id}): there is no such queue in plugins").as_bytes());
            return Ok(Value::None);
        };
        if item.len() > limits::BULK_ITEM_BYTES_MAX {
            let most = limits::BULK_ITEM_BYTES_MAX;
            return Err(Fault::error(format!("http_bulk(): the item is longer than {most} bytes")));
        }
        let turn = outboxes.turn.get();
        outboxes.turn.set(turn.wrapping_add(1));
        let outbox = Rc::clone(&outboxes.all[turn % outboxes.all.len()]);
        Ok(outbox.add(item).await.into())
    })
}
