use std::rc::Rc;

use super::*;
use crate::boot::current;
use crate::stats;
use crate::task::{Class, Task, spawn, yield_now};
use crate::testing::{alone, on_a_shard};
use crate::time::{sleep, timeout};

mod close;
mod drops;
mod hand_over;
mod local;

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn to(remote: SocketAddr) -> Connect {
    Connect { remote, local: None }
}

/// A listener and two ends of a connection to it.
async fn pair() -> (Listener, Conn, Conn) {
    let listener = Listener::bind(loopback(), 0).expect("binds");
    let near = spawn(Class::Interactive, Conn::connect(to(listener.local_addr())));
    let far = listener.accept().await.expect("accepts");
    let near = near.await.expect("runs").expect("connects");
    (listener, near, far)
}

async fn recv_all(conn: &Conn) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = conn.recv().await.expect("receives");
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}

/// Bytes that tell where they stand.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 251 + n) as u8).collect()
}

async fn settle() {
    sleep(Duration::from_millis(50)).await;
}

#[test]
fn what_is_sent_arrives_and_the_end_of_the_stream_shows() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        assert_eq!(near.peer_addr(), far.local_addr());
        assert_eq!(near.local_addr(), far.peer_addr());
        near.send(Bytes::from_static(b"EHLO there\r\n")).await.expect("sends");
        assert_eq!(&*far.recv().await.expect("receives"), b"EHLO there\r\n");
        far.send_list(vec![Bytes::from_static(b"250 "), Bytes::new(), Bytes::from_static(b"OK\r\n")])
            .await
            .expect("sends");
        assert_eq!(&*near.recv().await.expect("receives"), b"250 OK\r\n");
        far.send(Bytes::new()).await.expect("sends nothing");
        far.send_list(vec![Bytes::new(), Bytes::new()]).await.expect("sends nothing");
        near.shutdown().await.expect("shuts down");
        assert!(far.recv().await.expect("receives").is_empty());
        assert!(far.recv().await.expect("receives").is_empty(), "and again");
        drop(far);
        assert!(recv_all(&near).await.is_empty());
    });
}

#[test]
fn a_wildcard_listener_tells_the_address_that_was_connected_to() {
    on_a_shard(|| async {
        let listener = Listener::bind(SocketAddr::from(([0, 0, 0, 0], 0)), 8).expect("binds");
        let remote = SocketAddr::from(([127, 0, 0, 9], listener.local_addr().port()));
        let local = Some(IpAddr::from([127, 0, 0, 5]));
        let near = spawn(Class::Interactive, Conn::connect(Connect { remote, local }));
        let far = listener.accept().await.expect("accepts");
        let near = near.await.expect("runs").expect("connects");
        assert_eq!(far.local_addr(), remote);
        assert_eq!(Some(far.peer_addr().ip()), local);
        assert_eq!(near.local_addr(), far.peer_addr());
    });
}

#[test]
fn connecting_reports_what_is_wrong() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("binds");
        let closed = listener.local_addr();
        drop(listener);
        settle().await;
        let refused = Conn::connect(to(closed)).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let mixed = Connect { remote: closed, local: Some(IpAddr::from([0; 16])) };
        let error = Conn::connect(mixed).await.expect_err("families differ");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let foreign = Connect { remote: closed, local: Some(IpAddr::from([192, 0, 2, 1])) };
        let error = Conn::connect(foreign).await.expect_err("not our address");
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn probing_a_port_in_use_says_so_although_listeners_share() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("binds");
        let addr = listener.local_addr();
        let second = Listener::bind(addr, 0).expect("shares the port");
        assert_eq!(second.local_addr(), addr);
        let error = probe_bind(addr).expect_err("in use");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        probe_bind(loopback()).expect("free");
    });
}

#[test]
fn a_large_send_reaches_a_slow_reader_whole() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        let data = pattern(8 << 20);
        let sent = Bytes::from(data.clone());
        let sender = spawn(Class::Interactive, async move {
            near.send(sent).await.expect("sends");
        });
        let mut received = Vec::new();
        while received.len() < data.len() {
            received.extend_from_slice(&far.recv().await.expect("receives"));
            if received.len() % 64 < 8 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        sender.await;
        assert!(received == data && recv_all(&far).await.is_empty());
    });
}

#[test]
fn a_list_longer_than_the_kernel_takes_goes_out_in_order() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        let data = pattern(3_000_000);
        let whole = Bytes::from(data.clone());
        let mut list = Vec::new();
        let mut at = 0;
        while at < whole.len() {
            // Also empty ones, at either end of a batch of IOV_MAX.
            let len = [0, 1, 700, 0, 1500][list.len() % 5].min(whole.len() - at);
            list.push(whole.slice(at..at + len));
            at += len;
        }
        assert!(list.len() > 3 * limits::GATHER_BUFFERS);
        let sender = spawn(Class::Interactive, async move {
            near.send_list(list).await.expect("sends");
        });
        sleep(Duration::from_millis(20)).await;
        assert!(recv_all(&far).await == data);
        sender.await;
    });
}

#[test]
fn what_nobody_takes_stops_at_a_window_and_goes_on_when_taken() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        let data = pattern(20 << 20);
        let sent = Bytes::from(data.clone());
        let sender = spawn(Class::Interactive, async move { near.send(sent).await });
        let first = far.recv().await.expect("receives");
        settle().await;
        let waiting: usize = shard::with(|shard| {
            let ops = shard.ops.borrow();
            ops.ids().into_iter().map(|id| ops.waiting(id).1).sum()
        });
        // The window, and what came in the turn in which it was full: no more than the ring holds.
        let most = limits::RECV_WINDOW_BYTES + usize::from(limits::RECV_BUFFERS) * limits::RECV_BUFFER_BYTES;
        let come = first.len() + waiting;
        assert!((limits::RECV_WINDOW_BYTES..=most).contains(&come), "{come} bytes have come");
        assert!(!sender.is_finished());
        let mut received = first.to_vec();
        drop(first);
        received.extend(recv_all(&far).await);
        assert!(received == data);
        assert!(sender.await.expect("runs").is_ok());
    });
}

#[test]
fn a_dropped_receive_loses_nothing() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        let data = pattern(100_000);
        let sent = Bytes::from(data.clone());
        let sender = spawn(Class::Interactive, async move {
            for piece in 0..100 {
                near.send(sent.slice(piece * 1000..(piece + 1) * 1000)).await.expect("sends");
                yield_now().await;
            }
        });
        let mut received = Vec::new();
        while received.len() < data.len() {
            if let Ok(bytes) = timeout(Duration::ZERO, far.recv()).await {
                received.extend_from_slice(&bytes.expect("receives"));
            }
            yield_now().await;
        }
        assert!(received == data);
        sender.await;
    });
}

/// More connections than the ring has buffers, each having been sent one line.
async fn many_that_sent_a_line() -> Vec<(Conn, Conn)> {
    let listener = Listener::bind(loopback(), 0).expect("binds");
    let mut conns = Vec::new();
    for n in 0..usize::from(limits::RECV_BUFFERS) + 50 {
        let near = spawn(Class::Interactive, Conn::connect(to(listener.local_addr())));
        let far = listener.accept().await.expect("accepts");
        let near = near.await.expect("runs").expect("connects");
        near.send(Bytes::from(format!("line {n}"))).await.expect("sends");
        conns.push((near, far));
    }
    conns
}

#[test]
fn holding_all_ring_buffers_starves_nobody() {
    on_a_shard(|| async {
        let conns = many_that_sent_a_line().await;
        let mut held = Vec::new();
        for (n, (_, far)) in conns.iter().enumerate() {
            // Not dropped: a session that waits for the disk with its bytes in hand.
            held.push(far.recv().await.expect("receives"));
            assert_eq!(&*held[n], format!("line {n}").as_bytes());
        }
        assert_eq!(stats::of(current()).recv_starved, 0);
        held.clear();
        for (near, far) in &conns {
            near.send(Bytes::from_static(b"QUIT")).await.expect("sends");
            assert_eq!(&*far.recv().await.expect("receives"), b"QUIT");
        }
    });
}

#[test]
fn receives_that_find_neither_ring_nor_heap_wait_for_buffers() {
    on_a_shard(|| async {
        let ring = shard::with(|shard| shard.driver.buffers());
        assert!(ring.try_count_heap(limits::RECV_HEAP_BYTES), "nothing is left for copies");
        let conns = many_that_sent_a_line().await;
        let held = Rc::new(std::cell::RefCell::new(Vec::new()));
        let receivers: Vec<Task<()>> = conns
            .into_iter()
            .enumerate()
            .map(|(n, (near, far))| {
                let held = held.clone();
                spawn(Class::Interactive, async move {
                    let bytes = far.recv().await.expect("running out of buffers is no error");
                    assert_eq!(&*bytes, format!("line {n}").as_bytes());
                    held.borrow_mut().push((bytes, near, far));
                })
            })
            .collect();
        settle().await;
        assert_eq!(held.borrow().len(), usize::from(limits::RECV_BUFFERS));
        assert!(stats::of(current()).recv_starved >= 50);
        let turns = stats::of(current()).turns;
        settle().await;
        assert!(stats::of(current()).turns - turns < 10, "waiting for buffers does not spin");
        drop(held.take());
        settle().await;
        assert_eq!(held.borrow().len(), 50);
        for receiver in receivers {
            receiver.await.expect("runs");
        }
        drop(held.take());
        ring.uncount_heap(limits::RECV_HEAP_BYTES);
    });
}

#[test]
fn a_thousand_connections_talk_at_once() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("binds");
        let addr = listener.local_addr();
        let server = spawn(Class::Interactive, async move {
            let mut sessions: Vec<Task<()>> = Vec::new();
            for _ in 0..1000 {
                let conn = listener.accept().await.expect("accepts");
                sessions.push(spawn(Class::Interactive, async move {
                    loop {
                        let bytes = conn.recv().await.expect("receives");
                        if bytes.is_empty() {
                            return;
                        }
                        conn.send(Bytes::copy_from_slice(&bytes)).await.expect("sends");
                    }
                }));
            }
            for session in sessions {
                session.await;
            }
        });
        let clients: Vec<Task<()>> = (0..1000)
            .map(|n| {
                spawn(Class::Interactive, async move {
                    let conn = Conn::connect(to(addr)).await.expect("connects");
                    for round in 0..3 {
                        let line = format!("client {n} round {round}");
                        conn.send(Bytes::from(line.clone())).await.expect("sends");
                        assert_eq!(&*conn.recv().await.expect("receives"), line.as_bytes());
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.expect("runs");
        }
        server.await.expect("runs");
        let stats = stats::of(current());
        assert!(stats.enters < stats.ops, "system calls are shared: {stats:?}");
    });
}

#[test]
fn sending_to_a_peer_that_is_gone_is_an_error_and_no_signal() {
    on_a_shard(|| async {
        let (_listener, near, far) = pair().await;
        drop(far);
        settle().await;
        let mut result = Ok(());
        for _ in 0..10 {
            result = near.send(Bytes::from_static(b"anyone?")).await;
            if result.is_err() {
                break;
            }
            settle().await;
        }
        let kind = result.expect_err("nobody receives it").kind();
        assert!(matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{kind}");
    });
}

#[test]
fn datagrams_keep_their_edges_and_errors_do_not_end_the_socket() {
    on_a_shard(|| async {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
        let udp = Udp::connect(server.local_addr().expect("bound")).await.expect("connects");
        server.connect(udp.local_addr()).expect("connects");
        udp.send(Bytes::from_static(b"query")).await.expect("sends");
        let mut query = [0; 64];
        assert_eq!(server.recv(&mut query).expect("receives"), 5);
        for answer in [&b"one"[..], b"", b"three"] {
            server.send(answer).expect("sends");
        }
        assert_eq!(&*udp.recv().await.expect("receives"), b"one");
        assert_eq!(&*udp.recv().await.expect("receives"), b"three");
        // Nobody at the other end: ICMP tells, and the socket goes on.
        let addr = server.local_addr().expect("bound");
        drop(server);
        udp.send(Bytes::from_static(b"query")).await.expect("sends");
        let refused = udp.recv().await.expect_err("port unreachable");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let server = std::net::UdpSocket::bind(addr).expect("binds again");
        server.send_to(b"back", udp.local_addr()).expect("sends");
        assert_eq!(&*udp.recv().await.expect("receives"), b"back");
    });
}

#[test]
fn without_descriptors_accepting_fails_once_and_then_goes_on() {
    alone("net::tests::without_descriptors_accepting_fails_once_and_then_goes_on", || {
        on_a_shard(|| async {
            let listener = Listener::bind(loopback(), 0).expect("binds");
            let clients: Vec<Conn> = {
                let mut clients = Vec::new();
                for _ in 0..3 {
                    clients.push(Conn::connect(to(listener.local_addr())).await.expect("connects"));
                }
                clients
            };
            let limit = |soft: u64| {
                let limit = libc::rlimit { rlim_cur: soft, rlim_max: 4096 };
                // SAFETY: `limit` is valid for reading.
                assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
            };
            // Below what is open: no new descriptor fits.
            limit(3);
            let error = listener.accept().await.expect_err("no descriptors");
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            let before = stats::of(current());
            assert!(timeout(Duration::from_millis(450), listener.accept()).await.is_err(), "reported once");
            let turns = stats::of(current()).turns - before.turns;
            assert!(turns < 30, "{turns} turns: it must not spin");
            limit(4096);
            for _ in 0..3 {
                timeout(Duration::from_secs(5), listener.accept()).await.expect("in time").expect("accepts");
            }
            drop(clients);
        });
    });
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Conn>() <= 96, "{} bytes", size_of::<Conn>());
}
