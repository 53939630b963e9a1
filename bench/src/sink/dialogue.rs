//! The sink's side of SMTP: bytes in, replies out. It takes what a sender gets right; it is no model of a server.

use bytes::BytesMut;

use crate::ident::Parcel;
use crate::limits::MAX_COMMAND_BYTES;
use crate::sink::data::{Needle, Scan};
use crate::sink::verify::{Content, Mark, Verify};

/// What the sink does with a recipient or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 250.
    Accept,
    /// 451.
    Defer,
    /// 550.
    Reject,
    /// Close the connection without an answer.
    Drop,
}

/// Decides, and counts.
pub trait Judge {
    /// A RCPT.
    fn recipient(&mut self) -> Verdict;
    /// A complete message for the recipients accepted. Only `Accept` and `Drop` make sense here.
    fn message(&mut self, content: Content, recipients: &[Option<Parcel>], bytes: u64) -> Verdict;
}

/// Searchers that all sessions of a shard share.
#[derive(Debug, Default)]
pub struct Searchers {
    needle: Needle,
    mark: Mark,
}

/// Whether the connection goes on after the replies are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More input.
    Continue,
    /// Send the replies and close.
    Close,
}

/// One connection.
#[derive(Debug, Default)]
pub struct Dialogue {
    /// A command line that is not complete yet.
    line: Vec<u8>,
    /// The message being received.
    body: Option<Box<Body>>,
    recipients: Vec<Option<Parcel>>,
}

#[derive(Debug, Default)]
struct Body {
    scan: Scan,
    verify: Verify,
    bytes: u64,
}

/// The first thing a sink says.
pub const GREETING: &[u8] = b"220 sink.bench.invalid ESMTP\r\n";

impl Dialogue {
    /// Takes all of `input` and appends the replies to `out`.
    pub fn feed(
        &mut self,
        searchers: &Searchers,
        mut input: &[u8],
        judge: &mut impl Judge,
        out: &mut BytesMut,
    ) -> Next {
        while !input.is_empty() {
            let next = if self.body.is_some() {
                self.take_text(searchers, &mut input, judge, out)
            } else {
                self.take_command(&mut input, judge, out)
            };
            if next == Next::Close {
                return Next::Close;
            }
        }
        Next::Continue
    }

    fn take_text(
        &mut self,
        searchers: &Searchers,
        input: &mut &[u8],
        judge: &mut impl Judge,
        out: &mut BytesMut,
    ) -> Next {
        let body = self.body.as_deref_mut().expect("called while there is one");
        let (taken, ended) = body.scan.feed(&searchers.needle, input, |text| {
            body.bytes += text.len() as u64;
            body.verify.feed(&searchers.mark, text);
        });
        *input = &input[taken..];
        if !ended {
            return Next::Continue;
        }
        let Body { verify, bytes, .. } = *self.body.take().expect("it was there above");
        let verdict = judge.message(verify.finish(), &self.recipients, bytes);
        self.recipients.clear();
        answer(verdict, out)
    }

    fn take_command(&mut self, input: &mut &[u8], judge: &mut impl Judge, out: &mut BytesMut) -> Next {
        let Some(end) = memchr::memchr(b'\n', input) else {
            self.line.extend_from_slice(input);
            *input = &[];
            return if self.line.len() > MAX_COMMAND_BYTES {
                out.extend_from_slice(b"500 5.5.2 Line too long\r\n");
                Next::Close
            } else {
                Next::Continue
            };
        };
        let (line, rest) = (&input[..end], &input[end + 1..]);
        *input = rest;
        if self.line.is_empty() {
            return self.command(line, judge, out);
        }
        let mut whole = std::mem::take(&mut self.line);
        whole.extend_from_slice(line);
        self.command(&whole, judge, out)
    }

    fn command(&mut self, line: &[u8], judge: &mut impl Judge, out: &mut BytesMut) -> Next {
        let verb: [u8; 4] = match line.get(..4) {
            Some(verb) => [0, 1, 2, 3].map(|at| verb[at].to_ascii_uppercase()),
            None => [0; 4],
        };
        match &verb {
            b"EHLO" => out.extend_from_slice(b"250-sink.bench.invalid\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"),
            b"HELO" => out.extend_from_slice(b"250 sink.bench.invalid\r\n"),
            b"MAIL" | b"RSET" => {
                self.recipients.clear();
                out.extend_from_slice(b"250 2.0.0 Ok\r\n");
            }
            b"NOOP" => out.extend_from_slice(b"250 2.0.0 Ok\r\n"),
            b"RCPT" => {
                let verdict = judge.recipient();
                if verdict == Verdict::Accept {
                    self.recipients.push(Parcel::from_address(line));
                }
                return answer(verdict, out);
            }
            b"DATA" if self.recipients.is_empty() => {
                out.extend_from_slice(b"554 5.5.1 No valid recipients\r\n");
            }
            b"DATA" => {
                self.body = Some(Box::default());
                out.extend_from_slice(b"354 Go on\r\n");
            }
            b"QUIT" => {
                out.extend_from_slice(b"221 2.0.0 Bye\r\n");
                return Next::Close;
            }
            _ => out.extend_from_slice(b"500 5.5.2 What?\r\n"),
        }
        Next::Continue
    }
}

fn answer(verdict: Verdict, out: &mut BytesMut) -> Next {
    let reply: &[u8] = match verdict {
        Verdict::Accept => b"250 2.0.0 Ok\r\n",
        Verdict::Defer => b"451 4.3.0 Deferred by the sink\r\n",
        Verdict::Reject => b"550 5.7.1 Rejected by the sink\r\n",
        Verdict::Drop => return Next::Close,
    };
    out.extend_from_slice(reply);
    Next::Continue
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Id;
    use crate::message::{Factory, Shape};

    #[derive(Default)]
    struct Clerk {
        recipients: Vec<Verdict>,
        messages: Vec<(Content, Vec<Option<Parcel>>, u64)>,
    }

    impl Judge for Clerk {
        fn recipient(&mut self) -> Verdict {
            self.recipients.pop().unwrap_or(Verdict::Accept)
        }
        fn message(&mut self, content: Content, recipients: &[Option<Parcel>], bytes: u64) -> Verdict {
            self.messages.push((content, recipients.to_vec(), bytes));
            if bytes == 1003 { Verdict::Drop } else { Verdict::Accept }
        }
    }

    fn talk(wire: &[u8], cut: usize, clerk: &mut Clerk) -> (Vec<u16>, Next) {
        let (searchers, mut dialogue, mut out) = (Searchers::default(), Dialogue::default(), BytesMut::new());
        let mut next = Next::Continue;
        for piece in wire.chunks(cut) {
            next = dialogue.feed(&searchers, piece, clerk, &mut out);
            if next == Next::Close {
                break;
            }
        }
        let mut replies = crate::reply::Replies::default();
        replies.feed(&out).unwrap();
        (std::iter::from_fn(|| replies.pop()).map(|reply| reply.code).collect(), next)
    }

    fn generated(size: usize) -> (Vec<u8>, Id) {
        let factory = Factory::new(Shape { recipients: 2, domains: 1 }, size);
        let id = Id { run: 3, sequence: 4 };
        let mut wire = factory.envelope(id, None).wire;
        wire.extend(factory.message(id, size).wire.concat());
        (wire, id)
    }

    #[test]
    fn a_pipelined_session_is_answered_however_it_is_cut() {
        let (transaction, id) = generated(1000);
        let wire = [b"EHLO x\r\n".as_slice(), &transaction, &transaction, b"quit\r\n"].concat();
        for cut in [1, 2, 3, 7, 100, 1000, wire.len()] {
            let mut clerk = Clerk::default();
            let (codes, next) = talk(&wire, cut, &mut clerk);
            assert_eq!(codes, [250, 250, 250, 250, 354, 250, 250, 250, 250, 354, 250, 221], "{cut}");
            assert_eq!(next, Next::Close);
            let parcels = [0, 1].map(|recipient| Some(Parcel { id, recipient })).to_vec();
            assert_eq!(clerk.messages, vec![(Content::Intact(id), parcels, 1000); 2]);
        }
    }

    #[test]
    fn verdicts_are_given_and_refused_recipients_get_nothing() {
        let (transaction, id) = generated(1000);
        let mut clerk = Clerk { recipients: vec![Verdict::Accept, Verdict::Defer], ..Clerk::default() };
        let (codes, _) = talk(&transaction, 4096, &mut clerk);
        assert_eq!(codes, [250, 451, 250, 354, 250]);
        assert_eq!(clerk.messages[0].1, [Some(Parcel { id, recipient: 1 })]);
        let mut clerk = Clerk { recipients: vec![Verdict::Reject; 2], ..Clerk::default() };
        assert_eq!(
            talk(b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<c>\r\nDATA\r\nNOOP\r\n", 4096, &mut clerk).0,
            [250, 550, 550, 554, 250]
        );
    }

    #[test]
    fn a_dropped_message_gets_no_answer() {
        let (transaction, _) = generated(1003);
        let (codes, next) = talk(&transaction, 4096, &mut Clerk::default());
        assert_eq!((codes.as_slice(), next), ([250, 250, 250, 354].as_slice(), Next::Close));
    }

    #[test]
    fn an_endless_command_is_refused() {
        let (codes, next) = talk(&vec![b'x'; 2 * MAX_COMMAND_BYTES], 1000, &mut Clerk::default());
        assert_eq!((codes.as_slice(), next), ([500].as_slice(), Next::Close));
    }
}
