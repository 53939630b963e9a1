//! A name server that knows the records of one test.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, MX};
use hickory_proto::rr::{Name, RData, RecordType};

/// A record of a name.
#[derive(Clone, Copy, Debug)]
pub enum Record {
    /// Preference and host.
    Mx(u16, &'static str),
    /// An IPv4 address.
    A(&'static str),
}

/// A name server on loopback. Ends with the test.
#[derive(Debug)]
pub struct NameServer {
    port: u16,
    stopped: Arc<AtomicBool>,
}

impl NameServer {
    /// Starts one that knows these records. Other names do not exist.
    pub fn start(records: &[(&'static str, Record)]) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
        let port = socket.local_addr().expect("a bound socket has an address").port();
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let records = records.to_vec();
        std::thread::spawn(move || {
            let mut query = [0u8; 4096];
            while !stop.load(Ordering::SeqCst) {
                let Ok((len, peer)) = socket.recv_from(&mut query) else { continue };
                if let Some(answer) = answer(&query[..len], &records) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        NameServer { port, stopped }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

fn answer(query: &[u8], records: &[(&'static str, Record)]) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let name = question.name().to_ascii().to_ascii_lowercase();
    let of_name = || records.iter().filter(|(owner, _)| name.trim_end_matches('.') == *owner);
    let mut message = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.recursion_available = true;
    if of_name().next().is_none() {
        message.metadata.response_code = ResponseCode::NXDomain;
    }
    for (_, record) in of_name() {
        let data = match (record, question.query_type()) {
            (Record::Mx(preference, host), RecordType::MX) => {
                RData::MX(MX::new(*preference, Name::from_ascii(host).expect("the test's own name")))
            }
            (Record::A(address), RecordType::A) => {
                let address: Ipv4Addr = address.parse().expect("the test's own address");
                RData::A(A(address))
            }
            _ => continue,
        };
        message.add_answer(hickory_proto::rr::Record::from_rdata(question.name().clone(), 60, data));
    }
    message.add_query(question);
    message.to_vec().ok()
}
