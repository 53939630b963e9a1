//! A message that comes by another way than DATA and BDAT, under the same rules.

use super::Config;
use super::event::{Discard, Step, Summary};
use super::message::{Incoming, Taken};
use crate::smtp::error::Error;
use crate::smtp::reply::{EnhancedCode, Reply};

/// Checks the bytes of a message as they come in: line ends, length of lines, size, header, Received fields.
///
/// ```
/// use net::smtp::address::Hostname;
/// use net::smtp::server::{Config, Submitted};
///
/// let config = Config::new(Hostname::parse(b"mx.example.com").expect("a name"));
/// let (mut message, mut kept) = (Submitted::new(&config), Vec::new());
/// let mut input = &b"Subject: x\r\n\r\nno line end"[..];
/// while let Some(bytes) = message.next(&mut input)? {
///     kept.extend_from_slice(bytes);
/// }
/// kept.extend_from_slice(message.finish()?);
/// assert!(kept.ends_with(b"no line end\r\n") && message.summary().size_bytes == 25 + 2);
/// # Ok::<(), net::smtp::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Submitted {
    incoming: Incoming,
    size_bytes_max: u64,
    /// The last line has no end yet.
    is_open: bool,
}

/// What [`Session::accept_message`](super::Session::accept_message) says.
pub fn queued_as(id: &str) -> Reply {
    Reply::new(250, Some(EnhancedCode { class: 2, subject: 0, detail: 0 }), &format!("Ok: queued as {id}"))
}

impl Submitted {
    /// For a server's settings.
    pub fn new(config: &Config) -> Submitted {
        let incoming = Incoming::chunks(config);
        Submitted { incoming, size_bytes_max: config.size_bytes_max, is_open: false }
    }

    /// The next bytes to keep. `None`: `input` is used up.
    ///
    /// # Errors
    /// The message is refused: nothing else may be done with it.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        loop {
            let taken = self.incoming.take(input, self.size_bytes_max)?;
            match taken {
                Taken::All => return Ok(None),
                Taken::Step(step) => return self.passed(step).map(Some),
                Taken::Nothing | Taken::End => {}
            }
        }
    }

    /// All has come. Gives what is to be added: the end of the last line, where it has none.
    ///
    /// # Errors
    /// As before.
    pub fn finish(&mut self) -> Result<&'static [u8], Error> {
        match self.incoming.finish(self.is_open, self.size_bytes_max) {
            Some(step) => self.passed(step),
            None => Ok(b""),
        }
    }

    /// What was seen of it.
    pub fn summary(&self) -> Summary {
        self.incoming.summary()
    }

    fn passed<'i>(&mut self, step: Step<'i>) -> Result<&'i [u8], Error> {
        match step {
            Step::Body(bytes) => {
                // A CR is passed on with its LF only.
                self.is_open = !bytes.ends_with(b"\r\n");
                Ok(bytes)
            }
            Step::Discard(Discard::Refused(error)) => Err(error),
            other => unreachable!("not of a message's bytes: {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::address::Hostname;
    use crate::smtp::error::{LocalLimit, PeerMisbehaved};
    use crate::smtp::server::BareEol;

    fn config() -> Config {
        Config::new(Hostname::parse(b"mx.example").expect("a name"))
    }

    fn kept(config: &Config, pieces: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let (mut message, mut kept) = (Submitted::new(config), Vec::new());
        for piece in pieces {
            let mut input = *piece;
            while let Some(bytes) = message.next(&mut input)? {
                kept.extend_from_slice(bytes);
            }
        }
        kept.extend_from_slice(message.finish()?);
        assert_eq!(message.summary().size_bytes, kept.len() as u64);
        Ok(kept)
    }

    #[test]
    fn line_ends_are_those_of_smtp_and_dots_are_only_dots() {
        type Case = (&'static [u8], Result<&'static [u8], PeerMisbehaved>, &'static [u8]);
        let cases: &[Case] = &[
            (b"", Ok(b""), b""),
            (b"a: b\r\n\r\n.\r\n..\r\n", Ok(b"a: b\r\n\r\n.\r\n..\r\n"), b"a: b\r\n\r\n.\r\n..\r\n"),
            (b"a: b\r\n\r\nlast", Ok(b"a: b\r\n\r\nlast\r\n"), b"a: b\r\n\r\nlast\r\n"),
            (b"a\nb", Err(PeerMisbehaved::BareLineFeed), b"a\r\nb\r\n"),
            (b"a\n", Err(PeerMisbehaved::BareLineFeed), b"a\r\n"),
            (b"a\r", Err(PeerMisbehaved::BareCarriageReturn), b"a\r\n"),
            (b"a\rb", Err(PeerMisbehaved::BareCarriageReturn), b"a\r\nb\r\n"),
        ];
        let convert = Config { bare_eol: BareEol::Convert, ..config() };
        for (wire, rejecting, converting) in cases {
            for cut in 0..=wire.len() {
                let pieces = [&wire[..cut], &wire[cut..]];
                let expected = rejecting.map(<[u8]>::to_vec).map_err(Error::PeerMisbehaved);
                assert_eq!(kept(&config(), &pieces), expected, "{} cut at {cut}", wire.escape_ascii());
                assert_eq!(kept(&convert, &pieces).as_deref(), Ok(*converting), "{}", wire.escape_ascii());
            }
        }
    }

    #[test]
    fn size_and_hops_are_bounded_as_in_data() {
        let small = Config { size_bytes_max: 20, ..config() };
        let too_large = Err(Error::LocalLimit(LocalLimit::MessageTooLarge));
        assert!(kept(&small, &[b"a: b\r\n\r\n0123456789\r\n"]).is_ok());
        assert_eq!(kept(&small, &[b"a: b\r\n\r\n01234567890\r\n"]), too_large);
        // The line end that is added counts.
        assert_eq!(kept(&small, &[b"a: b\r\n\r\n01234567890"]), too_large);
        let few = Config { hops_max: 2, ..config() };
        let hops = b"Received: x\r\n".repeat(3);
        assert_eq!(kept(&few, &[&hops, b"\r\n"]), Err(LocalLimit::TooManyHops.into()));
    }
}
