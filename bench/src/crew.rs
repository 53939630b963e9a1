//! The shards of a measuring program: start them, let each work and report, stop them all on a signal.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::boot::{self, ShardId};
use engine::net::{Listener, probe_bind};
use engine::sync::Notify;
use engine::{mesh, signal, task, time};

use crate::cli;

/// SIGINT and SIGTERM; the engine takes signals by number.
const SIGNALS: [i32; 2] = [2, 15];

/// How long after the first signal another one ends the process at once.
const AGAIN: Duration = Duration::from_secs(1);

/// Tells the work of one shard that the run is to end.
#[derive(Clone, Debug, Default)]
pub struct Stop(Rc<State>);

#[derive(Debug, Default)]
struct State {
    stopped: Cell<bool>,
    changed: Notify,
}

impl Stop {
    /// Waits until the run is to end.
    pub async fn wait(&self) {
        while !self.0.stopped.get() {
            self.0.changed.notified().await;
        }
    }

    fn set(&self) {
        self.0.stopped.set(true);
        self.0.changed.notify_all();
    }
}

/// Runs `work` on `threads` shards and gives what each has reported, in no order. A signal stops them; a second
/// one ends the process.
pub fn run<R, W, F>(threads: u16, pin: bool, work: W) -> Result<Vec<R>, String>
where
    R: Send + 'static,
    W: Fn(ShardId, Stop) -> F + Send + Sync + 'static,
    F: Future<Output = R> + 'static,
{
    let reports = Reports::default();
    let options =
        boot::Options { shards: threads, pin, driver: boot::DriverChoice::Auto, signals: SIGNALS.to_vec() };
    boot::run(options, root(&reports, work)).map_err(|error| error.to_string())?;
    Ok(reports.take())
}

/// What the shards have reported so far.
#[derive(Debug)]
pub(crate) struct Reports<R>(Arc<Mutex<Vec<R>>>);

impl<R> Default for Reports<R> {
    fn default() -> Self {
        Reports(Arc::default())
    }
}

impl<R> Reports<R> {
    pub(crate) fn take(&self) -> Vec<R> {
        std::mem::take(&mut *self.0.lock().expect("a panic aborts the process"))
    }

    fn len(&self) -> usize {
        self.0.lock().expect("a panic aborts the process").len()
    }

    fn push(&self, report: R) {
        self.0.lock().expect("a panic aborts the process").push(report);
    }
}

/// The root task of every thread of the process.
pub(crate) fn root<R, W, F>(
    reports: &Reports<R>,
    work: W,
) -> impl Fn(ShardId) -> Root + Send + Sync + use<R, W, F>
where
    R: Send + 'static,
    W: Fn(ShardId, Stop) -> F + Send + Sync + 'static,
    F: Future<Output = R> + 'static,
{
    let collected = Reports(Arc::clone(&reports.0));
    let work = Arc::new(work);
    move |id| {
        let (reports, work) = (Reports(Arc::clone(&collected.0)), Arc::clone(&work));
        Box::pin(async move {
            let stop = Stop::default();
            mesh::local::set(Rc::new(stop.clone()));
            if boot::is_control() {
                control(&reports, &stop).await;
            } else {
                let report = work(id, stop).await;
                reports.push(report);
                // Without effect when the control thread has not started yet: it then finds the report by itself.
                call(boot::control(), |stop| stop.0.changed.notify_all());
            }
        })
    }
}

type Root = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// How far the listeners of a program have come; shared by its shards.
#[derive(Debug, Default)]
pub(crate) struct Listening(AtomicU16);

/// Given by the first shard when the address cannot be had.
const NO_ADDRESS: u16 = u16::MAX;

impl Listening {
    /// Binds this shard's listener, after the first shard has found that the address is free. The last one says
    /// so on stdout.
    pub(crate) async fn bind(&self, address: SocketAddr, id: ShardId) -> Result<Listener, String> {
        let bound = if id == ShardId(0) {
            probe_bind(address)
        } else {
            while self.0.load(Ordering::Acquire) == 0 {
                time::sleep(Duration::from_millis(1)).await;
            }
            match self.0.load(Ordering::Acquire) {
                NO_ADDRESS => Err(io::ErrorKind::AddrInUse.into()),
                _ => Ok(()),
            }
        };
        let listener = bound.and_then(|()| Listener::bind(address, 0)).map_err(|error| {
            self.0.store(NO_ADDRESS, Ordering::Release);
            format!("{address}: {error}")
        })?;
        if self.0.fetch_add(1, Ordering::AcqRel) + 1 == boot::shards() {
            cli::print(&format!("LISTENING {}\n", listener.local_addr()));
        }
        Ok(listener)
    }
}

/// Ends the run on all shards.
pub fn stop_all() {
    for shard in (0..boot::shards()).map(ShardId) {
        call(shard, Stop::set);
    }
}

async fn control<R>(reports: &Reports<R>, stop: &Stop) {
    drop(task::spawn(task::Class::Interactive, async {
        signal::next().await;
        stop_all();
        let first = time::now();
        // `timeout` and a terminal send the same signal twice; someone who is tired of waiting, later again.
        while time::now() - first < AGAIN {
            signal::next().await;
        }
        std::process::exit(130);
    }));
    while reports.len() < usize::from(boot::shards()) {
        stop.0.changed.notified().await;
    }
}

/// Runs `f` with the stop of `shard`, as soon as that shard has one.
fn call(shard: ShardId, f: fn(&Stop)) {
    if shard == boot::current() {
        if let Some(stop) = mesh::local::get::<Stop>() {
            f(&stop);
        }
        return;
    }
    drop(task::spawn(task::Class::Interactive, async move {
        // A shard that has ended needs no call.
        let _ = mesh::call(shard, move || mesh::local::get::<Stop>().map(|stop| f(&stop))).await;
    }));
}
