use std::net::{TcpListener, UdpSocket};

use super::*;

fn take(socket: impl Into<OwnedFd>) -> Result<PassedSocket, Unfit> {
    PassedSocket::take("smtp".to_owned(), socket.into())
}

#[test]
fn a_listening_socket_is_known_by_its_address_and_serves() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let addr = listener.local_addr().expect("bound");
    let passed = take(listener).expect("it listens");
    assert_eq!((passed.name(), passed.local_addr()), ("smtp", addr));
    let copy = passed.try_clone().expect("descriptors are left");
    let passed = std::sync::Mutex::new(vec![passed, copy]);
    let clients = std::sync::Mutex::new(Vec::new());
    crate::testing::on_shards(2, move |id| {
        // Whoever runs: once for each driver, on two shards and the control thread.
        let mine = passed.lock().expect("no panic").last().map(PassedSocket::try_clone);
        let client = (id.0 == 0).then(|| std::net::TcpStream::connect(addr).expect("it listens"));
        clients.lock().expect("no panic").extend(client);
        async move {
            if id.0 == 0 {
                let mine = mine.expect("one is left").expect("descriptors are left");
                let listener = crate::net::Listener::adopt(mine, 0).expect("it is a listener");
                assert_eq!(listener.local_addr(), addr);
                listener.accept().await.expect("somebody has connected");
            }
        }
    });
}

#[test]
fn what_does_not_listen_is_refused_by_name() {
    let udp = take(UdpSocket::bind("127.0.0.1:0").expect("a free port")).expect_err("no stream");
    assert_eq!(udp.to_string(), "socket \"smtp\" from the service manager: not a listening stream socket");
    let (one, _other) = std::os::unix::net::UnixStream::pair().expect("sockets are left");
    take(one).expect_err("it does not listen");
}

#[test]
fn a_socket_that_takes_both_families_is_refused_with_the_remedy() {
    // Without IPv6 there is nothing to try.
    let Ok(listener) = TcpListener::bind("[::]:0") else { return };
    let refused = take(listener).expect_err("takes IPv4, too");
    assert!(refused.why.contains("BindIPv6Only=ipv6-only"), "{refused}");
}

#[test]
fn the_manager_is_told_and_given_sockets() {
    let dir = std::env::temp_dir().join(format!("engine-service-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("it can be written");
    let path = dir.join("notify");
    let manager_end = UnixDatagram::bind(&path).expect("a fresh path");
    let manager = Manager::connect(path.as_os_str()).expect("somebody is there");
    manager.tell("READY=1").expect("there is room");
    let mut text = [0; 256];
    let len = manager_end.recv(&mut text).expect("it was sent");
    assert_eq!(&text[..len], b"READY=1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    manager.keep("smtp", &[listener.into()]).expect("there is room");
    let len = manager_end.recv(&mut text).expect("it was sent");
    assert_eq!(&text[..len], b"FDSTORE=1\nFDNAME=smtp");
    manager.tell_reloading().expect("there is room");
    let len = manager_end.recv(&mut text).expect("it was sent");
    assert!(text[..len].starts_with(b"RELOADING=1\nMONOTONIC_USEC="));
    drop(manager_end);
    assert!(manager.tell("STOPPING=1").is_err(), "nobody is left");
    std::fs::remove_dir_all(&dir).expect("it is ours");
}
