//! Where a connection comes from, and sockets in the file system.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixStream};

use super::*;
use crate::testing::TempDir;

#[test]
fn a_connection_comes_from_the_address_and_port_it_was_bound_to() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("binds");
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.6:0").unwrap().local_addr().unwrap();
        let from = Bind { addr: free, nonlocal: false };
        let near = Conn::connect_from(listener.local_addr(), from);
        let near = spawn(Class::Interactive, near);
        let far = listener.accept().await.expect("accepts");
        let near = near.await.expect("runs").expect("connects");
        assert_eq!((far.peer_addr(), near.local_addr()), (free, free));

        let other_family = Bind { addr: "[::1]:0".parse().unwrap(), nonlocal: false };
        assert!(Conn::connect_from(listener.local_addr(), other_family).await.is_err());
    });
}

#[test]
fn a_bound_socket_has_its_address_at_once_and_keeps_it_for_its_connection() {
    on_a_shard(|| async {
        let listener = Listener::bind(loopback(), 0).expect("binds");
        let free = std::net::TcpListener::bind("127.0.0.6:0").unwrap().local_addr().unwrap();
        let from = Bind { addr: free, nonlocal: false };
        let bound = Bound::bind(from).expect("binds");
        assert_eq!(Bound::bind(from).expect_err("in use").kind(), io::ErrorKind::AddrInUse);
        assert!(std::net::TcpListener::bind(free).is_err(), "the kernel knows of it");
        let foreign = Bind { addr: "192.0.2.1:0".parse().unwrap(), nonlocal: false };
        assert_eq!(Bound::bind(foreign).expect_err("not ours").kind(), io::ErrorKind::AddrNotAvailable);

        let near = spawn(Class::Interactive, bound.connect(listener.local_addr()));
        let far = listener.accept().await.expect("accepts");
        let near = near.await.expect("runs").expect("connects");
        assert_eq!((far.peer_addr(), near.local_addr()), (free, free));
        near.send(Bytes::from_static(b"x")).await.expect("sends");
        assert_eq!(&far.recv().await.expect("receives")[..], b"x");

        let other = Bound::bind(Bind { addr: loopback(), nonlocal: false }).expect("binds");
        let closed = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(other.connect(closed).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_bound_datagram_socket_receives_from_everybody_until_it_has_a_peer() {
    on_a_shard(|| async {
        let near = Udp::bind(Bind { addr: loopback(), nonlocal: false }).expect("binds");
        let from = Bind { addr: near.local_addr(), nonlocal: false };
        assert_eq!(Udp::bind(from).expect_err("in use").kind(), io::ErrorKind::AddrInUse);
        assert!(near.send(Bytes::from_static(b"x")).await.is_err(), "to nobody");
        let peers = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        for peer in &peers {
            peer.send_to(b"x", near.local_addr()).unwrap();
            assert_eq!(&near.recv().await.expect("receives")[..], b"x");
        }
        near.set_peer(peers[1].local_addr().unwrap()).expect("connects");
        peers[0].send_to(b"0", near.local_addr()).unwrap();
        peers[1].send_to(b"1", near.local_addr()).unwrap();
        assert_eq!(&near.recv().await.expect("receives")[..], b"1");
    });
}

#[test]
fn datagrams_come_from_the_address_they_were_bound_to() {
    on_a_shard(|| async {
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let from = Bind { addr: "127.0.0.7:0".parse().unwrap(), nonlocal: false };
        let near = Udp::bind(from).expect("binds");
        near.set_peer(far.local_addr().unwrap()).expect("connects");
        near.send(Bytes::from_static(b"x")).await.expect("sends");
        let mut buf = [0; 8];
        let (len, peer) = far.recv_from(&mut buf).unwrap();
        assert_eq!((len, peer), (1, near.local_addr()));
        assert_eq!(peer.ip(), from.addr.ip());
    });
}

#[test]
fn sockets_of_the_file_system_carry_streams_and_datagrams() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let stream = temp.path().join("stream");
        let listener = std::os::unix::net::UnixListener::bind(&stream).unwrap();
        let near = Conn::connect_unix(&stream).await.expect("connects");
        let (mut far, _) = listener.accept().unwrap();
        near.send(Bytes::from_static(b"PING")).await.expect("sends");
        let mut got = [0; 4];
        io::Read::read_exact(&mut far, &mut got).unwrap();
        io::Write::write_all(&mut far, b"PONG").unwrap();
        drop(far);
        assert_eq!((&got, &recv_all(&near).await[..]), (b"PING", &b"PONG"[..]));
        assert!(near.local_addr().ip().is_unspecified() && near.peer_addr().ip().is_unspecified());

        let datagrams = temp.path().join("datagrams");
        let far = UnixDatagram::bind(&datagrams).unwrap();
        let near = Udp::connect_unix(&datagrams).await.expect("connects");
        near.send(Bytes::from_static(b"<22>hello")).await.expect("sends");
        let mut got = [0; 16];
        assert_eq!(far.recv(&mut got).unwrap(), 9);

        let missing = temp.path().join("missing");
        assert_eq!(Conn::connect_unix(&missing).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(Udp::connect_unix(&missing).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        let long = temp.path().join("x".repeat(200));
        assert_eq!(Conn::connect_unix(&long).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    });
}

const PRIVATE: UnixOptions = UnixOptions { mode: 0o600, uid: None, gid: None, backlog: 16 };

#[test]
fn a_listener_in_the_file_system_has_its_mode_and_knows_its_clients() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let path = temp.path().join("ctl");
        let listener = UnixListener::bind(&path, &UnixOptions { mode: 0o660, ..PRIVATE }).expect("binds");
        let found = std::fs::symlink_metadata(&path).unwrap();
        assert!(found.file_type().is_socket() && found.mode() & 0o7777 == 0o660, "{:o}", found.mode());

        let near = spawn(Class::Interactive, async move { Conn::connect_unix(&path).await });
        let far = listener.accept().await.expect("accepts");
        let near = near.await.expect("runs").expect("connects");
        let who = far.credentials().expect("a socket in the file system");
        assert_eq!((who.pid, who.uid), (Some(std::process::id()), found.uid()));
        assert!(far.peer_addr().ip().is_unspecified() && far.local_addr().ip().is_unspecified());
        near.send(Bytes::from_static(b"PING")).await.expect("sends");
        assert_eq!(&far.recv().await.expect("receives")[..], b"PING");

        let (_listener, near, far) = pair().await;
        assert!(near.credentials().is_err() && far.credentials().is_err(), "TCP knows nobody");
    });
}

#[test]
fn a_stale_socket_is_replaced_and_one_in_use_or_another_file_is_not() {
    on_a_shard(|| async {
        let temp = TempDir::new();
        let path = temp.path().join("ctl");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = UnixListener::bind(&path, &PRIVATE).expect("nobody listens there");
        let refused = UnixListener::bind(&path, &PRIVATE).expect_err("it is in use");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists(), "the failure leaves the other's socket alone");

        // Somebody took the name over: it is not ours to remove.
        std::fs::remove_file(&path).unwrap();
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(UnixStream::connect(&path).is_ok());
        drop(other);

        drop(UnixListener::bind(&path, &PRIVATE).expect("binds"));
        assert!(!path.exists());
        std::fs::write(&path, "text").unwrap();
        let refused = UnixListener::bind(&path, &PRIVATE).expect_err("a file");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert!(path.exists());
    });
}
