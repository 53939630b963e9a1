//! `kill -9` under load, disks that fill up, and what is delivered afterwards.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tests::{Client, Sink, Smtpd, wait_until};

/// Sends numbered messages until told to stop; remembers those that were answered `250`, and those whose fate it
/// did not learn.
#[derive(Default)]
struct Senders {
    next: AtomicU64,
    stop: AtomicBool,
    acknowledged: Mutex<HashSet<u64>>,
    unsure: Mutex<HashSet<u64>>,
}

impl Senders {
    /// Runs `count` senders against `port` until the connection breaks or [`Senders::stop`] is set.
    fn run(self: &Arc<Self>, port: u16, count: usize) -> Vec<std::thread::JoinHandle<()>> {
        (0..count)
            .map(|_| {
                let senders = Arc::clone(self);
                std::thread::spawn(move || senders.send_all(port))
            })
            .collect()
    }

    fn send_all(&self, port: u16) {
        let Ok(stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return };
        drop(stream);
        let mut client = Client::open(port);
        if !client.reply().starts_with("220") || client.try_write(b"EHLO x.example\r\n").is_err() {
            return;
        }
        if !client.reply().starts_with("250") {
            return;
        }
        while !self.stop.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let envelope = format!("MAIL FROM:<{number}@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n");
            if client.try_write(envelope.as_bytes()).is_err() {
                return;
            }
            if ["250", "250", "354"].iter().any(|code| !client.reply().starts_with(code)) {
                return;
            }
            self.unsure.lock().expect("not poisoned").insert(number);
            if client.try_write(format!("{}.\r\n", body(number)).as_bytes()).is_err() {
                return;
            }
            let reply = client.reply();
            if reply.is_empty() {
                return;
            }
            self.unsure.lock().expect("not poisoned").remove(&number);
            if reply.starts_with("250") {
                self.acknowledged.lock().expect("not poisoned").insert(number);
            }
        }
    }
}

fn body(number: u64) -> String {
    format!("Subject: {number}\r\n\r\n{}\r\n", format!("{number:08} ").repeat(200))
}

/// Waits until all that was acknowledged has come. Counting would not do: what was not acknowledged may come, too.
fn wait_for_acknowledged(senders: &Senders, sink: &Sink) {
    wait_until(Duration::from_secs(60), || {
        let come: HashSet<String> = sink.messages().into_iter().map(|message| message.from).collect();
        let acknowledged = senders.acknowledged.lock().expect("not poisoned");
        acknowledged.iter().all(|number| come.contains(&format!("{number}@a.example")))
    });
}

/// Every acknowledged message arrived, whole; what arrived twice was in one of the two windows.
fn check(senders: &Senders, sink: &Sink, kills: usize, at_once: usize) {
    let acknowledged = senders.acknowledged.lock().expect("not poisoned").clone();
    let unsure = senders.unsure.lock().expect("not poisoned").clone();
    let mut times: HashMap<u64, usize> = HashMap::new();
    for message in sink.messages() {
        let number: u64 =
            message.from.split('@').next().and_then(|n| n.parse().ok()).expect("our own sender");
        assert!(message.original() == body(number).as_bytes(), "{number} is damaged");
        assert!(acknowledged.contains(&number) || unsure.contains(&number), "{number} was refused, yet came");
        *times.entry(number).or_default() += 1;
    }
    let lost: Vec<&u64> = acknowledged.iter().filter(|number| !times.contains_key(number)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged messages lost: {lost:?}", lost.len(), acknowledged.len());
    // Only what the next hop had answered when the server died can come twice: at each kill, at most the attempts
    // in flight and those whose settle had not been written yet (20 ms).
    let doubled = times.values().filter(|times| **times > 1).count();
    println!("{} acknowledged, {doubled} came twice, {kills} kills", acknowledged.len());
    assert!(doubled <= kills * at_once, "{doubled} messages came twice after {kills} kills");
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_under_load() {
    const KILLS: usize = 12;
    let sink = Sink::start();
    let senders = Arc::new(Senders::default());
    let mut builder = Smtpd::relay_to(sink.port());
    // Each start has another number of shards and the other driver.
    for (start, shards) in [2, 1, 8, 2, 3, 1, 2, 8, 2, 3, 2, 1].into_iter().enumerate() {
        let driver = ["uring", "epoll"][start % 2];
        let server = builder.shards(shards).driver(driver).start();
        let threads = senders.run(server.port(), 6);
        std::thread::sleep(Duration::from_millis(400));
        builder = server.kill();
        for thread in threads {
            thread.join().expect("a sender does not panic");
        }
    }
    let _server = builder.shards(2).start();
    let all = senders.acknowledged.lock().expect("not poisoned").len();
    assert!(all > 100, "only {all} messages were sent: the test shows nothing");
    wait_for_acknowledged(&senders, &sink);
    check(&senders, &sink, KILLS, 400);
}

#[test]
fn mail_of_a_dead_next_hop_survives_kills_and_changes_of_the_shard_count() {
    let port = tests::free_port();
    let senders = Arc::new(Senders::default());
    let mut builder = Smtpd::relay_to(port);
    for shards in [1, 8, 2, 3] {
        let server = builder.shards(shards).start();
        let threads = senders.run(server.port(), 4);
        std::thread::sleep(Duration::from_millis(300));
        builder = server.kill();
        for thread in threads {
            thread.join().expect("a sender does not panic");
        }
    }
    let sink = Sink::start_on(port);
    let _server = builder.shards(2).start();
    wait_for_acknowledged(&senders, &sink);
    std::thread::sleep(Duration::from_millis(500));
    // Nothing was delivered before, so nothing may come twice.
    check(&senders, &sink, 0, 0);
}

#[test]
fn a_server_with_20000_queued_messages_accepts_and_delivers_at_once_after_a_crash() {
    let port = tests::free_port();
    let hold_all = "version: \"6.10\"\nsuspends:\n  - {}\n";
    let server = Smtpd::relay_to(port).suspends(Some(hold_all)).start();
    let senders = Arc::new(Senders::default());
    let threads = senders.run(server.port(), 8);
    wait_until(Duration::from_secs(20), || senders.next.load(Ordering::SeqCst) > 20_000);
    senders.stop.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().expect("a sender does not panic");
    }
    let queued = senders.acknowledged.lock().expect("not poisoned").len();
    let builder = server.kill();
    let start = Instant::now();
    let sink = Sink::start_on(port);
    let server = builder.suspends(None).start();
    Client::connect(server.port()).send("fresh@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    println!("{queued} queued, new mail accepted {:?} after the start", start.elapsed());
    assert!(wait_until(Duration::from_secs(60), || sink.messages().len() > queued));
    println!("all delivered {:?} after the start", start.elapsed());
}
