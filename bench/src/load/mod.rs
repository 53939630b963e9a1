//! The load generator: `load`.

mod idle;
pub mod options;
mod session;
mod worker;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use engine::boot::ShardId;
use engine::sync::Semaphore;
use engine::task::{self, Class};
use engine::time::{self, Instant};

use crate::cli;
use crate::crew::{self, Stop};
use crate::ident;
use crate::ledger::Ledger;
use crate::limits::CONNECT_WINDOW;
use crate::message::Factory;
use crate::pace::Pace;
use crate::tally::Tally;
use options::Options;
use worker::Shard;

/// The program: reads the command line, runs, prints.
pub fn main(parser: lexopt::Parser) -> ExitCode {
    let options = match Options::parse(parser) {
        Ok(Some(options)) => options,
        Ok(None) => {
            cli::print(options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => return cli::usage("load", error),
    };
    let json = options.json;
    match run(options) {
        Ok((tally, elapsed_s)) => {
            let report = if json { tally.json(elapsed_s).finish() + "\n" } else { tally.text(elapsed_s) };
            cli::print(&report);
            if tally.failed == 0 && tally.failures.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(cli::FAILED)
            }
        }
        Err(error) => {
            cli::complain("load", error);
            ExitCode::from(cli::FAILED)
        }
    }
}

/// Runs the load; gives what all shards counted and the seconds from the first start to the last answer.
pub fn run(options: Options) -> Result<(Tally, f64), String> {
    let (threads, pin) = (options.threads, options.pin);
    let job = Job::new(options)?;
    let reports = crew::run(threads, pin, move |id, stop| shard(job.clone(), id, stop))?;
    Ok(sum(reports))
}

pub(crate) fn sum(reports: Vec<Report>) -> (Tally, f64) {
    let mut all = Tally::default();
    let (mut first, mut last) = (u64::MAX, 0);
    for report in reports {
        first = first.min(report.start.0);
        last = last.max(report.end.0);
        all.merge(report.tally);
    }
    (all, last.saturating_sub(first).max(1) as f64 / 1e9)
}

/// What the shards share.
#[derive(Clone)]
pub(crate) struct Job {
    options: Arc<Options>,
    pace: Arc<Pace>,
    progress: Arc<idle::Progress>,
    ledger: Option<Arc<Ledger>>,
    run: u32,
}

impl Job {
    pub(crate) fn new(options: Options) -> Result<Job, String> {
        let ledger = match &options.ledger {
            Some(path) => {
                Some(Arc::new(Ledger::open(path).map_err(|error| format!("{}: {error}", path.display()))?))
            }
            None => None,
        };
        Ok(Job {
            pace: Arc::new(Pace::new(options.messages, options.duration, options.rate_per_s)),
            progress: Arc::new(idle::Progress {
                wanted: options.connections,
                settled: AtomicU32::new(0),
                up: AtomicU32::new(0),
            }),
            options: Arc::new(options),
            ledger,
            run: ident::random_run(),
        })
    }
}

pub(crate) struct Report {
    tally: Tally,
    start: Instant,
    end: Instant,
}

pub(crate) async fn shard(job: Job, id: ShardId, stop: Stop) -> Report {
    let options = Arc::clone(&job.options);
    let shard = Rc::new(Shard {
        factory: Factory::new(options.shape, options.mix.largest_bytes()),
        options: job.options,
        pace: Arc::clone(&job.pace),
        ledger: job.ledger,
        run: job.run,
        start: time::now_precise(),
        opening: Semaphore::new(CONNECT_WINDOW),
        tally: RefCell::default(),
    });
    let connections = share(options.connections, options.threads, id);
    let mut end = time::now_precise();
    if let Some(time_held) = options.idle {
        idle::hold(&shard, connections, time_held, &job.progress, &stop).await;
        end = time::now_precise();
    } else {
        let pace = job.pace;
        drop(task::spawn(Class::Interactive, async move {
            stop.wait().await;
            pace.stop();
        }));
        let workers: Vec<_> = (0..connections)
            .map(|_| task::spawn(Class::Interactive, worker::work(Rc::clone(&shard))))
            .collect();
        for worker in workers {
            worker.await;
            end = time::now_precise();
        }
    }
    let tally = shard.tally.take();
    Report { tally, start: shard.start, end }
}

/// How many of `all` connections shard `id` opens.
fn share(all: u32, threads: u16, id: ShardId) -> u32 {
    let (threads, id) = (u32::from(threads), u32::from(id.0));
    all / threads + u32::from(id < all % threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_all_connections() {
        for (all, threads) in [(20, 1), (20, 3), (1, 4), (7, 7)] {
            let sum: u32 = (0..threads).map(|id| share(all, threads, ShardId(id))).sum();
            assert_eq!(sum, all);
        }
    }
}
