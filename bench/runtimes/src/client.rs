//! The client, the same for all servers. It runs on the engine because that costs it least, so that the servers
//! and not the client are the limit.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::net::{Conn, Connect};
use engine::task::{Class, spawn};
use engine::time::{self, Instant};
use hdrhistogram::Histogram;

use crate::LINE;

/// Not measured: connecting, and the caches filling.
const WARM_UP: Duration = Duration::from_millis(500);

/// One request at a time on each connection; prints START when the measured time begins, then the result.
pub fn measure(port: u16, connections: u32, seconds: u32) {
    on_engine(move || async move {
        let from = time::now_precise() + WARM_UP;
        let until = from + Duration::from_secs(seconds.into());
        let shared =
            Rc::new(Shared { from, until, latency: RefCell::new(histogram()), started: Cell::new(false) });
        let clients: Vec<_> =
            (0..connections).map(|_| spawn(Class::Interactive, ask(port, Rc::clone(&shared)))).collect();
        for client in clients {
            client.await;
        }
        let latency = shared.latency.borrow();
        let rate = latency.len() as f64 / f64::from(seconds);
        let quantile_us = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        println!("{rate:.0} {:.1} {:.1}", quantile_us(0.5), quantile_us(0.99));
    });
}

/// One request on each connection, then silence.
pub fn hold(port: u16, connections: u32, seconds: u32) {
    on_engine(move || async move {
        let mut open = Vec::new();
        for _ in 0..connections {
            let conn = connect(port).await;
            exchange(&conn, &request()).await;
            open.push(conn);
        }
        println!("READY {}", open.len());
        time::sleep(Duration::from_secs(seconds.into())).await;
    });
}

struct Shared {
    from: Instant,
    until: Instant,
    latency: RefCell<Histogram<u64>>,
    started: Cell<bool>,
}

async fn ask(port: u16, shared: Rc<Shared>) {
    let (conn, request) = (connect(port).await, request());
    loop {
        let sent = time::now_precise();
        exchange(&conn, &request).await;
        let answered = time::now_precise();
        if answered >= shared.until {
            return;
        }
        if answered >= shared.from {
            if !shared.started.replace(true) {
                println!("START");
            }
            let ns = (answered - sent).as_nanos() as u64;
            shared.latency.borrow_mut().saturating_record(ns);
        }
    }
}

async fn exchange(conn: &Conn, request: &Bytes) {
    conn.send(request.clone()).await.expect("send");
    let mut missing = LINE;
    while missing > 0 {
        let input = conn.recv().await.expect("receive");
        assert!(!input.is_empty() && input.len() <= missing, "the server answers each line with one line");
        missing -= input.len();
    }
}

async fn connect(port: u16) -> Conn {
    let remote = ([127, 0, 0, 1], port).into();
    Conn::connect(Connect { remote, local: None }).await.expect("connect")
}

fn request() -> Bytes {
    let mut line = b"MAIL FROM:<".to_vec();
    line.resize(LINE - 3, b'a');
    line.extend_from_slice(b">\r\n");
    Bytes::from(line)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("constants that fit")
}

/// Runs `work` on the one shard and ends the process with it.
fn on_engine<F: Future<Output = ()> + 'static>(work: impl Fn() -> F + Send + Sync + 'static) {
    let options = engine::boot::Options { shards: 1, pin: false, driver: engine::boot::DriverChoice::Uring, signals: Vec::new() };
    let root = move |_| {
        let mine = (!engine::boot::is_control()).then(&work);
        async move {
            if let Some(work) = mine {
                work.await;
            }
        }
    };
    engine::boot::run(options, root).expect("start");
}
