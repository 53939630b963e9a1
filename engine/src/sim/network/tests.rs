use super::*;

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 2));

/// Two hosts; process 1 runs on A, process 2 on B.
struct Wire {
    network: Network,
    queue: Vec<(u64, u64, Packet)>,
    number: u64,
}

impl Wire {
    fn new(seed: u64) -> Wire {
        let mut network = Network::new(Random::new(seed));
        network.add_host(A);
        network.add_host(B);
        Wire { network, queue: Vec::new(), number: 0 }
    }

    /// Lets everything arrive, in order of time.
    fn settle(&mut self) {
        loop {
            for (at, packet) in self.network.take_scheduled() {
                self.number += 1;
                self.queue.push((at, self.number, packet));
            }
            let Some(next) = (0..self.queue.len()).min_by_key(|&i| (self.queue[i].0, self.queue[i].1)) else {
                return;
            };
            let (at, _, packet) = self.queue.remove(next);
            self.network.set_now(at);
            self.network.arrive(packet);
        }
    }

    fn pair(&mut self) -> (Socket, Socket) {
        let addr = SocketAddr::new(B, 25);
        let listener = self.network.listen(2, B, addr, 10).expect("bound");
        let client = self.network.connect(1, A, addr, None).expect("begun");
        assert!(!self.network.connected(client).expect("under way"));
        self.settle();
        assert!(self.network.connected(client).expect("through"));
        let server = self.network.accept(listener).expect("a listener").expect("one waits");
        (client, server)
    }
}

fn code<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
    result.expect_err("must fail").raw_os_error()
}

#[test]
fn bytes_arrive_in_order_whatever_the_segments() {
    for seed in 0..50 {
        let mut wire = Wire::new(seed);
        let (client, server) = wire.pair();
        let data: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        let (mut sent, mut got) = (0, Vec::new());
        while got.len() < data.len() {
            if let Some(n) = wire.network.send(client, &data[sent..]).expect("open") {
                sent += n;
            }
            assert!(sent - got.len() <= WINDOW_BYTES, "backpressure");
            if wire.network.random.flip() {
                wire.settle();
                got.extend(wire.network.recv(server, 5000).expect("open").unwrap_or_default());
            }
        }
        assert_eq!(got, data);
        wire.network.shutdown(client).expect("open");
        wire.settle();
        assert_eq!(wire.network.recv(server, 10).expect("the end"), Some(Vec::new()));
    }
}

#[test]
fn nobody_listening_is_refused_and_no_such_address_times_out() {
    let mut wire = Wire::new(1);
    let refused = wire.network.connect(1, A, SocketAddr::new(B, 25), None).expect("begun");
    wire.settle();
    assert_eq!(code(wire.network.connected(refused)), Some(libc::ECONNREFUSED));
    let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 25);
    let unanswered = wire.network.connect(1, A, nowhere, None).expect("begun");
    let before = wire.network.now_ns;
    wire.settle();
    assert_eq!(code(wire.network.connected(unanswered)), Some(libc::ETIMEDOUT));
    assert!(wire.network.now_ns - before >= CONNECT_TIMEOUT_NS);
}

#[test]
fn a_kill_ends_the_streams_of_the_process_and_frees_its_port() {
    let mut wire = Wire::new(1);
    let (client, _) = wire.pair();
    let addr = SocketAddr::new(B, 25);
    assert_eq!(code(wire.network.probe_bind(B, addr)), Some(libc::EADDRINUSE));
    wire.network.end_process(2, B, Crash::Process);
    wire.settle();
    assert_eq!(wire.network.recv(client, 10).expect("the end"), Some(Vec::new()));
    wire.network.probe_bind(B, addr).expect("free");
    // What is sent now meets nobody.
    wire.network.send(client, b"QUIT\r\n").expect("the kernel takes it");
    wire.settle();
    assert_eq!(code(wire.network.send(client, b"x")), Some(libc::ECONNRESET));
}

#[test]
fn unread_bytes_turn_a_close_into_a_reset() {
    let mut wire = Wire::new(1);
    let (client, server) = wire.pair();
    wire.network.send(client, b"hello").expect("open");
    wire.settle();
    wire.network.close(server);
    wire.settle();
    assert_eq!(code(wire.network.recv(client, 10)), Some(libc::ECONNRESET));
}

#[test]
fn a_power_loss_is_noticed_late() {
    let mut wire = Wire::new(1);
    let (client, _) = wire.pair();
    wire.network.end_process(2, B, Crash::Power);
    assert_eq!(wire.network.recv(client, 10).expect("nothing is known yet"), None);
    wire.settle();
    assert_eq!(code(wire.network.recv(client, 10)), Some(libc::ECONNRESET));
    let silent = wire.network.connect(1, A, SocketAddr::new(B, 25), None).expect("begun");
    wire.settle();
    assert_eq!(code(wire.network.connected(silent)), Some(libc::ETIMEDOUT));
}

#[test]
fn listeners_of_one_port_share_the_connects() {
    let mut wire = Wire::new(1);
    let addr = SocketAddr::new(B, 25);
    let listeners = [1, 2, 3].map(|_| wire.network.listen(2, B, addr, 100).expect("shared"));
    for _ in 0..60 {
        wire.network.connect(1, A, addr, None).expect("begun");
    }
    wire.settle();
    for listener in listeners {
        let count = std::iter::from_fn(|| wire.network.accept(listener).expect("a listener")).count();
        assert!((5..40).contains(&count), "{count}");
    }
}

#[test]
fn datagrams_get_lost_doubled_and_answered() {
    let mut wire = Wire::new(1);
    let addr = SocketAddr::new(B, 53);
    wire.network.add_responder(addr, Box::new(|query| vec![[query, b"!"].concat()]));
    let socket = wire.network.datagrams(1, A, addr).expect("open");
    wire.network.send_datagram(socket, b"q").expect("sent");
    wire.settle();
    assert_eq!(wire.network.recv_datagram(socket).expect("open").as_deref(), Some(&b"q!"[..]));
    assert_eq!(wire.network.recv_datagram(socket).expect("open"), None);
    wire.network.datagram_duplicate = 1.0;
    wire.network.send_datagram(socket, b"q").expect("sent");
    wire.settle();
    let copies = std::iter::from_fn(|| wire.network.recv_datagram(socket).expect("open")).count();
    assert_eq!(copies, 4, "the query twice, each answer twice");
    wire.network.datagram_loss = 1.0;
    wire.network.send_datagram(socket, b"q").expect("sent");
    wire.settle();
    assert_eq!(wire.network.recv_datagram(socket).expect("open"), None);
}
