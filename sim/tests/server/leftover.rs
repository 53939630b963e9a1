//! Reads what is left in a spool, with the spool's own code.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use engine::sim::{HostId, Sim};
use sim::mail::{self, Number};
use sim::sink;
use spool::{Options, Spool, Store};

use crate::world::SEGMENT_BYTES;

/// Messages found in a spool.
#[derive(Debug, Default)]
pub(crate) struct Leftover {
    /// Those that are queued, or that a queued report is about.
    pub(crate) numbers: BTreeSet<Number>,
    /// Messages that cannot be read, or are none of ours.
    pub(crate) damaged: usize,
}

/// Opens the spool on a host where no server runs.
pub(crate) fn read(sim: &mut Sim, host: HostId, path: &'static str) -> Leftover {
    let found = Rc::new(RefCell::new(Leftover::default()));
    let result = found.clone();
    let opened = Rc::new(RefCell::new(None));
    sim.start(host, 1, move |id| {
        let (result, opened) = (result.clone(), opened.clone());
        async move {
            if id == engine::boot::control() {
                let mut options = Options::new(path, 1);
                options.segment_bytes = SEGMENT_BYTES;
                *opened.borrow_mut() = Some(Spool::open(options).await.expect("the spool opens"));
                return;
            }
            let spool = loop {
                let ready = opened.borrow_mut().take();
                match ready {
                    Some(spool) => break spool,
                    None => engine::time::sleep(Duration::from_millis(1)).await,
                }
            };
            read_all(&spool, &result).await;
        }
    });
    for _ in 0..600 {
        if !sim.is_running(host) {
            return Rc::try_unwrap(found).expect("its process has ended").into_inner();
        }
        sim.run_for(Duration::from_secs(1));
    }
    panic!("reading the spool never ends (seed {})", sim.seed());
}

async fn read_all(spool: &std::sync::Arc<Spool>, result: &Rc<RefCell<Leftover>>) {
    let store = Store::open(spool, 0).await.expect("the store opens");
    let mut recovery = store.recovery();
    while let Some(message) = recovery.next().await {
        let mut reader = store.body(message.id);
        let mut bytes = Vec::new();
        let whole = loop {
            match reader.next().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        let good = |number: &Number| mail::is_intact(&bytes, *number) || sink::is_report(&bytes);
        let number = mail::number(&bytes).filter(|number| whole && good(number));
        match number {
            Some(number) => drop(result.borrow_mut().numbers.insert(number)),
            None => result.borrow_mut().damaged += 1,
        }
    }
    store.close().await.expect("the disk works");
}
