//! The end of listening, and its beginning.

use super::*;

#[test]
fn closing_a_listener_gives_the_connections_that_were_taken_from_the_kernel() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("a free port");
        let addr = listener.local_addr();
        let first = Conn::connect(to(addr)).await.expect("it listens");
        drop(listener.accept().await.expect("somebody has connected"));
        drop(first);
        // Accepted by the driver, as nobody stops it, and not taken.
        let mut waiting = Vec::new();
        for _ in 0..5 {
            waiting.push(Conn::connect(to(addr)).await.expect("it listens"));
        }
        settle().await;
        let accepted = listener.close().await;
        assert_eq!(accepted.len(), 5);
        for conn in &accepted {
            conn.send(Bytes::from_static(b"421 later\r\n")).await.expect("the peer is there");
        }
        drop(accepted);
        for conn in &waiting {
            assert_eq!(recv_all(conn).await, b"421 later\r\n");
        }
        settle().await;
        assert!(Conn::connect(to(addr)).await.is_err(), "nobody listens any more");
    });
}

#[test]
fn closing_a_listener_that_never_accepted_gives_none() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("a free port");
        assert!(listener.close().await.is_empty());
    });
}

#[test]
fn a_reserved_address_refuses_until_it_listens() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("a free port");
        let addr = listener.local_addr();
        drop(listener);
        settle().await;
        let reservation = Reservation::take(addr).expect("it was free");
        let refused = Conn::connect(to(addr)).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let listener = reservation.listen(0).expect("it is bound");
        let conn = Conn::connect(to(addr)).await.expect("it listens");
        listener.accept().await.expect("somebody has connected");
        drop(conn);
    });
}

#[test]
fn a_copy_of_a_listener_keeps_connections_waiting_for_the_next_one() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("a free port");
        let addr = listener.local_addr();
        let kept = listener.duplicate().expect("descriptors are left");
        listener.close().await;
        settle().await;
        let conn = Conn::connect(to(addr)).await.expect("the copy listens");
        let passed = PassedSocket::of(kept);
        let next = Listener::adopt(passed, 0).expect("it listens");
        let accepted = next.accept().await.expect("it has waited");
        accepted.send(Bytes::from_static(b"220 hello\r\n")).await.expect("the peer is there");
        drop(accepted);
        assert_eq!(recv_all(&conn).await, b"220 hello\r\n");
    });
}
