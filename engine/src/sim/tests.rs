use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;

use super::*;
use crate::boot;
use crate::buf::AlignedBuf;
use crate::disk::{Dir, Durability, File, LockError, OpenOptions};
use crate::net::{Conn, Connect, Listener, Udp};
use crate::task::{Class, spawn};
use crate::{mesh, offload, rng, signal, time};

const PORT: u16 = 7;

fn second() -> Duration {
    Duration::from_secs(1)
}

// ---- an echo server and its client, across hosts and crashes

async fn echo_shard(addr: SocketAddr) {
    let listener = Listener::bind(addr, 0).expect("bound");
    loop {
        let conn = listener.accept().await.expect("accepted");
        drop(spawn(Class::Interactive, async move {
            while let Ok(bytes) = conn.recv().await {
                if bytes.is_empty() || conn.send(Bytes::copy_from_slice(&bytes)).await.is_err() {
                    return;
                }
            }
        }));
    }
}

fn start_echo(sim: &mut Sim, server: HostId, shards: u16) {
    let addr = SocketAddr::new(sim.addr(server), PORT);
    sim.start(server, shards, move |id| async move {
        if id == boot::control() {
            while signal::next().await != libc::SIGTERM {}
        } else {
            echo_shard(addr).await;
        }
    });
}

/// Sends `count` payloads of random lengths, each until its echo has come; counts them.
fn start_client(sim: &mut Sim, client: HostId, server: HostId, count: usize) -> Rc<Cell<usize>> {
    let remote = SocketAddr::new(sim.addr(server), PORT);
    let done = Rc::new(Cell::new(0));
    let counter = done.clone();
    sim.start(client, 1, move |id| {
        let counter = counter.clone();
        async move {
            if id == boot::control() {
                return;
            }
            while counter.get() < count {
                let mut payload = vec![0; 1 + rng::below(100_000) as usize];
                rng::fill(&mut payload);
                match time::timeout(Duration::from_secs(30), echo_once(remote, payload.into())).await {
                    Ok(Ok(())) => counter.set(counter.get() + 1),
                    _ => time::sleep(Duration::from_millis(10)).await,
                }
            }
        }
    });
    done
}

async fn echo_once(remote: SocketAddr, payload: Bytes) -> std::io::Result<()> {
    let conn = Rc::new(Conn::connect(Connect { remote, local: None }).await?);
    let sending = spawn(Class::Interactive, {
        let (conn, payload) = (conn.clone(), payload.clone());
        async move { conn.send(payload).await }
    });
    let mut got = Vec::new();
    while got.len() < payload.len() {
        let bytes = conn.recv().await?;
        if bytes.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        got.extend_from_slice(&bytes);
    }
    assert_eq!(got, payload, "an echo differs");
    sending.await.expect("nobody aborts it")
}

fn echo_world(seed: u64, crashes: usize) -> (Sim, bool) {
    let mut sim = Sim::new(seed);
    let (server, client) = (sim.host("server"), sim.host("client"));
    start_echo(&mut sim, server, 2);
    let done = start_client(&mut sim, client, server, 20);
    for _ in 0..crashes {
        let steps = sim.below(3000) as usize;
        sim.step(steps);
        let crash = if sim.below(2) == 0 { Crash::Process } else { Crash::Power };
        sim.crash(server, crash);
        let pause = Duration::from_millis(sim.below(2000));
        sim.run_for(pause);
        start_echo(&mut sim, server, 2);
    }
    let all = sim.run_until(Duration::from_secs(3600), || done.get() == 20);
    (sim, all)
}

#[test]
fn an_echo_server_answers_over_any_number_of_crashes() {
    for seed in 0..20 {
        let (_, all) = echo_world(seed, seed as usize % 5);
        assert!(all, "seed {seed}: the client never got all echoes");
    }
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..5 {
        let (first, second) = (echo_world(seed, 3).0, echo_world(seed, 3).0);
        assert_eq!((first.trace(), first.steps()), (second.trace(), second.steps()), "seed {seed}");
        assert_ne!(first.trace(), echo_world(seed + 1000, 3).0.trace());
    }
}

// ---- a toy that must not lose what it acknowledged, and its broken sisters

#[derive(Clone, Copy, PartialEq, Eq)]
enum Toy {
    Correct,
    AcknowledgesCachedWrites,
    AcknowledgesWhileTheWriteIsInFlight,
    ForgetsToSyncTheDirectory,
}

const RECORD_BYTES: usize = 4096;

fn record(number: u64) -> AlignedBuf {
    let mut buf = AlignedBuf::with_capacity(RECORD_BYTES);
    buf.resize(RECORD_BYTES);
    for word in buf.chunks_exact_mut(8) {
        word.copy_from_slice(&(number + 1).to_le_bytes());
    }
    buf
}

/// Numbers of the whole records at the start of the file.
fn recover(bytes: &[u8]) -> Vec<u64> {
    let whole = bytes.chunks_exact(RECORD_BYTES).map_while(|page| {
        let number = u64::from_le_bytes(page[..8].try_into().expect("8 bytes"));
        (number > 0 && page.chunks_exact(8).all(|word| word == &page[..8])).then(|| number - 1)
    });
    whole.collect()
}

async fn append_all(toy: Toy, direct: bool, acknowledged: Rc<RefCell<Vec<u64>>>) {
    let dir = Dir::create("/toy".as_ref()).await.expect("a perfect disk");
    let options = OpenOptions { write: true, create: true, direct, ..OpenOptions::default() };
    let file = Rc::new(dir.open_file("log", options).await.expect("opened"));
    if toy != Toy::ForgetsToSyncTheDirectory {
        dir.sync().await.expect("synced");
    }
    for number in 0.. {
        let offset = number * RECORD_BYTES as u64;
        let durability = match toy {
            Toy::AcknowledgesCachedWrites => Durability::Cached,
            _ => Durability::Durable,
        };
        let write = |file: Rc<File>| async move { file.write_at(offset, record(number), durability).await.0 };
        if toy == Toy::AcknowledgesWhileTheWriteIsInFlight {
            let writing = spawn(Class::Commit, write(file.clone()));
            acknowledged.borrow_mut().push(number);
            writing.await.expect("nobody aborts it").expect("written");
        } else {
            write(file.clone()).await.expect("written");
            acknowledged.borrow_mut().push(number);
        }
    }
}

/// Crashes the toy once at a place that the seed chooses. False when it lost what it acknowledged.
fn survives(toy: Toy, seed: u64, crash: Crash) -> bool {
    let mut sim = Sim::new(seed);
    let host = sim.host("toy");
    let acknowledged = Rc::new(RefCell::new(Vec::new()));
    let log = acknowledged.clone();
    sim.start(host, 1, move |id| {
        let log = log.clone();
        async move {
            if id != boot::control() {
                append_all(toy, seed.is_multiple_of(2), log).await;
            }
        }
    });
    let steps = sim.below(400) as usize;
    sim.step(steps);
    sim.crash(host, crash);
    let found = recover(&sim.read_file(host, "/toy/log").unwrap_or_default());
    found.starts_with(&acknowledged.borrow())
}

#[test]
fn a_toy_that_waits_for_durable_writes_loses_nothing() {
    for seed in 0..1000 {
        for crash in [Crash::Process, Crash::Power] {
            assert!(survives(Toy::Correct, seed, crash), "seed {seed}, {crash:?}");
        }
    }
}

#[test]
fn toys_that_acknowledge_too_early_are_caught() {
    for toy in [
        Toy::AcknowledgesCachedWrites,
        Toy::AcknowledgesWhileTheWriteIsInFlight,
        Toy::ForgetsToSyncTheDirectory,
    ] {
        let caught = (0..200).filter(|&seed| !survives(toy, seed, Crash::Power)).count();
        assert!(caught >= 20, "caught in {caught} of 200 crashes");
    }
    let process =
        (0..200).filter(|&seed| !survives(Toy::AcknowledgesWhileTheWriteIsInFlight, seed, Crash::Process));
    assert!(process.count() >= 20);
    assert!((0..200).all(|seed| survives(Toy::AcknowledgesCachedWrites, seed, Crash::Process)));
}

// ---- the rest of the seam

/// Runs `root` on the one shard of one host, to its end.
fn run_one<Fut: Future<Output = ()> + 'static>(seed: u64, root: impl Fn() -> Fut + 'static) -> Sim {
    let mut sim = Sim::new(seed);
    let host = sim.host("one");
    let root = Rc::new(root);
    sim.start(host, 1, move |id| {
        let root = root.clone();
        async move {
            if id != boot::control() {
                root().await;
            }
        }
    });
    for _ in 0..3600 {
        sim.run_for(second());
        if !sim.is_running(host) {
            return sim;
        }
    }
    panic!("the process never ended (seed {seed})");
}

#[test]
fn sleeping_takes_virtual_time_only() {
    run_one(1, || async {
        let start = time::now();
        time::sleep(Duration::from_secs(600)).await;
        let slept = time::now() - start;
        assert!(slept >= Duration::from_secs(600) && slept < Duration::from_secs(601), "{slept:?}");
        let late = time::timeout(second(), std::future::pending::<()>()).await;
        assert_eq!(late, Err(time::Elapsed));
    });
}

#[test]
fn offloaded_calls_run_in_place() {
    run_one(1, || async {
        let answer = offload::run(second(), || 6 * 7).await;
        assert_eq!(answer, Ok(42));
    });
}

#[test]
fn shards_call_each_other() {
    let mut sim = Sim::new(3);
    let host = sim.host("many");
    let sum = Rc::new(Cell::new(0));
    let total = sum.clone();
    sim.start(host, 4, move |id| {
        let total = total.clone();
        async move {
            for other in 0..boot::shards() {
                let answer = mesh::call(ShardId(other), move || u32::from(boot::current().0)).await;
                total.set(total.get() + answer.expect("it runs"));
            }
            // Nobody ends before all have asked.
            time::sleep(second()).await;
            assert_eq!(boot::current(), id);
        }
    });
    sim.run_for(Duration::from_secs(10));
    assert!(!sim.is_running(host));
    assert_eq!(sum.get(), 5 * (1 + 2 + 3));
}

#[test]
fn signals_reach_the_control_thread() {
    let mut sim = Sim::new(3);
    let host = sim.host("one");
    sim.start(host, 1, |id| async move {
        if id == boot::control() {
            assert_eq!(signal::next().await, libc::SIGHUP);
            assert_eq!(signal::next().await, libc::SIGTERM);
        }
    });
    sim.signal(host, libc::SIGHUP);
    sim.run_for(second());
    assert!(sim.is_running(host));
    sim.signal(host, libc::SIGTERM);
    sim.run_for(second());
    assert!(!sim.is_running(host));
}

#[test]
fn a_second_process_does_not_get_the_lock_and_reads_who_has_it() {
    let mut sim = Sim::new(3);
    let host = sim.host("one");
    sim.start(host, 1, |_| async {
        let dir = Dir::create("/spool".as_ref()).await.expect("a perfect disk");
        let _lock = dir.lock("lock").await;
        time::sleep(Duration::from_secs(100)).await;
    });
    sim.run_for(second());
    let seen = Rc::new(Cell::new(0));
    let count = seen.clone();
    let second_process = move |_| {
        let count = count.clone();
        async move {
            let dir = Dir::open("/spool".as_ref()).await.expect("there");
            match dir.lock("lock").await {
                Err(LockError::Held(Some(_))) => count.set(count.get() + 1),
                Ok(_) => count.set(count.get() + 10),
                other => panic!("{other:?}"),
            }
        }
    };
    sim.start(host, 1, second_process.clone());
    sim.run_for(second());
    assert_eq!(seen.get(), 2, "both threads of the second process were refused");
    sim.crash(host, Crash::Process);
    sim.start(host, 0, second_process);
    sim.run_for(second());
    assert_eq!(seen.get(), 12, "the lock went with its process");
}

#[test]
fn datagrams_find_a_service() {
    let mut sim = Sim::new(3);
    let (host, dns) = (sim.host("one"), sim.host("dns"));
    let remote = SocketAddr::new(sim.addr(dns), 53);
    sim.network_faults(NetworkFaults { datagram_loss: 0.3, datagram_duplicate: 0.1 });
    sim.datagram_service(remote, |query| vec![query.to_ascii_uppercase()]);
    let answers = Rc::new(Cell::new(0));
    let count = answers.clone();
    sim.start(host, 0, move |_| {
        let count = count.clone();
        async move {
            for _ in 0..100 {
                let socket = Udp::connect(remote).await.expect("open");
                socket.send(Bytes::from_static(b"query")).await.expect("sent");
                if let Ok(answer) = time::timeout(second(), socket.recv()).await {
                    assert_eq!(&*answer.expect("a datagram"), b"QUERY");
                    count.set(count.get() + 1);
                }
            }
        }
    });
    sim.run_for(Duration::from_secs(200));
    assert!((25..75).contains(&answers.get()), "{}", answers.get());
}

#[test]
fn what_tasks_do_while_they_are_dropped_by_a_crash_reaches_nothing() {
    struct WritesOnDrop(Option<Rc<File>>);
    impl Drop for WritesOnDrop {
        fn drop(&mut self) {
            let file = self.0.take().expect("dropped once");
            let mut write = Box::pin(async move {
                let mut buf = AlignedBuf::with_capacity(5);
                buf.extend_from_slice(b"ghost");
                file.write_at(0, buf, Durability::Durable).await.0
            });
            let waker = std::task::Waker::noop();
            let _ = write.as_mut().poll(&mut std::task::Context::from_waker(waker));
        }
    }
    let mut sim = Sim::new(3);
    let host = sim.host("one");
    sim.start(host, 1, |id| async move {
        if id != boot::control() {
            let dir = Dir::create("/d".as_ref()).await.expect("a perfect disk");
            let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
            let file = Rc::new(dir.open_file("f", options).await.expect("created"));
            dir.sync().await.expect("synced");
            let _ghost = WritesOnDrop(Some(file));
            std::future::pending::<()>().await;
        }
    });
    sim.run_for(second());
    sim.crash(host, Crash::Process);
    sim.run_for(second());
    assert_eq!(sim.read_file(host, "/d/f").as_deref(), Some(&b""[..]));
}

#[test]
fn dropping_a_write_does_not_take_it_back() {
    let sim = run_one(5, || async {
        let dir = Dir::create("/d".as_ref()).await.expect("a perfect disk");
        let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
        let file = Rc::new(dir.open_file("f", options).await.expect("created"));
        let mut kept = 0;
        for number in 0..100u64 {
            let write = file.write_at(number * 4096, record(number), Durability::Durable);
            let _ = time::timeout(Duration::from_micros(20), write).await;
            time::sleep(second()).await;
            let found = file.read_at(number * 4096, 4096).await.expect("read");
            kept += usize::from(found.len() == 4096 && found.iter().any(|&byte| byte != 0));
        }
        assert!((40..100).contains(&kept), "{kept} of 100 cancelled writes were done");
    });
    assert!(sim.steps() > 100);
}

#[test]
fn faults_come_as_errors_of_the_operation() {
    let mut sim = Sim::new(3);
    let host = sim.host("one");
    sim.disk_faults(
        host,
        DiskFaults {
            read_eio: 0.2,
            write_eio: 0.2,
            short_write: 0.2,
            no_direct: true,
            ..DiskFaults::default()
        },
    );
    let failures = Rc::new(RefCell::new(BTreeMap::new()));
    let count = failures.clone();
    sim.start(host, 0, move |_| {
        let count = count.clone();
        async move {
            let dir = loop {
                if let Ok(dir) = Dir::create("/d".as_ref()).await {
                    break dir;
                }
            };
            let options = OpenOptions { write: true, create: true, direct: true, ..OpenOptions::default() };
            let file = dir.open_file("f", options).await.expect("created");
            assert!(!file.is_direct());
            for _ in 0..200 {
                let written = file.write_at(0, record(1), Durability::Durable).await.0;
                let read = file.read_at(0, 4096).await;
                for error in [written.err(), read.err()].into_iter().flatten() {
                    *count.borrow_mut().entry(error.kind()).or_insert(0) += 1;
                }
            }
        }
    });
    sim.run_for(Duration::from_secs(60));
    assert!(!sim.is_running(host));
    let failures = failures.borrow();
    assert!(failures[&std::io::ErrorKind::WriteZero] > 10, "{failures:?}");
    assert_eq!(failures.len(), 2, "{failures:?}");
}

#[test]
fn no_socket_is_in_the_file_system_and_no_address_but_the_hosts_own() {
    run_one(9, || async {
        let unix = Conn::connect_unix("/run/x".as_ref()).await;
        assert_eq!(unix.unwrap_err().kind(), std::io::ErrorKind::NotFound);
        assert!(Udp::connect_unix("/run/x".as_ref()).await.is_err());
        let elsewhere = crate::net::Bind { addr: "192.0.2.200:0".parse().unwrap(), nonlocal: false };
        let remote = "192.0.2.1:53".parse().unwrap();
        assert!(Udp::bind(elsewhere).is_err());
        assert!(Conn::connect_from(remote, elsewhere).await.is_err());
    });
}
