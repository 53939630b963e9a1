//! What a message costs. `cargo test -p spool --test it speed -- --ignored --nocapture`, on a quiet machine.

use std::rc::Rc;

use bytes::Bytes;
use engine::boot;
use engine::task::{self, Class};
use spool::{Options, Spool, Store};

use crate::support::{PREFIX, body, done, envelope, recovered};

const MESSAGES: u64 = 20_000;
const CLIENTS: u64 = 64;

async fn client(store: Rc<Store>, client: u64) {
    let envelope = envelope(client, 1);
    let content = body(client, 2048);
    for _ in 0..MESSAGES / CLIENTS {
        let mut intake = store.begin(Some(2048)).expect("begun");
        intake.write(&content);
        intake.ready().await.expect("within budget");
        let id = intake.commit(&envelope, Bytes::from_static(PREFIX)).await.expect("committed");
        drop(store.settle(vec![done(id, 0)]));
    }
}

#[test]
#[ignore = "a measurement"]
fn the_cost_of_a_message_of_2_kib() {
    let dir = std::env::temp_dir().join(format!("spool-speed-{}", std::process::id()));
    let path = dir.to_string_lossy().into_owned();
    let boot_options =
        boot::Options { shards: 1, pin: false, driver: boot::DriverChoice::Auto, signals: Vec::new() };
    let root = move |id| {
        let path = path.clone();
        async move {
            if id == boot::control() {
                return;
            }
            let spool = Spool::open(Options::new(path, 1)).await.expect("a spool");
            let store = Store::open(&spool, 0).await.expect("a store");
            assert!(recovered(&store).await.is_empty());
            while store.stats().segments_free < 3 {
                engine::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            let (cpu, from) = (engine::stats::of(id).cpu_us, engine::time::now_precise());
            let clients: Vec<_> =
                (0..CLIENTS).map(|n| task::spawn(Class::Interactive, client(store.clone(), n))).collect();
            for client in clients {
                client.await;
            }
            let cpu = engine::stats::of(id).cpu_us - cpu;
            let wall = engine::time::now_precise() - from;
            let stats = store.stats();
            println!(
                "{} messages: {:.2} us CPU each, {:.0} a second, {:.1} a batch, {} durable writes",
                stats.commits,
                cpu as f64 / stats.commits as f64,
                stats.commits as f64 / wall.as_secs_f64(),
                stats.commits as f64 / stats.batches as f64,
                stats.durable_writes,
            );
            store.close().await.expect("closed");
        }
    };
    boot::run(boot_options, root).expect("io_uring");
    std::fs::remove_dir_all(dir).expect("removed");
}
