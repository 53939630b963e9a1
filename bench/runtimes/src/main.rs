//! One workload on four servers: a client sends lines of 100 bytes over many connections and waits for a line of
//! 100 bytes each time; the server answers every line. `run` beside this crate compares them; decision record
//! 0001 of the project rests on what it shows.
//!
//! Every server is one thread that does what its runtime suggests: a task per connection with a buffer of its
//! own where the runtime reads into the caller's buffer. All set TCP_NODELAY.

// The other runtimes are measured with what they and the standard library offer, not with the engine's calls.
#![allow(clippy::disallowed_methods)]

mod client;
mod server;

use std::process::ExitCode;

/// Length of a request and of a reply, with CRLF.
pub const LINE: usize = 100;

const USAGE: &str = "\
usage: runtimes engine|glommio|tokio|epoll PORT      serve on 127.0.0.1:PORT until killed
       runtimes client PORT CONNECTIONS SECONDS     measure; prints: rate p50_us p99_us
       runtimes idle PORT CONNECTIONS SECONDS       one request on each connection, then hold; prints READY
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|text| text.parse::<u32>().ok());
    let (Some(what), Some(port)) = (args.first(), number(1).and_then(|port| u16::try_from(port).ok())) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match (what.as_str(), number(2), number(3)) {
        ("engine", ..) => server::engine(port),
        ("glommio", ..) => server::glommio(port),
        ("tokio", ..) => server::tokio(port),
        ("epoll", ..) => server::epoll(port),
        ("client", Some(connections), Some(seconds)) => client::measure(port, connections, seconds),
        ("idle", Some(connections), Some(seconds)) => client::hold(port, connections, seconds),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// The reply to each line.
pub fn reply() -> Vec<u8> {
    let mut line = b"250 2.1.0 Ok: ".to_vec();
    line.resize(LINE - 2, b'x');
    line.extend_from_slice(b"\r\n");
    line
}

/// How many lines end in `input`.
pub fn lines(input: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', input).count()
}
