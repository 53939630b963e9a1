//! What is about the whole: connections over shards, addresses that go while mail flows, names of addresses.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tests::peer::{Behaviour, Peer, Phase, Rule};
use tests::{Client, NameServer, Record, Smtpd, wait_until};

const BODY: &[u8] = b"Subject: x\r\n\r\nx\r\n";

/// Nanoseconds of CPU that each shard's thread has had, by its name.
fn cpu_ns_of_shards(pid: u32) -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let of_task = |path: PathBuf| {
        let name = std::fs::read_to_string(path.join("comm")).ok()?.trim().to_owned();
        let stat = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let cpu_ns = stat.split(' ').next()?.parse().ok()?;
        name.starts_with("shard").then_some((name, cpu_ns))
    };
    let mut shards: Vec<_> = tasks.filter_map(|task| of_task(task.ok()?.path())).collect();
    shards.sort();
    shards
}

#[test]
fn eight_equally_busy_long_connections_load_four_shards_evenly() {
    let peer = Peer::start(Behaviour::new().forget_data());
    let server = Smtpd::relay_to(peer.port()).shards(4).start();
    let before = cpu_ns_of_shards(server.pid());
    let port = server.port();
    let each = 150;
    let clients: Vec<_> = (0..8)
        .map(|number| {
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                for _ in 0..each {
                    client.send(&format!("{number}@a.example"), &["x@b.example"], BODY);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("it sends"));
    let after = cpu_ns_of_shards(server.pid());
    assert_eq!(after.len(), 4, "{after:?}");
    let used: Vec<u64> = before.iter().zip(&after).map(|(before, after)| after.1 - before.1).collect();
    let (most, mean) = (*used.iter().max().expect("four"), used.iter().sum::<u64>() / 4);
    println!(
        "8 connections of {each} messages over 4 shards: {:?} ms of CPU, busiest {:.2} times the mean",
        used.iter().map(|ns| ns / 1_000_000).collect::<Vec<_>>(),
        most as f64 / mean as f64
    );
    assert!(most * 2 <= mean * 3, "{used:?}");
}

/// An address of this machine that can be taken away again.
struct Address(&'static str);

impl Address {
    /// `None`: this user may not.
    fn add(address: &'static str) -> Option<Address> {
        ip("add", address).then_some(Address(address))
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        ip("del", self.0);
    }
}

fn ip(what: &str, address: &str) -> bool {
    let address = format!("{address}/32");
    let done = Command::new("ip").args(["addr", what, &address, "dev", "lo"]).output();
    done.is_ok_and(|output| output.status.success())
}

#[test]
fn an_address_taken_away_under_load_sends_nothing_from_elsewhere_and_goes_on_when_it_is_back() {
    let (staying, going) = ("198.51.100.21", "198.51.100.22");
    let (Some(_staying), Some(gone)) = (Address::add(staying), Address::add(going)) else {
        eprintln!("skipped: needs the right to add addresses to the loopback interface");
        return;
    };
    // One message for each connection: each asks for its address.
    let rule = Rule::at(Phase::Dot).reply_then_close("250 2.0.0 taken");
    let peer = Peer::start(Behaviour::new().forget_data().rule(rule));
    let addresses = format!(
        "addresses:\n  - {{id: a, address: {staying}, hostname: a.out.example}}\n  \
         - {{id: b, address: {going}, hostname: b.out.example}}\n"
    );
    let connection =
        format!("connection: {{server: 127.0.0.1, port: {}, sourceip: {{ipv4: [a, b]}}}}", peer.port());
    let server = Smtpd::relay_to(peer.port()).replace_connection(&connection).running(&addresses).start();
    let mut client = Client::connect(server.port());
    let mut send = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            client.send(&format!("{number}@a.example"), &["x@b.example"], BODY);
        }
    };
    send(0..150);
    drop(gone);
    send(150..300);
    server.wait_for_log(&format!("this host does not have the source address {going}"));
    std::thread::sleep(Duration::from_millis(500));
    let meanwhile = peer.message_count();
    assert!(meanwhile < 300, "those of the missing address wait");
    let back = Address::add(going).expect("it could be added before");
    // The pause after a fault of this host is 15 seconds at first.
    let came = wait_until(Duration::from_secs(60), || peer.message_count() >= 300);
    drop(back);
    let from: BTreeSet<String> =
        peer.connections().iter().map(|connection| connection.source.ip().to_string()).collect();
    let log = server.log();
    let count = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    println!(
        "300 messages, an address taken away after 150: {meanwhile} delivered without it, {} in the end, \
         from {from:?}, {} deferred, {} bounced",
        peer.message_count(),
        count(" deferred "),
        count(" bounced ")
    );
    assert!(came, "what waited is delivered when the address is back");
    assert_eq!(from, BTreeSet::from([staying.to_owned(), going.to_owned()]));
    assert_eq!((count(" deferred "), count(" bounced ")), (0, 0));
}

#[test]
fn a_helo_name_that_dns_does_not_have_for_its_address_is_warned_of_at_start_and_at_reload() {
    let peer = Peer::start(Behaviour::new());
    let dns = NameServer::start(&[
        ("1.100.51.198.in-addr.arpa", Record::Ptr("good.out.example")),
        ("2.100.51.198.in-addr.arpa", Record::Ptr("other.example")),
    ]);
    let addresses = "addresses:\n  - {id: good, address: 198.51.100.1, hostname: good.out.example}\n  \
                     - {id: bad, address: 198.51.100.2, hostname: bad.out.example}\n  \
                     - {id: none, address: 198.51.100.3, hostname: none.out.example}\n";
    let connection = format!("connection: {{port: {}, sourceip: {{ipv4: [good, bad, none]}}}}", peer.port());
    let server =
        Smtpd::by_mx(peer.port(), dns.port()).replace_connection(&connection).running(addresses).start();
    let other = "addresses \"bad\": mail from 198.51.100.2 says EHLO bad.out.example, \
                 but its name in DNS (PTR) is other.example";
    let none = "addresses \"none\": mail from 198.51.100.3 says EHLO none.out.example, \
                but the address has no name in DNS (PTR)";
    let count = |text: &str| server.log().iter().filter(|line| line.contains(text)).count();
    server.wait_for_log(other);
    server.wait_for_log(none);
    server.signal(nix::sys::signal::Signal::SIGHUP);
    assert!(wait_until(Duration::from_secs(20), || (count(other), count(none)) == (2, 2)), "once more");
    assert_eq!(count("good.out.example"), 0);
}

#[test]
fn without_a_retry_block_mail_for_a_next_hop_that_says_450_waits() {
    let peer = Peer::start(Behaviour::new().rule(Rule::at(Phase::Rcpt).reply("450 4.2.1 later")));
    let server = Smtpd::relay_to(peer.port()).without_retry().start();
    Client::connect(server.port()).send("a@a.example", &["x@b.example"], BODY);
    server.wait_for_log(" deferred ");
    let log = server.log();
    let deferred = log.iter().find(|line| line.contains(" deferred ")).expect("it was waited for");
    println!("{deferred}");
    assert!(!log.iter().any(|line| line.contains(" bounced ") || line.contains(" expired ")));
    assert_eq!(peer.message_count(), 0);
}
