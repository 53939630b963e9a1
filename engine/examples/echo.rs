//! An echo server on one shard and a client for it: the engine in a page, and something to point `perf` at.
//!
//! ```text
//! echo serve 127.0.0.1:7007            until SIGTERM or SIGINT, then what it has cost
//! echo load  127.0.0.1:7007 256 5      256 connections, one line of 100 bytes at a time each, for 5 seconds
//! ```
#![allow(clippy::print_stdout, reason = "a program")]

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::boot::{self, DriverChoice, Options, ShardId};
use engine::net::{Conn, Connect, Listener};
use engine::task::{Class, spawn};
use engine::{signal, stats, time};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let addr = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let options =
        Options { shards: 1, pin: false, driver: DriverChoice::Auto, signals: vec![SIGINT, SIGTERM] };
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", at] => {
            let at = addr(at);
            boot::run(options, move |_| async move {
                if boot::is_control() {
                    signal::next().await;
                    report(ShardId(0));
                    std::process::exit(0);
                }
                serve(at).await;
            })
        }
        ["load", to, connections, seconds] => {
            let (to, connections) = (addr(to), connections.parse().expect("a number"));
            let length = Duration::from_secs(seconds.parse().expect("a number"));
            boot::run(options, move |_| async move {
                if !boot::is_control() {
                    load(to, connections, length).await;
                }
            })
        }
        _ => panic!("see the head of the source"),
    }
}

async fn serve(at: SocketAddr) {
    let listener = Listener::bind(at, 0).expect("binds");
    loop {
        match listener.accept().await {
            Ok(conn) => drop(spawn(Class::Interactive, session(conn))),
            Err(error) => println!("accept: {error}"),
        }
    }
}

async fn session(conn: Conn) {
    // As a mail session does: a deadline for each wait.
    while let Ok(Ok(input)) = time::timeout(Duration::from_secs(300), conn.recv()).await {
        if input.is_empty() {
            return;
        }
        let reply = Bytes::copy_from_slice(&input);
        drop(input);
        if conn.send(reply).await.is_err() {
            return;
        }
    }
}

async fn load(to: SocketAddr, connections: usize, length: Duration) {
    let count = Rc::new(Cell::new(0u64));
    let until = time::now_precise() + length;
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let count = count.clone();
            spawn(Class::Interactive, async move {
                let conn = Conn::connect(Connect { remote: to, local: None }).await.expect("connects");
                let line = Bytes::from(vec![b'x'; 100]);
                while time::now() < until {
                    conn.send(line.clone()).await.expect("sends");
                    let mut left = line.len();
                    while left > 0 {
                        left -= conn.recv().await.expect("receives").len();
                    }
                    count.set(count.get() + 1);
                }
            })
        })
        .collect();
    for client in clients {
        client.await;
    }
    println!("{:.0} requests/s", count.get() as f64 / length.as_secs_f64());
    report(boot::current());
}

fn report(shard: ShardId) {
    println!("{:?}", stats::of(shard));
}
