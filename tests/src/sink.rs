//! A next hop that records what it is given.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::wait_until;

/// A message as the sink got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Reverse-path without brackets.
    pub from: String,
    /// Forward-paths without brackets.
    pub to: Vec<String>,
    /// The message, dots undone.
    pub data: Vec<u8>,
}

impl Message {
    /// What stands behind the server's own Received field, which must be the first and well-formed.
    ///
    /// # Panics
    /// When it is not there.
    pub fn original(&self) -> &[u8] {
        assert!(
            self.data.starts_with(b"Received: from "),
            "no Received field: {:?}",
            String::from_utf8_lossy(&self.data[..self.data.len().min(200)])
        );
        let mut end = 0;
        loop {
            let line =
                self.data[end..].windows(2).position(|pair| pair == b"\r\n").expect("lines end with CRLF");
            end += line + 2;
            if !matches!(self.data.get(end), Some(b' ' | b'\t')) {
                return &self.data[end..];
            }
        }
    }
}

/// What the sink answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkReply {
    /// To everything as it should.
    Accept,
    /// This reply to every RCPT.
    Rcpt(String),
    /// This reply to the final dot.
    Eod(String),
    /// This greeting.
    Banner(String),
}

/// A next hop on loopback. Ends with the test.
#[derive(Debug)]
pub struct Sink {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    messages: Mutex<Vec<Message>>,
    reply: Mutex<SinkReply>,
    connections: AtomicUsize,
    open: AtomicUsize,
    open_max: AtomicUsize,
    stopped: AtomicBool,
    pause: Mutex<Duration>,
}

impl Sink {
    /// Starts one on a free port.
    pub fn start() -> Sink {
        Sink::start_on(0)
    }

    /// Starts one on this port.
    pub fn start_on(port: u16) -> Sink {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a loopback port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared {
            messages: Mutex::default(),
            reply: Mutex::new(SinkReply::Accept),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            open_max: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            pause: Mutex::default(),
        });
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if state.stopped.load(Ordering::SeqCst) {
                    break;
                }
                state.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&state);
                std::thread::spawn(move || {
                    let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
                    state.open_max.fetch_max(open, Ordering::SeqCst);
                    // A peer that goes away ends its session.
                    let _ = converse(&stream, &state);
                    state.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Sink { port, shared }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it answers from now on.
    pub fn answer(&self, reply: SinkReply) {
        *self.shared.reply.lock().expect("not poisoned") = reply;
    }

    /// How long it waits before its answer to a final dot.
    pub fn pause(&self, pause: Duration) {
        *self.shared.pause.lock().expect("not poisoned") = pause;
    }

    /// What it has got so far.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.messages.lock().expect("not poisoned").clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Most connections at once.
    pub fn open_max(&self) -> usize {
        self.shared.open_max.load(Ordering::SeqCst)
    }

    /// Waits until it has got `count` messages, and gives them.
    ///
    /// # Panics
    /// When they do not come within a minute.
    pub fn wait_for(&self, count: usize) -> Vec<Message> {
        let came = wait_until(Duration::from_secs(60), || {
            self.shared.messages.lock().expect("not poisoned").len() >= count
        });
        let messages = self.messages();
        assert!(came, "{} of {count} messages came", messages.len());
        messages
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accept, which then ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn converse(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    let mut output = stream;
    let reply = || shared.reply.lock().expect("not poisoned").clone();
    if let SinkReply::Banner(text) = reply() {
        return output.write_all(format!("{text}\r\n").as_bytes());
    }
    output.write_all(b"220 sink.test.example ESMTP\r\n")?;
    let mut message = Message { from: String::new(), to: Vec::new(), data: Vec::new() };
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let path = || text.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer = match text.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => "250-sink.test.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE".to_owned(),
            "HELO" | "NOOP" => "250 ok".to_owned(),
            "RSET" => {
                message.to.clear();
                "250 ok".to_owned()
            }
            "MAIL" => {
                message.from = path();
                message.to.clear();
                "250 ok".to_owned()
            }
            "RCPT" => match reply() {
                SinkReply::Rcpt(text) => text,
                _ => {
                    message.to.push(path());
                    "250 ok".to_owned()
                }
            },
            "DATA" if message.to.is_empty() => "503 no recipients".to_owned(),
            "DATA" => {
                output.write_all(b"354 go on\r\n")?;
                message.data = read_message(&mut input)?;
                std::thread::sleep(*shared.pause.lock().expect("not poisoned"));
                match reply() {
                    SinkReply::Eod(text) => text,
                    _ => {
                        shared.messages.lock().expect("not poisoned").push(message.clone());
                        "250 2.0.0 taken".to_owned()
                    }
                }
            }
            "QUIT" => {
                output.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => "500 what?".to_owned(),
        };
        output.write_all(format!("{answer}\r\n").as_bytes())?;
    }
}

fn read_message(input: &mut impl std::io::BufRead) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    let mut line = Vec::new();
    // A line ends with CRLF only; a bare LF is a part of it.
    let mut whole = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        whole.extend_from_slice(&line);
        if !whole.ends_with(b"\r\n") {
            continue;
        }
        if whole == b".\r\n" {
            return Ok(data);
        }
        data.extend_from_slice(whole.strip_prefix(b".").unwrap_or(&whole));
        whole.clear();
    }
}
